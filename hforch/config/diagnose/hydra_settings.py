"""Validate Hydra's own settings, since an invalid one makes Hydra fail with an internal traceback."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.config.diagnose.library_errors import explain
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.hydra_adapter.jobs import find_object, installed
from hforch.errors import Mistake, first_line

KINDS = ("launcher", "sweeper")
NEEDED = ("run", "sweep", "job", "runtime", "overrides", *KINDS)
TEXTS = ("run.dir", "sweep.dir", "sweep.subdir", "job.name")
LOGGINGS = ("job_logging", "hydra_logging")


def hydra_mistakes(settings: Any) -> Iterator[Mistake]:
    """Yield the errors in the `hydra` node of a composed configuration."""
    if not isinstance(settings, DictConfig):
        yield Mistake(
            "hydra", "must be a mapping of Hydra's settings", hint="set single settings instead: hydra.KEY=VALUE"
        )
        return
    lacking = [
        name for name in ("run", "sweep", "job", "runtime", "overrides", *KINDS) if not _is_mapping(settings, name)
    ]
    yield from (Mistake(f"hydra.{name}", "must be a mapping of Hydra's settings") for name in lacking)
    if lacking:
        return
    yield from _verbose(settings)
    for name in settings.job.env_copy:
        if str(name) not in os.environ:
            problem = f"environment variable {name} is not set"
            yield Mistake("hydra.job.env_copy", problem, hint=f"set it, or remove {name} from the list")
    for path in TEXTS:
        yield from _text(settings, path)
    for kind in KINDS:
        yield from _plugin(settings, kind)
    yield from _callbacks(settings)
    for name in LOGGINGS:
        yield from _logging(settings, name)


def _is_mapping(settings: DictConfig, name: str) -> bool:
    try:
        return isinstance(settings.get(name), DictConfig)
    except OmegaConfBaseException:
        return False


def _verbose(settings: DictConfig) -> Iterator[Mistake]:
    value = settings.get("verbose")
    names = list(value) if isinstance(value, ListConfig) else [value]
    if not isinstance(value, bool | None) and not all(isinstance(name, str) for name in names):
        hint = "use true, the name of a logger, or a list of names"
        yield Mistake("hydra.verbose", f"must name loggers; got {kind_of(value)}", hint=hint)


def _text(settings: DictConfig, path: str) -> Iterator[Mistake]:
    """Check that a setting resolves to a string; values that are set when the job starts may be missing."""
    try:
        value = OmegaConf.select(settings, path, throw_on_missing=False)
    except OmegaConfBaseException as error:
        if "Missing mandatory value: hydra.job" not in str(error):
            yield Mistake(f"hydra.{path}", f"cannot be resolved: {explain(error)}")
        return
    if isinstance(value, DictConfig | ListConfig):
        yield Mistake(f"hydra.{path}", f"must be a string; got {kind_of(value)}")


def _plugin(settings: DictConfig, kind: str) -> Iterator[Mistake]:
    """Check that the launcher or sweeper belongs to Hydra or to an installed plugin."""
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper

    target = settings[kind].get("_target_")
    if not isinstance(target, str):
        hint = f"use an option, such as hydra/{kind}=basic"
        yield Mistake(f"hydra.{kind}", f"needs a _target_, the class of the {kind}", hint=hint)
        return
    if target not in installed(Launcher if kind == "launcher" else Sweeper):
        hint = f"use hydra/{kind}=basic, or the {kind} of an installed plugin"
        yield Mistake(f"hydra.{kind}._target_", f"{target} is not an installed {kind}", hint=hint)


def _callbacks(settings: DictConfig) -> Iterator[Mistake]:
    callbacks = settings.get("callbacks")
    if callbacks is None:
        return
    if not isinstance(callbacks, DictConfig):
        yield Mistake("hydra.callbacks", f"must be a mapping of names to callbacks; got {kind_of(callbacks)}")
        return
    for name in map(str, callbacks):
        path, callback = f"hydra.callbacks.{name}", callbacks.get(name)
        target: Any = callback.get("_target_") if isinstance(callback, DictConfig) else None
        if not isinstance(target, str):
            yield Mistake(path, "a callback needs a _target_, its class", hint=f"add {path}._target_=MODULE.CLASS")
            continue
        try:
            found = find_object(target)
        except Exception as error:  # importing it can raise anything
            yield Mistake(f"{path}._target_", f"cannot import '{target}': {first_line(error.__cause__ or error)}")
            continue
        if not callable(found):
            yield Mistake(f"{path}._target_", f"{target} is not callable")


def _logging(settings: DictConfig, name: str) -> Iterator[Mistake]:
    """Check for settings that `logging.config` would reject, without setting up logging."""
    path = f"hydra.{name}"
    try:
        config = OmegaConf.to_container(settings[name], resolve=True) if settings.get(name) is not None else None
    except OmegaConfBaseException:
        return  # it refers to values that are set when the job starts
    if config is None:
        return
    if not isinstance(config, Mapping):
        yield Mistake(path, f"must be a mapping for logging.config; got {kind_of(config)}")
        return
    if config and config.get("version", 1) != 1:
        yield Mistake(
            f"{path}.version", f"logging.config supports version 1 only; got {kind_of(config.get('version'))}"
        )
    for part, entry in _entries(config):
        if not isinstance(entry, Mapping):
            yield Mistake(f"{path}.{part}", f"must be a mapping; got {kind_of(entry)}")
        elif (level := entry.get("level")) is not None and not _is_level(level):
            hint = "use DEBUG, INFO, WARNING, ERROR or CRITICAL"
            yield Mistake(f"{path}.{part}.level", f"must be a logging level; got {kind_of(level)}", hint=hint)


def _entries(config: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    if config.get("root") is not None:
        yield "root", config["root"]
    for kind in ("handlers", "formatters", "loggers"):
        several = config.get(kind)
        if several is None:
            continue
        if not isinstance(several, Mapping):
            yield kind, several
            continue
        for name, entry in several.items():
            yield f"{kind}.{name}", entry


def _is_level(level: Any) -> bool:
    known = logging.getLevelNamesMapping()
    return (isinstance(level, int) and not isinstance(level, bool)) or (isinstance(level, str) and level in known)
