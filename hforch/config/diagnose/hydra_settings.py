"""Hydra's own settings, looked over before they are used: Hydra itself fails over a wrong one somewhere within."""

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
from hforch.errors import Mistake

KINDS = ("launcher", "sweeper")
NEEDED = ("run", "sweep", "job", "runtime", "overrides", *KINDS)
TEXTS = ("run.dir", "sweep.dir", "sweep.subdir", "job.name")
LOGGINGS = ("job_logging", "hydra_logging")


def hydra_mistakes(settings: Any) -> Iterator[Mistake]:
    """What is wrong with the `hydra` node of a composed configuration.

    Args:
        settings: the node.
    """
    if not isinstance(settings, DictConfig):
        yield Mistake(
            "hydra", "must hold Hydra's settings", hint="leave it as it is, and set single ones: hydra.KEY=VALUE"
        )
        return
    lacking = [
        name for name in ("run", "sweep", "job", "runtime", "overrides", *KINDS) if not _is_mapping(settings, name)
    ]
    yield from (Mistake(f"hydra.{name}", "must hold Hydra's settings of that name") for name in lacking)
    if lacking:
        return
    yield from _verbose(settings)
    for name in settings.job.env_copy:
        if str(name) not in os.environ:
            problem = f"the environment has no variable {name}"
            yield Mistake("hydra.job.env_copy", problem, hint=f"set it, or leave {name} out")
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
        hint = "true, the name of a logger, or a list of names"
        yield Mistake("hydra.verbose", f"must name loggers, and is {kind_of(value)}", hint=hint)


def _text(settings: DictConfig, path: str) -> Iterator[Mistake]:
    """A setting that is a text once its `${}` are resolved; those of a job not begun yet may be missing."""
    try:
        value = OmegaConf.select(settings, path, throw_on_missing=False)
    except OmegaConfBaseException as error:
        if "Missing mandatory value: hydra.job" not in str(error):
            yield Mistake(f"hydra.{path}", f"cannot be resolved: {explain(error)}")
        return
    if isinstance(value, DictConfig | ListConfig):
        yield Mistake(f"hydra.{path}", f"must be a text, and is {kind_of(value)}")


def _plugin(settings: DictConfig, kind: str) -> Iterator[Mistake]:
    """A launcher or a sweeper is one of Hydra's or of a package of plugins."""
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper

    target = settings[kind].get("_target_")
    if not isinstance(target, str):
        hint = f"choose one: hydra/{kind}=basic"
        yield Mistake(f"hydra.{kind}", f"names no {kind}", hint=hint)
        return
    if target not in installed(Launcher if kind == "launcher" else Sweeper):
        hint = f"choose one of Hydra's or of an installed plugin: hydra/{kind}=basic"
        yield Mistake(f"hydra.{kind}._target_", f"{target} is no {kind} that is installed", hint=hint)


def _callbacks(settings: DictConfig) -> Iterator[Mistake]:
    callbacks = settings.get("callbacks")
    if callbacks is None:
        return
    if not isinstance(callbacks, DictConfig):
        yield Mistake("hydra.callbacks", f"must be a mapping of names to callbacks, and is {kind_of(callbacks)}")
        return
    for name in map(str, callbacks):
        path, callback = f"hydra.callbacks.{name}", callbacks.get(name)
        target: Any = callback.get("_target_") if isinstance(callback, DictConfig) else None
        if not isinstance(target, str):
            yield Mistake(
                path, "a callback needs a _target_, the class that it is", hint=f"add {path}._target_=MODULE.CLASS"
            )
            continue
        try:
            found = find_object(target)
        except Exception as error:  # it is imported, so any
            yield Mistake(f"{path}._target_", f"'{target}' cannot be imported: {_first_line(error.__cause__ or error)}")
            continue
        if not callable(found):
            yield Mistake(f"{path}._target_", f"{target} is no class")


def _logging(settings: DictConfig, name: str) -> Iterator[Mistake]:
    """What `logging.config` would refuse, so far as it can be seen without setting it up."""
    path = f"hydra.{name}"
    try:
        config = OmegaConf.to_container(settings[name], resolve=True) if settings.get(name) is not None else None
    except OmegaConfBaseException:
        return  # what it holds of a job is known when the job begins
    if config is None:
        return
    if not isinstance(config, Mapping):
        yield Mistake(path, f"must be a mapping, as logging.config takes it, and is {kind_of(config)}")
        return
    if config and config.get("version", 1) != 1:
        yield Mistake(
            f"{path}.version", f"logging.config knows version 1, and this is {kind_of(config.get('version'))}"
        )
    for part, entry in _entries(config):
        if not isinstance(entry, Mapping):
            yield Mistake(f"{path}.{part}", f"must be a mapping, and is {kind_of(entry)}")
        elif (level := entry.get("level")) is not None and not _is_level(level):
            hint = "DEBUG, INFO, WARNING, ERROR or CRITICAL"
            yield Mistake(f"{path}.{part}.level", f"{kind_of(level)} is no level", hint=hint)


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


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
