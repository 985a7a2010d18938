"""A look at a command line as a whole: Hydra stops at its first mistake, so what it refuses is taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hforch.config.files import file_mistakes, show_file
from hforch.config.overrides import Typed, group_mistake, value_mistakes
from hforch.config.places import Places
from hforch.config.plain import unresolved
from hforch.config.primary import primary_file, primary_mistakes
from hforch.errors import Mistake

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Look:
    """What composing gave: a configuration of all that could be used, and what was wrong with the rest.

    Attributes:
        cfg: with the `hydra` node; None when not even the primary config can be composed.
        faulty: groups whose chosen option is a mistake; another one stands in its place.
    """

    cfg: DictConfig | None
    kept: tuple[Typed, ...]
    mistakes: tuple[Mistake, ...]
    faulty: frozenset[str]


def look(typed: Sequence[Typed], places: Places, loader: Any, faulty: frozenset[str] = frozenset()) -> Look:
    """Compose what can be composed. No override may be a sweep."""
    from hforch.config.reasons import REFUSALS

    try:
        return Look(_compose(typed, places, loader), tuple(typed), (), faulty)
    except REFUSALS:
        return _look_closely(typed, places, loader, faulty)


def _look_closely(typed: Sequence[Typed], places: Places, loader: Any, faulty: frozenset[str]) -> Look:
    """Take the overrides one by one, after Hydra refused them together."""
    from hydra.types import RunMode

    from hforch.config.reasons import REFUSALS, reason

    broken = primary_mistakes(places, loader)
    if broken:
        groups_only = [found for one in typed if one.is_group and (found := _option_mistake(one, places, loader, None))]
        return Look(None, (), (*broken, *groups_only), frozenset())
    try:
        # By itself, `group: ???` left open: what is wrong with it is nobody's override.
        loader.load_configuration(places.config_name, [], RunMode.MULTIRUN, from_shell=False)
        known = loader.compute_defaults_list(places.config_name, [], RunMode.MULTIRUN).overrides.known_choices
    except REFUSALS as error:
        said = reason(error).replace(f"'{places.config_name}'", "the defaults").removeprefix("In the defaults: ")
        return Look(None, (), (Mistake("", said, primary_file(places)),), frozenset())
    mistakes = []
    kept = []
    for one in typed:
        found = _option_mistake(one, places, loader, set(known)) if one.is_group else None
        if found is None:
            kept.append(one)
        else:
            mistakes.append(found)
    wrong = frozenset(found.path.partition(".")[0] for found in mistakes) | faulty
    cfg, kept, refused = _load([one for one in kept if one.is_group], places, loader, kept)
    mistakes.extend(refused)
    if cfg is not None:
        values = [one for one in kept if not one.is_group]
        choices = dict(cfg.hydra.runtime.choices)
        bad = list(value_mistakes(values, unresolved(cfg), choices, loader.repository, set(wrong)))
        mistakes.extend(mistake for _, mistake in bad)
        dropped = {id(one) for one, _ in bad} | {id(one) for one in values if one.segments[0] in wrong}
        cfg, kept, refused = _load([one for one in kept if id(one) not in dropped], places, loader)
        mistakes.extend(refused)
    return Look(cfg, tuple(kept), tuple(mistakes), wrong)


def _option_mistake(one: Typed, places: Places, loader: Any, in_defaults: set[str] | None) -> Mistake | None:
    known = {one.key} if in_defaults is None else in_defaults
    found = group_mistake(one, loader.repository, known)
    if found is None and not one.parsed.is_delete() and isinstance(one.parsed.value(), str):
        found = next(file_mistakes(places, loader, f"{one.key}/{one.parsed.value()}", one.key), None)
    return found


def _load(
    using: Sequence[Typed], places: Places, loader: Any, otherwise: Sequence[Typed] | None = None
) -> tuple[DictConfig | None, list[Typed], list[Mistake]]:
    """Compose; where Hydra refuses, find out which overrides it refuses and compose without them.

    Returns:
        the configuration, the overrides that remain of `otherwise` (by default of `using`), and the mistakes.
    """
    from hforch.config.reasons import REFUSALS, reason

    rest = list(using if otherwise is None else otherwise)
    try:
        return _compose(using, places, loader), rest, []
    except REFUSALS as error:
        first = error
    good: list[Typed] = []
    mistakes: list[Mistake] = []
    for one in using:
        try:
            _compose([*good, one], places, loader)
            good.append(one)
        except REFUSALS as error:
            mistakes.append(Mistake(one.key, reason(error), _where(one, places, loader)))
            rest.remove(one)
    if not mistakes:
        return None, rest, [Mistake("", reason(first), primary_file(places))]
    try:
        return _compose(good, places, loader), rest, mistakes
    except REFUSALS:
        return None, rest, mistakes


def _compose(using: Sequence[Typed], places: Places, loader: Any) -> DictConfig:
    from hydra.types import RunMode

    texts = [one.text for one in using]
    cfg: DictConfig = loader.load_configuration(places.config_name, texts, RunMode.RUN, from_shell=False)
    return cfg


def _where(one: Typed, places: Places, loader: Any) -> str:
    """The override, and the file of the option that it chooses."""
    file = show_file(places, loader, f"{one.key}/{one.parsed.value()}") if one.is_group and one.parsed.value() else None
    return f"{file}, chosen by {one.where}" if file else one.where
