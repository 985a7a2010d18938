"""Find all errors in a command line. Hydra stops at the first one, so the overrides are also checked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.config_files import composition_mistake, file_mistakes, show_file
from hforch.config.diagnose.overrides import ParsedOverride, about_sweep_parameters, group_mistake, value_mistakes
from hforch.config.diagnose.primary_config import primary_file, primary_mistakes
from hforch.config.resolving import unresolved
from hforch.errors import Mistake

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Diagnosis:
    """A configuration composed from the valid overrides, and the errors in the others.

    Attributes:
        cfg: the configuration with the `hydra` node; None if even the primary config cannot be composed.
        kept: the valid overrides.
        faulty: groups with an invalid option, for which `cfg` contains another option.
    """

    cfg: DictConfig | None
    kept: tuple[ParsedOverride, ...]
    mistakes: tuple[Mistake, ...]
    faulty: frozenset[str]


def diagnose(
    typed: Sequence[ParsedOverride], config_dirs: ConfigDirs, loader: Any, faulty: frozenset[str] = frozenset()
) -> Diagnosis:
    """Compose the valid overrides and collect the errors in the others. No override may be a sweep."""
    from hforch.config.diagnose.library_errors import REFUSALS

    try:
        return Diagnosis(_compose(typed, config_dirs, loader), tuple(typed), (), faulty)
    except REFUSALS:
        return _diagnose_each(typed, config_dirs, loader, faulty)


def _diagnose_each(
    typed: Sequence[ParsedOverride], config_dirs: ConfigDirs, loader: Any, faulty: frozenset[str]
) -> Diagnosis:
    """Check the overrides one at a time, after Hydra rejected them together."""
    from hydra.types import RunMode

    from hforch.config.diagnose.library_errors import REFUSALS

    broken = primary_mistakes(config_dirs, loader)
    if broken:
        groups_only = [
            found for one in typed if one.is_group and (found := _option_mistake(one, config_dirs, loader, None))
        ]
        return Diagnosis(None, (), (*broken, *groups_only), frozenset())
    try:
        # No override is passed and `group: ???` is allowed, so an override cannot cause an error here.
        loader.load_configuration(config_dirs.config_name, [], RunMode.MULTIRUN, from_shell=False)
        known = loader.compute_defaults_list(config_dirs.config_name, [], RunMode.MULTIRUN).overrides.known_choices
    except REFUSALS as error:
        mistake = composition_mistake(error, config_dirs, loader, "", primary_file(config_dirs))
        return Diagnosis(None, (), (mistake,), frozenset())
    mistakes = []
    kept = []
    for one in typed:
        found = _option_mistake(one, config_dirs, loader, set(known)) if one.is_group else None
        if found is None:
            kept.append(one)
        else:
            mistakes.append(found)
    wrong = frozenset(found.path.partition(".")[0] for found in mistakes) | faulty
    cfg, kept, refused = _load([one for one in kept if one.is_group], config_dirs, loader, kept)
    mistakes.extend(refused)
    if cfg is not None:
        values = [one for one in kept if not one.is_group]
        choices = dict(cfg.hydra.runtime.choices)
        bad = list(value_mistakes(values, unresolved(cfg), choices, loader.repository, set(wrong)))
        mistakes.extend(mistake for _, mistake in bad)
        dropped = {id(one) for one, _ in bad} | {id(one) for one in values if one.segments[0] in wrong}
        cfg, kept, refused = _load([one for one in kept if id(one) not in dropped], config_dirs, loader)
        mistakes.extend(refused)
    return Diagnosis(cfg, tuple(kept), tuple(map(about_sweep_parameters, mistakes)), wrong)


def _option_mistake(
    one: ParsedOverride, config_dirs: ConfigDirs, loader: Any, in_defaults: set[str] | None
) -> Mistake | None:
    known = {one.key} if in_defaults is None else in_defaults
    found = group_mistake(one, loader.repository, known)
    if found is None and not one.parsed.is_delete() and isinstance(one.parsed.value(), str):
        found = next(file_mistakes(config_dirs, loader, f"{one.key}/{one.parsed.value()}", one.key), None)
    return found


def _load(
    using: Sequence[ParsedOverride],
    config_dirs: ConfigDirs,
    loader: Any,
    otherwise: Sequence[ParsedOverride] | None = None,
) -> tuple[DictConfig | None, list[ParsedOverride], list[Mistake]]:
    """Compose; if Hydra rejects overrides, find these and compose without them.

    Returns:
        The configuration, the remaining overrides of `otherwise` (default: `using`), and the errors.
    """
    from hforch.config.diagnose.library_errors import REFUSALS

    rest = list(using if otherwise is None else otherwise)
    try:
        return _compose(using, config_dirs, loader), rest, []
    except REFUSALS as error:
        first = error
    good: list[ParsedOverride] = []
    mistakes: list[Mistake] = []
    for one in using:
        try:
            _compose([*good, one], config_dirs, loader)
            good.append(one)
        except REFUSALS as error:
            where = _where(one, config_dirs, loader)
            mistakes.append(composition_mistake(error, config_dirs, loader, one.key, where))
            rest.remove(one)
    if not mistakes:
        return None, rest, [composition_mistake(first, config_dirs, loader, "", primary_file(config_dirs))]
    try:
        return _compose(good, config_dirs, loader), rest, mistakes
    except REFUSALS:
        return None, rest, mistakes


def _compose(using: Sequence[ParsedOverride], config_dirs: ConfigDirs, loader: Any) -> DictConfig:
    from hydra.types import RunMode

    texts = [one.text for one in using]
    cfg: DictConfig = loader.load_configuration(config_dirs.config_name, texts, RunMode.RUN, from_shell=False)
    return cfg


def _where(one: ParsedOverride, config_dirs: ConfigDirs, loader: Any) -> str:
    """Return the override, preceded by the file of the option that it selects."""
    file = (
        show_file(config_dirs, loader, f"{one.key}/{one.parsed.value()}")
        if one.is_group and one.parsed.value()
        else None
    )
    return f"{file}, selected by {one.where}" if file else one.where
