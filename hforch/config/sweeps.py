"""Plan the jobs of a command line: all of them are composed and validated before the first one runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omegaconf.errors import OmegaConfBaseException

from hforch.config.compose import Composed, judge
from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.command_line import Diagnosis, diagnose
from hforch.config.diagnose.hydra_settings import hydra_mistakes
from hforch.config.diagnose.origins import Sources
from hforch.config.diagnose.overrides import ParsedOverride, parse_override, without_sweeps
from hforch.config.diagnose.swept_settings import SweptSettings
from hforch.config.hydra_adapter.loader import parsing_once
from hforch.config.hydra_adapter.parsing import size_of_sweep, split_into_jobs
from hforch.config.hydra_adapter.session import hydra_settings
from hforch.config.listed_jobs import listed_jobs
from hforch.config.shorthand import as_name, meaning
from hforch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from omegaconf import DictConfig

MOST_JOBS = 10_000
"""The default maximum number of jobs of a sweep. Composing a job takes about 20 ms, and each job has a directory."""
MOST_ALLOWED = 10**7


@dataclass(frozen=True)
class Plan:
    """The jobs of a command line.

    Attributes:
        jobs: all jobs.
        multirun: whether the jobs are a sweep, possibly of one job.
        numbers: the numbers of the jobs; in a sweep, Hydra's job numbers.
        left_out: the overrides of the jobs that the recipe excludes.
    """

    jobs: tuple[Composed, ...]
    multirun: bool
    numbers: tuple[int, ...]
    left_out: tuple[str, ...] = ()


def diagnose_all(overrides: Sequence[str], config_dirs: ConfigDirs) -> None:
    """Check that a configuration can be composed, without validating it, which suffices for printing it.

    Raises:
        ConfigError: it cannot be composed; contains all errors.
    """
    with hydra_settings():
        loader = config_dirs.loader()
        typed, mistakes = parse_override(overrides, loader)
        single, sweeps = without_sweeps(typed)
        seen = diagnose(single, config_dirs, loader)
    if found := [*mistakes, *sweeps, *seen.mistakes]:
        raise ConfigError(sorted(found, key=lambda mistake: mistake.path))


def plan(overrides: Sequence[str], config_dirs: ConfigDirs, multirun: bool, most: int = MOST_JOBS) -> Plan:
    """Compose and validate every job.

    Args:
        multirun: the -m flag; a configuration can also request a sweep with hydra.mode.
        most: the maximum number of jobs of a sweep.

    Raises:
        ConfigError: there are errors; contains those of all jobs, without duplicates.
    """
    with hydra_settings():
        loader = config_dirs.loader()
        typed, mistakes = parse_override(overrides, loader)
        fixed = [one for one in typed if not one.parsed.is_sweep_override()]
        base = diagnose(fixed, config_dirs, loader)
        if base.cfg is None:
            raise ConfigError([*mistakes, *base.mistakes])
        is_sweep = multirun or _asks_for_sweep(base.cfg)
        _check_hydra_settings(base, config_dirs, mistakes, is_sweep)
        if not is_sweep:
            _, sweeps = without_sweeps(typed)
            swept = frozenset(one.key for one in typed if one.parsed.is_sweep_override() and one.is_group)
            seen = Diagnosis(base.cfg, base.kept, base.mistakes, base.faulty | swept)
            return Plan((judge(seen, config_dirs, [*mistakes, *sweeps]),), multirun=False, numbers=(0,))
        jobs = _jobs(typed, base, config_dirs, loader, mistakes, most)
        with parsing_once():
            composed, left_out = _judge_all(jobs, config_dirs, loader, mistakes, SweptSettings(base.cfg))
        labels = tuple(_label(jobs[number]) for number in left_out)
        return Plan(tuple(composed.values()), True, tuple(composed), labels)


def _asks_for_sweep(cfg: DictConfig) -> bool:
    """Return whether a configuration sets hydra.mode to MULTIRUN."""
    try:
        return getattr(cfg.hydra.mode, "name", None) == "MULTIRUN"
    except (OmegaConfBaseException, AttributeError):
        return False  # reported as invalid


def _check_hydra_settings(
    base: Diagnosis, config_dirs: ConfigDirs, mistakes: Sequence[Mistake], is_sweep: bool
) -> None:
    """Validate the settings of Hydra that are read before the first job; for a single run, all of them.

    Raises:
        ConfigError: a setting is invalid; contains all other errors too.
    """
    assert base.cfg is not None
    found = _with_places(hydra_mistakes(base.cfg, is_sweep), Sources(config_dirs, base.kept))
    if not found:
        return
    try:
        judge(base, config_dirs, mistakes)
    except ConfigError as error:
        found += [one for one in error.mistakes if one.path not in {told.path for told in found}]
    except (OmegaConfBaseException, AttributeError, TypeError):  # validation needs the invalid settings
        found += [*mistakes, *base.mistakes]
    raise ConfigError(sorted(found, key=lambda mistake: mistake.path))


def _with_places(mistakes: Iterable[Mistake], sources: Sources) -> list[Mistake]:
    """Return errors in Hydra's settings with the places where they were set."""
    return [replace(one, where=_place(one.path, sources)) for one in mistakes]


def _place(path: str, sources: Sources) -> str | None:
    """Return the place where a setting of Hydra was set, or its option selected."""
    parts = path.split(".")
    whole = f"{path}._target_" if path in ("hydra.launcher", "hydra.sweeper") else path
    return sources.where_exactly(whole) or sources.where_option("/".join(parts[:2])) or sources.where(path)


def is_excluded(cfg: DictConfig | None, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a composed configuration is an excluded combination."""
    return cfg is not None and any(all(_is(cfg, key, value) for key, value in rule.items()) for rule in rules)


def _is(cfg: DictConfig, key: str, wanted: Any) -> bool:
    from omegaconf import OmegaConf

    if "." not in key and key in cfg.hydra.runtime.choices:
        chosen = str(cfg.hydra.runtime.choices[key])
        stands_for = meaning(key, chosen)
        found = {chosen, stands_for.option if stands_for else chosen}
        return any(as_name(key, one) in found for one in (wanted if isinstance(wanted, list) else [wanted]))
    found = OmegaConf.select(cfg, key)
    return bool(found in wanted if isinstance(wanted, list) else found == wanted)


def _label(job: Sequence[ParsedOverride]) -> str:
    return " ".join(one.text for one in job if not one.parsed.is_hydra_override())


def _judge_all(
    jobs: Sequence[Sequence[ParsedOverride]],
    config_dirs: ConfigDirs,
    loader: Any,
    mistakes: Sequence[Mistake],
    settings: SweptSettings,
) -> tuple[dict[int, Composed], list[int]]:
    """Compose and validate the jobs, starting with a few jobs that together cover every value.

    After an error, jobs that contain only values already checked are skipped, since they have the same errors.

    Returns:
        The jobs by number, and the numbers of the excluded jobs.

    Raises:
        ConfigError: a job is invalid (contains the errors of all jobs), or all jobs are excluded.
    """
    composed: dict[int, Composed] = {}
    left_out: list[int] = []
    found = list(mistakes)
    judged: set[str] = set()
    few = _each_value_once(jobs)
    for number in (*few, *sorted({*range(len(jobs))} - {*few})):
        texts = {one.text for one in jobs[number]}
        if found and texts <= judged:
            continue
        seen = diagnose(jobs[number], config_dirs, loader)
        if is_excluded(seen.cfg, config_dirs.exclude):
            left_out.append(number)
            continue
        judged |= texts
        if seen.cfg is not None and (wrong := settings.mistakes(seen.cfg, number)):
            found.extend(_with_places(wrong, Sources(config_dirs, seen.kept)))
        try:
            composed[number] = judge(seen, config_dirs, number=number)
        except ConfigError as error:
            found.extend(error.mistakes)
    if found:
        raise ConfigError(sorted(dict.fromkeys(found), key=lambda mistake: mistake.path))
    if not composed:
        where = config_dirs.show(config_dirs.written())
        problem = f"excludes all {len(jobs)} jobs of the sweep"
        raise ConfigError([Mistake("exclude", problem, where, "remove a combination")])
    return dict(sorted(composed.items())), sorted(left_out)


def _each_value_once(jobs: Sequence[Sequence[ParsedOverride]]) -> list[int]:
    seen: set[str] = set()
    numbers: list[int] = []
    for number, job in enumerate(jobs):
        texts = {one.text for one in job}
        if not texts <= seen or not numbers:
            numbers.append(number)
            seen |= texts
    return numbers


def _jobs(
    typed: Sequence[ParsedOverride],
    base: Diagnosis,
    config_dirs: ConfigDirs,
    loader: Any,
    mistakes: list[Mistake],
    most: int,
) -> list[list[ParsedOverride]]:
    """Return the overrides of each job: those of the grid, as split by Hydra's basic sweeper, and the listed ones."""
    assert base.cfg is not None
    sweeper = base.cfg.hydra.sweeper
    sources = Sources(config_dirs, base.kept)
    params = {f"{key}={value}": key for key, value in (sweeper.get("params") or {}).items()}
    where = {text: sources.where_at(("hydra", "sweeper", "params", str(key))) or text for text, key in params.items()}
    swept, unreadable = parse_override(list(params), loader, where)
    mistakes.extend(unreadable)
    hydra = [one for one in typed if one.parsed.is_hydra_override()]
    own = [one for one in typed if not one.parsed.is_hydra_override()]
    task = [*swept, *own]
    origin = {one.parsed.get_key_element(): one.where for one in task}
    listed = listed_jobs(config_dirs, own, loader, mistakes)
    _check_number(task if swept or not listed else [], own if listed else [], len(listed), loader, mistakes, most)
    bad = [mistake for one in (*hydra, *task) if (mistake := _sweep_mistake(one))]
    bad += _dropped_by_sweeper(task)
    mistakes.extend(bad)
    wrong = {mistake.where for mistake in bad}
    hydra = [one for one in hydra if one.where not in wrong]

    def split(overrides: Sequence[ParsedOverride]) -> Iterator[list[ParsedOverride]]:
        for texts in split_into_jobs([one.parsed for one in overrides if one.where not in wrong]):
            plain = [_unescaped(text) for text in texts]
            yield parse_override(plain, loader, {text: origin[text.partition("=")[0]] for text in plain})[0]

    grid = [[*hydra, *job] for job in split(task)] if swept or not config_dirs.jobs else []
    return [*grid, *([*hydra, *job, *typed_here] for job in listed for typed_here in split(own))]


def _unescaped(text: str) -> str:
    """Return an override without the needless escape that Hydra's sweeper adds to the colon of `device=cuda:1`."""
    group, _, value = text.partition("=")
    plain = value.replace("\\:", ":")
    return f"{group}={plain}" if meaning(group.lstrip("+"), plain) else text


def _check_number(
    grid: Sequence[ParsedOverride],
    own: Sequence[ParsedOverride],
    listed: int,
    loader: Any,
    mistakes: Sequence[Mistake],
    most: int,
) -> None:
    """Check the number of jobs before they are created, since `range(0,1e9)` has a billion.

    Args:
        grid: the overrides of the grid; empty without a grid.
        own: the overrides that each listed job is combined with.
        listed: the number of listed jobs.

    Raises:
        ConfigError: there are more than `most` jobs.
    """

    def sizes_of(overrides: Sequence[ParsedOverride]) -> dict[str, float]:
        return {one.where: size for one in overrides if (size := size_of_sweep(one.parsed, loader)) is not None}

    sizes = sizes_of([*grid, *own])
    number = (math.prod(sizes_of(grid).values()) if grid else 0) + listed * math.prod(sizes_of(own).values())
    if number <= most:
        return
    several = [where for where, size in sizes.items() if size > 1]
    many = f"{number:,.0f}" if math.isfinite(number) else "infinitely many"
    hint = f"reduce the sweep, or set --max-jobs {number:.0f}" if number < MOST_ALLOWED else "reduce the sweep"
    problem = f"the sweep has {many} jobs; at most {most:,} are allowed"
    raise ConfigError([*mistakes, Mistake("", problem, " ".join(several), hint)])


def _dropped_by_sweeper(task: Sequence[ParsedOverride]) -> list[Mistake]:
    """Find overrides that Hydra's sweeper would silently drop, such as the first in `inputs=file inputs={path: x}`.

    The sweeper uses only the last override of each key.
    """
    last = {one.parsed.get_key_element(): one for one in task}
    hint = "write the mapping key by key: group.key=value"
    return [
        Mistake(one.key, f"would be dropped in a sweep: {other.where} replaces it", one.where, hint)
        for one in task
        if (other := last[one.parsed.get_key_element()]) is not one
        and (other.is_group != one.is_group or _is_mapping(one))
    ]


def _is_mapping(one: ParsedOverride) -> bool:
    """Return whether an override sets a mapping, which is merged into the existing one."""
    return not one.parsed.is_sweep_override() and isinstance(one.parsed.value(), Mapping)


def _sweep_mistake(one: ParsedOverride) -> Mistake | None:
    from hydra.errors import HydraException

    if not one.parsed.is_sweep_override():
        return None
    if one.parsed.is_hydra_override():
        return Mistake(one.key, "Hydra's own settings cannot be swept", one.where, "set a single value")
    try:
        if next(one.parsed.sweep_string_iterator(), None) is None:
            return Mistake(one.key, "the sweep has no values", one.where)
    except (HydraException, ValueError, ArithmeticError) as error:
        return Mistake(
            one.key, f"Hydra's basic sweeper cannot enumerate this: {error}", one.where, "use a,b or range()"
        )
    return None
