"""Compose overrides into a validated Job, and report all errors together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.config_dirs import ConfigDirs, find_config_dirs
from hforch.config.copying import packed
from hforch.config.credentials import FromEnv, refuse_credentials
from hforch.config.diagnose.command_line import Diagnosis, diagnose
from hforch.config.diagnose.origins import Sources
from hforch.config.diagnose.overrides import ParsedOverride, needed, parse_override, without_sweeps
from hforch.config.diagnose.primary_config import hidden_files, primary_file
from hforch.config.home_paths import with_home
from hforch.config.hydra_adapter.nodes import open_up, text_of
from hforch.config.hydra_adapter.session import hydra_settings
from hforch.config.keys import groups
from hforch.config.resolving import as_in_the_job, as_written, asks_hydra, resolve, unresolved
from hforch.config.schema import Job
from hforch.config.shorthand import meaning, misfit
from hforch.config.validate import mistakes_in, validate
from hforch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Composed:
    """A job with its configuration and the places where its values were set.

    Attributes:
        whole: returns a copy of the configuration with the `hydra` node; stored compressed, since a sweep may have
            thousands of jobs.
        task_overrides: the overrides except those of Hydra's own settings.
        from_env: the interpolations of the values that come from the environment, by their paths in the job.
        subdir: the unresolved value of hydra.sweep.subdir.
        env_set: the unresolved value of hydra.job.env_set.
        notes: notes that explain the shorthands that were used.
    """

    job: Job
    overrides: tuple[str, ...]
    task_overrides: tuple[str, ...]
    sources: Sources
    whole: Callable[[], DictConfig]
    from_env: FromEnv
    subdir: str
    env_set: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def config(self) -> DictConfig:
        """A copy of the configuration without the `hydra` node."""
        config = self.whole()
        open_up(config)
        del config["hydra"]
        return config

    def where(self, path: str) -> str | None:
        return self.sources.where(path)


def compose(
    overrides: Sequence[str],
    *,
    config_dir: str | Path | None = None,
    config_name: str | None = None,
    recipe: str | Path | None = None,
) -> Composed:
    """Compose and validate one job. Reads only YAML files; uses no network and no device.

    Args:
        overrides: overrides as on the command line, such as `model=gpt2` or `generation.max_new_tokens=8`.
        config_dir: a directory with your own options, in addition to the built-in ones.
        config_name: the primary config; default: `config`.
        recipe: a recipe file to which the overrides are applied.

    Raises:
        ConfigError: the job is invalid; contains all errors, ordered by path.
    """
    from hforch.config.recipes import opened

    base = find_config_dirs(config_dir, config_name)
    overrides = [with_home(override) for override in overrides]
    with opened(Path(recipe) if recipe else None, base, overrides) as config_dirs, hydra_settings():
        loader = config_dirs.loader()
        typed, unreadable = parse_override(overrides, loader)
        single, sweeps = without_sweeps(typed)
        swept = frozenset(one.key for one in typed if one.parsed.is_sweep_override() and one.is_group)
        composed = judge(diagnose(single, config_dirs, loader, swept), config_dirs, [*unreadable, *sweeps])
        if recipe:
            composed.sources.prepare()
        return composed


def job_from_overrides(
    overrides: Sequence[str],
    config_dir: str | Path | None = None,
    config_name: str | None = None,
    recipe: str | Path | None = None,
) -> Job:
    """Compose overrides and return the job; see `compose`."""
    return compose(overrides, config_dir=config_dir, config_name=config_name, recipe=recipe).job


def job_from_config(cfg: DictConfig) -> tuple[Job, FromEnv]:
    """Return the job of a configuration composed by Hydra, and the interpolations that read the environment.

    Raises:
        ConfigError: the configuration is invalid.
    """
    tree, mistakes, from_env = resolve(cfg, {})
    mistakes += refuse_credentials(tree, from_env)
    if mistakes:
        raise ConfigError(mistakes + mistakes_in(tree, leave_out=[mistake.path for mistake in mistakes]))
    return validate(tree), from_env


def judge(
    look: Diagnosis, config_dirs: ConfigDirs, mistakes: Sequence[Mistake] = (), number: int | None = None
) -> Composed:
    """Validate a diagnosed configuration and return its job.

    Args:
        look: the configuration and the errors found in composing it.
        mistakes: other errors to report.
        number: the number of the job in a sweep; None for a single run.

    Raises:
        ConfigError: there are errors; contains these and those in the values.
    """
    sources = Sources(config_dirs, look.kept)
    found = [*mistakes, *look.mistakes]
    notes: list[str] = []
    if look.cfg is not None:
        choices = {str(group): str(option) for group, option in look.cfg.hydra.runtime.choices.items()}
        tree, unfinished, from_env = _values(look.cfg, choices, number)
        unfinished += refuse_credentials(tree, from_env)
        found += hidden_files(config_dirs, choices)
        unknown = look.faulty | {mistake.path for mistake in unfinished}
        values = [mistake for mistake in unfinished if mistake.path.partition(".")[0] not in look.faulty]
        lacking = {group for group in groups() if group not in look.cfg}
        taken = {one.key: one for one in look.kept if one.parsed.is_delete() and one.key in lacking}
        found += [needed(one) for one in taken.values()]
        lacking -= set(taken)
        unknown |= set(taken)
        if len(lacking) > 1:
            hint = "start its defaults list with `- config`"
            found.append(Mistake("", f"the configuration lacks {len(lacking)} groups", primary_file(config_dirs), hint))
            unknown |= lacking
        values += mistakes_in(tree, leave_out=unknown)
        short = {group: option for group, option in choices.items() if config_dirs.stands_for(group, option)}
        found += _misfits(short, tree, look.kept)
        notes += _stand_for(short)
        told = {mistake.path for mistake in found}
        found += [_located(one, sources) for one in values if one.path not in told]
    if found or look.cfg is None:
        raise ConfigError(sorted(found, key=lambda mistake: mistake.path))
    overrides = tuple(one.text for one in look.kept)
    task_overrides = tuple(one.text for one in look.kept if not one.parsed.is_hydra_override())
    return Composed(
        validate(tree),
        overrides,
        task_overrides,
        sources,
        packed(look.cfg),
        from_env,
        subdir=str(text_of(look.cfg.hydra.sweep, "subdir")),
        env_set=unresolved(look.cfg.hydra.job.env_set),
        notes=tuple(notes),
    )


def _located(mistake: Mistake, sources: Sources) -> Mistake:
    """Return an error with the place where its value was set."""
    where = mistake.where or sources.where(mistake.path)
    hint = f"remove {where}" if where and where.startswith("~") else mistake.hint
    return replace(mistake, where=where, hint=hint)


def _misfits(choices: Mapping[str, str], tree: Mapping[str, Any], kept: Sequence[ParsedOverride]) -> Iterator[Mistake]:
    """Yield an error for each shorthand that the job's backend does not support."""
    backend = tree.get("backend")
    name = backend.get("name") if isinstance(backend, Mapping) else None
    for group, option in choices.items():
        if (found := misfit(group, option, name)) is not None:
            chose = [one.where for one in kept if one.is_group and one.key == group]
            yield Mistake(group, found[0], chose[-1] if chose else None, found[1])


def _stand_for(choices: Mapping[str, str]) -> Iterator[str]:
    for group, option in choices.items():
        if (stands_for := meaning(group, option)) is not None:
            yield f"{group}={option} is short for {stands_for.words(group)}"


def _values(
    cfg: DictConfig, choices: Mapping[str, str], number: int | None
) -> tuple[dict[str, Any], list[Mistake], FromEnv]:
    """Return the values of a configuration, with `${hydra:...}` resolved as in the running job; see `resolve`."""
    written = as_written(cfg)
    if written is not None:
        return written, [], {}
    with as_in_the_job(cfg, number) if asks_hydra(cfg) else nullcontext():
        return resolve(cfg, choices)
