"""From overrides to a Job: every mistake is looked for before the first one is told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yaml import YAMLError

from hforch.config.keys import groups
from hforch.config.overrides import Typed, group_mistake, read, value_mistakes, without_sweeps
from hforch.config.places import Places, find_places, hydra_settings
from hforch.config.plain import as_in_the_job, asks_hydra, plain, unresolved
from hforch.config.primary import hidden_files, primary_file, primary_mistakes, yaml_mistake
from hforch.config.schema import Job
from hforch.config.sources import Sources
from hforch.config.validate import mistakes_in, validate
from hforch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Composed:
    """A job, the configuration it came from, and where each value of it was written."""

    job: Job
    config: DictConfig
    overrides: tuple[str, ...]
    sources: Sources

    def where(self, path: str) -> str | None:
        return self.sources.where(path)


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


def compose(
    overrides: Sequence[str],
    *,
    config_dir: str | Path | None = None,
    config_name: str | None = None,
    recipe: str | Path | None = None,
) -> Composed:
    """Compose one job and validate it. Touches no network, no device, and no file but YAML.

    Args:
        overrides: as on the command line, such as `model=gpt2` or `generation.max_new_tokens=8`.
        config_dir: a folder with options of your own, beside hforch's.
        config_name: the primary config, `config` if not given.
        recipe: a recipe file that the overrides come on top of.

    Raises:
        ConfigError: with every mistake found, ordered by path.
    """
    from hforch.config.recipes import opened

    with opened(Path(recipe) if recipe else None, find_places(config_dir, config_name)) as places, hydra_settings():
        loader = places.loader()
        typed, unreadable = read(overrides, loader)
        single, sweeps = without_sweeps(typed)
        swept = frozenset(one.key for one in typed if one.parsed.is_sweep_override() and one.is_group)
        composed = judge(look(single, places, loader, swept), places, [*unreadable, *sweeps])
        if recipe:
            composed.sources.prepare()
        return composed


def job_from_overrides(
    overrides: Sequence[str],
    config_dir: str | Path | None = None,
    config_name: str | None = None,
    recipe: str | Path | None = None,
) -> Job:
    """The job that overrides describe; see `compose`."""
    return compose(overrides, config_dir=config_dir, config_name=config_name, recipe=recipe).job


def job_from_config(cfg: DictConfig) -> Job:
    """The job that a configuration describes which Hydra has composed already.

    Raises:
        ConfigError: it describes none.
    """
    tree, mistakes, unknown = plain(cfg, {})
    if mistakes:
        raise ConfigError(mistakes + mistakes_in(tree, leave_out=unknown))
    return validate(tree)


def look(typed: Sequence[Typed], places: Places, loader: Any, faulty: frozenset[str] = frozenset()) -> Look:
    """Compose what can be composed. No override may be a sweep."""
    from hydra.errors import HydraException

    try:
        return Look(_compose(typed, places, loader), tuple(typed), (), faulty)
    except (HydraException, OSError, ValueError, YAMLError):
        return _look_closely(typed, places, loader, faulty)


def _look_closely(typed: Sequence[Typed], places: Places, loader: Any, faulty: frozenset[str]) -> Look:
    """Take the overrides one by one, after Hydra refused them together."""
    from hydra.errors import HydraException
    from hydra.types import RunMode

    broken = primary_mistakes(places, loader)
    if broken:
        groups_only = [found for one in typed if one.is_group and (found := _option_mistake(one, places, loader, None))]
        return Look(None, (), (*broken, *groups_only), frozenset())
    try:
        # By itself, `group: ???` left open: what is wrong with it is nobody's override.
        loader.load_configuration(places.config_name, [], RunMode.MULTIRUN, from_shell=False)
        known = loader.compute_defaults_list(places.config_name, [], RunMode.MULTIRUN).overrides.known_choices
    except (HydraException, ValueError) as error:
        reason = _reason(error).replace(f"'{places.config_name}'", "the defaults").removeprefix("In the defaults: ")
        return Look(None, (), (Mistake("", reason, primary_file(places, loader)),), frozenset())
    mistakes = []
    kept = []
    for one in typed:
        found = _option_mistake(one, places, loader, set(known)) if one.is_group else None
        if found is None:
            kept.append(one)
        else:
            mistakes.append(found)
    wrong = frozenset(found.path for found in mistakes) | faulty
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
        found = yaml_mistake(places, loader, f"{one.key}/{one.parsed.value()}")
    return found


def _load(
    using: Sequence[Typed], places: Places, loader: Any, otherwise: Sequence[Typed] | None = None
) -> tuple[DictConfig | None, list[Typed], list[Mistake]]:
    """Compose; where Hydra refuses, find out which overrides it refuses and compose without them.

    Returns:
        the configuration, the overrides that remain of `otherwise` (by default of `using`), and the mistakes.
    """
    from hydra.errors import HydraException

    rest = list(using if otherwise is None else otherwise)
    try:
        return _compose(using, places, loader), rest, []
    except (HydraException, ValueError) as error:
        first = error
    good: list[Typed] = []
    mistakes: list[Mistake] = []
    for one in using:
        try:
            _compose([*good, one], places, loader)
            good.append(one)
        except (HydraException, ValueError) as error:
            mistakes.append(Mistake(one.key, _reason(error), one.where))
            rest.remove(one)
    if not mistakes:
        return None, rest, [Mistake("", _reason(first), places.config_name)]
    try:
        return _compose(good, places, loader), rest, mistakes
    except (HydraException, ValueError):
        return None, rest, mistakes


def _compose(using: Sequence[Typed], places: Places, loader: Any) -> DictConfig:
    from hydra.types import RunMode

    texts = [one.text for one in using]
    cfg: DictConfig = loader.load_configuration(places.config_name, texts, RunMode.RUN, from_shell=False)
    return cfg


def _reason(error: Exception) -> str:
    """Hydra's own words, and OmegaConf's below them, on one line."""
    lines = [*str(error).splitlines(), *(str(error.__cause__).splitlines()[:1] if error.__cause__ else [])]
    return "; ".join(line.strip() for line in lines if line.strip() and "See https" not in line)


def judge(look: Look, places: Places, mistakes: Sequence[Mistake] = (), number: int | None = None) -> Composed:
    """The job in what was composed; `number` is its own in a sweep.

    Raises:
        ConfigError: with the mistakes given, those of the look, and those of the values.
    """
    sources = Sources(places, look.kept)
    found = [*mistakes, *look.mistakes]
    if look.cfg is not None:
        choices = {str(group): str(option) for group, option in look.cfg.hydra.runtime.choices.items()}
        with as_in_the_job(look.cfg, number) if asks_hydra(look.cfg) else nullcontext():
            tree, unfinished, unknown = plain(look.cfg, choices)
        found += hidden_files(places, choices)
        values = [mistake for mistake in unfinished if mistake.path.partition(".")[0] not in look.faulty]
        lacking = {group for group in groups() if group not in look.cfg}
        if len(lacking) > 1:
            hint = "begin its defaults list with `- config`, hforch's own"
            found.append(Mistake("", f"the configuration lacks {len(lacking)} groups", places.config_name, hint))
            unknown |= lacking
        values += mistakes_in(tree, leave_out=unknown | look.faulty)
        told = {mistake.path for mistake in found}
        found += [replace(one, where=one.where or sources.where(one.path)) for one in values if one.path not in told]
    if found or look.cfg is None:
        raise ConfigError(sorted(found, key=lambda mistake: mistake.path))
    config = look.cfg.copy()
    config._set_flag("struct", False)
    del config["hydra"]
    return Composed(validate(tree), config, tuple(one.text for one in look.kept), sources)


@dataclass(frozen=True)
class Locator:
    """Adds to mistakes that others found in a job's values the places where those were written."""

    overrides: tuple[str, ...]
    places: Places

    def __call__(self, mistakes: Sequence[Mistake]) -> list[Mistake]:
        if not mistakes:
            return []
        with hydra_settings():
            typed, _ = read(self.overrides, self.places.loader())
        sources = Sources(self.places, typed)
        return [replace(one, where=one.where or (sources.where(one.path) if one.path else None)) for one in mistakes]
