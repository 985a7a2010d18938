"""Validate Hydra's own settings, since an invalid one makes Hydra fail with an internal traceback.

Hydra reads some settings once, before the first job, and others for each job, when `hydra.job.num` and
`hydra.runtime.output_dir` are known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.config.diagnose.hydra_plugins import KINDS, argument_mistakes, callback_mistakes, target_mistakes
from hforch.config.diagnose.library_errors import explain
from hforch.config.diagnose.logging_settings import logging_mistakes
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.hydra_adapter.nodes import is_missing, node_of, text_of
from hforch.config.resolving import as_in_the_job, unresolvable
from hforch.errors import Mistake

NEEDED = ("run", "sweep", "job", "runtime", "overrides", *KINDS)
READ_ONCE = ("mode", "callbacks", "hydra_logging")
READ_ONCE_IN_SWEEPS = (*READ_ONCE, *KINDS, "sweep.dir")
READ_IN_JOBS = ("verbose", "job.name", "job.env_set", "job.env_copy", "output_subdir")


def hydra_mistakes(cfg: DictConfig, is_sweep: bool) -> Iterator[Mistake]:
    """Yield the errors in the settings that Hydra reads before the first job; for a single run, in all of them."""
    if wrong := list(structure_mistakes(cfg)):
        yield from wrong
        return
    settings = cfg.hydra
    found = list(_unresolvable(settings, ("searchpath", *(READ_ONCE_IN_SWEEPS if is_sweep else READ_ONCE))))
    unknown = {one.path for one in found}
    yield from found
    if not any(path.startswith("hydra.searchpath") for path in unknown):
        yield from _search_path(settings)
    if is_sweep and "hydra.sweep.dir" not in unknown:
        yield from _text(settings, "sweep.dir")
    for kind in KINDS:
        wrong = list(target_mistakes(settings, kind))
        yield from wrong or (argument_mistakes(settings, kind) if is_sweep else ())
    yield from callback_mistakes(settings)
    yield from _logging(settings, "hydra_logging")
    if not is_sweep:
        yield from job_mistakes(cfg, None)


def structure_mistakes(cfg: DictConfig) -> Iterator[Mistake]:
    """Yield an error for each part of the `hydra` node that is not a mapping."""
    settings = cfg.get("hydra")
    if not isinstance(settings, DictConfig):
        hint = "set single settings instead: hydra.KEY=VALUE"
        yield Mistake("hydra", "must be a mapping of Hydra's settings", hint=hint)
        return
    lacking = [name for name in NEEDED if not _is_mapping(settings, name)]
    yield from (Mistake(f"hydra.{name}", "must be a mapping of Hydra's settings") for name in lacking)


def job_mistakes(cfg: DictConfig, number: int | None) -> list[Mistake]:
    """Return the errors in the settings that Hydra reads for each job.

    Args:
        cfg: a composed configuration; its `hydra` node has all parts.
        number: the number of the job in a sweep; None for a single run.
    """
    path = "run.dir" if number is None else "sweep.subdir"
    with as_in_the_job(cfg, number) as seen:
        settings = seen.hydra
        found = list(_unresolvable(settings, (path,))) or list(_text(settings, path))
        has_directory = not found
        found += _unresolvable(settings, READ_IN_JOBS)
        unknown = {one.path for one in found}
        if has_directory and "hydra.job.name" not in unknown:  # logging usually depends on both
            created = Path(settings.runtime.output_dir)
            found += _unresolvable(settings, ("job_logging",))
            found += _logging(settings, "job_logging", created, created if settings.job.chdir else None)
        if "hydra.verbose" not in unknown:
            found += _verbose(settings)
        found += _environment(settings)
        if "hydra.output_subdir" not in unknown:
            found += _output_subdir(settings)
        return found


def unresolved_setting(cfg: DictConfig, path: str) -> Any:
    """Return one of Hydra's settings, such as `sweep.dir`, as plain containers with unresolved interpolations."""
    *above, name = path.split(".")
    settings = cfg.hydra
    for step in above:
        settings = settings[step]
    node = node_of(settings, name)
    if node is None or not OmegaConf.is_config(node):
        return None if node is None else text_of(settings, name)
    return OmegaConf.to_container(node, resolve=False)


def _is_mapping(settings: DictConfig, name: str) -> bool:
    try:
        return isinstance(settings.get(name), DictConfig)
    except OmegaConfBaseException:
        return False


def _unresolvable(settings: DictConfig, paths: Sequence[str]) -> Iterator[Mistake]:
    """Yield an error for each value at or below these paths that cannot be resolved."""
    for path in paths:
        for place, error in unresolvable(settings, tuple(path.split("."))):
            yield Mistake(".".join(map(str, ("hydra", *place))), f"cannot be resolved: {explain(error)}")


def _verbose(settings: DictConfig) -> Iterator[Mistake]:
    value = settings.get("verbose")
    names = list(value) if isinstance(value, ListConfig) else [value]
    if not isinstance(value, bool) and not all(isinstance(name, str) for name in names):
        hint = "use true, false, the name of a logger, or a list of names"
        yield Mistake("hydra.verbose", f"must name loggers; got {kind_of(value)}", hint=hint)


def _search_path(settings: DictConfig) -> Iterator[Mistake]:
    """Check that the directories and packages with further options exist; Hydra only warns."""
    for number, entry in enumerate(settings.get("searchpath") or []):
        scheme, sign, place = str(entry).partition("://")
        scheme, place = (scheme, place) if sign else ("file", scheme)
        if scheme == "file" and not Path(place).is_dir():
            yield Mistake(f"hydra.searchpath.{number}", f"directory not found: {place or repr(place)}")
        if scheme == "pkg" and not _is_package(place):
            yield Mistake(f"hydra.searchpath.{number}", f"package not found: {place}")


def _is_package(name: str) -> bool:
    try:
        found = find_spec(name.replace("/", "."))
    except (ImportError, ValueError):
        return False
    return found is not None and found.submodule_search_locations is not None


def _text(settings: DictConfig, path: str) -> Iterator[Mistake]:
    """Check that a setting that can be resolved is a string and not missing."""
    value = OmegaConf.select(settings, path, throw_on_missing=False)
    if isinstance(value, DictConfig | ListConfig):
        yield Mistake(f"hydra.{path}", f"must be a string; got {kind_of(value)}")
    elif value is None:
        yield Mistake(f"hydra.{path}", "must name a directory", hint=f"set it: hydra.{path}=DIR")
    elif "\0" in str(value):
        yield Mistake(f"hydra.{path}", "contains a null character")


def _environment(settings: DictConfig) -> Iterator[Mistake]:
    for name in settings.job.env_copy:
        if str(name) not in os.environ:
            problem = f"environment variable {name} is not set"
            yield Mistake("hydra.job.env_copy", problem, hint=f"set it, or remove {name} from the list")
    for name in settings.job.env_set:
        if not name or "=" in name or "\0" in name:
            yield Mistake("hydra.job.env_set", f"{name!r} cannot be the name of an environment variable")


def _output_subdir(settings: DictConfig) -> Iterator[Mistake]:
    name = settings.get("output_subdir")
    if name is None:
        return
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        problem = f"must be a directory in that of the job; got {kind_of(name)}"
        yield Mistake("hydra.output_subdir", problem, hint="use the default, .hydra, or null")


def _logging(
    settings: DictConfig, name: str, created: Path | None = None, cwd: Path | None = None
) -> Iterator[Mistake]:
    if is_missing(node_of(settings, name)):
        yield Mistake(f"hydra.{name}", "is not set", hint=f"select an option; hydra/{name}=none disables logging")
        return
    try:
        node = settings.get(name)
        config = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except OmegaConfBaseException:
        return  # reported where it cannot be resolved
    yield from logging_mistakes(config, f"hydra.{name}", created, cwd)
