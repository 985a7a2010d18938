"""Validate the plugins that Hydra's settings select: launcher, sweeper and callbacks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.hydra_adapter.jobs import find_object, installed
from hforch.config.hydra_adapter.parsing import BASIC_SWEEPER
from hforch.errors import Mistake, first_line
from hforch.launchers.registry import launcher_of

KINDS = ("launcher", "sweeper")
HARMLESS = ("_target_", "_recursive_", "_convert_")
"""Hydra's own keys in the settings of an object that do not change which object is created."""
NO_OBJECTIVE = (
    "a sweeper plugin chooses jobs by the value that a job returns, but jobs of hforch return an exit code, which is 0"
    " for every job that succeeds"
)
INSTEAD = "use Hydra's basic sweeper (hydra/sweeper=basic), and choose a job with hforch compare --optimize METRIC"


def target_mistakes(settings: DictConfig, kind: str) -> Iterator[Mistake]:
    """Yield an error if the launcher or sweeper is not one that Hydra and hforch can use."""
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper

    target = _target(settings[kind])
    if target is None:
        hint = f"use an option, such as hydra/{kind}=basic"
        yield Mistake(f"hydra.{kind}", f"needs a _target_, the class of the {kind}", hint=hint)
    elif target not in installed(Launcher if kind == "launcher" else Sweeper):
        hint = f"use hydra/{kind}=basic" + (", or the launcher of an installed plugin" if kind == "launcher" else "")
        yield Mistake(f"hydra.{kind}._target_", f"{target} is not an installed {kind}", hint=hint)
    elif kind == "sweeper" and target != BASIC_SWEEPER:
        yield Mistake("hydra.sweeper", f"{target.rpartition('.')[2]} cannot be used: {NO_OBJECTIVE}", hint=INSTEAD)


def argument_mistakes(settings: DictConfig, kind: str) -> Iterator[Mistake]:
    """Yield the errors in the settings of a valid launcher or sweeper, which only a sweep uses."""
    try:
        given: Any = OmegaConf.to_container(settings[kind], resolve=True)
    except OmegaConfBaseException:
        return  # reported where it cannot be resolved
    yield from _unknown_arguments(given, f"hydra.{kind}")
    if kind == "launcher":
        for key, problem in launcher_of(given["_target_"]).mistakes(given):
            yield Mistake(f"hydra.launcher.{key}", problem)
        return
    for key, value in (given.get("params") or {}).items():
        if isinstance(value, dict | list):
            problem = f"must be a string as on the command line, such as a,b; got {kind_of(value)}"
            yield Mistake(f"hydra.sweeper.params.{key}", problem)
    size = given.get("max_batch_size")
    if size is not None and size < 1:
        problem = f"must be at least 1, or null for no limit; got {size}"
        yield Mistake("hydra.sweeper.max_batch_size", problem)


def callback_mistakes(settings: DictConfig) -> Iterator[Mistake]:
    callbacks = settings.get("callbacks")
    if callbacks is None:
        return
    if not isinstance(callbacks, DictConfig):
        yield Mistake("hydra.callbacks", f"must be a mapping of names to callbacks; got {kind_of(callbacks)}")
        return
    for name in map(str, callbacks):
        yield from _callback(callbacks, name)


def _callback(callbacks: DictConfig, name: str) -> Iterator[Mistake]:
    path = f"hydra.callbacks.{name}"
    try:
        callback = callbacks[name]
        given: Any = OmegaConf.to_container(callback, resolve=True) if OmegaConf.is_config(callback) else callback
    except OmegaConfBaseException:
        return  # reported where it cannot be resolved
    target = given.get("_target_") if isinstance(given, dict) else None
    if not isinstance(target, str):
        yield Mistake(path, "a callback needs a _target_, its class", hint=f"add {path}._target_=MODULE.CLASS")
        return
    try:
        found = find_object(target)
    except Exception as error:  # importing it can raise anything
        yield Mistake(f"{path}._target_", f"cannot import '{target}': {first_line(error.__cause__ or error)}")
        return
    if not callable(found):
        yield Mistake(f"{path}._target_", f"{target} is not callable")
    elif problem := _rejected(found, given):
        yield Mistake(path, f"{target} cannot be called: {problem}")


def _rejected(target: Callable[..., Any], given: Mapping[Any, Any]) -> str | None:
    """Return why a function does not accept the given arguments, or None if it does or its signature is unknown."""
    arguments = {str(key): value for key, value in given.items() if not re.fullmatch("_.*_", str(key))}
    try:
        signature = inspect.signature(target)
    except ValueError:
        return None
    bind = signature.bind_partial if given.get("_partial_") else signature.bind
    try:
        bind(*given.get("_args_", ()), **arguments)
    except TypeError as error:
        return str(error)
    return None


def _target(settings: DictConfig) -> str | None:
    try:
        target = settings.get("_target_")
    except OmegaConfBaseException:
        return None
    return target if isinstance(target, str) else None


def _unknown_arguments(given: dict[Any, Any], path: str) -> Iterator[Mistake]:
    """Yield an error for each setting that the class does not accept."""
    known = inspect.signature(find_object(given["_target_"])).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        known = {**known, **dict.fromkeys(given)}  # type: ignore[assignment]
    for key in map(str, given):
        if (key not in known and key not in HARMLESS) or key in ("_partial_", "_args_"):
            names = ", ".join(known) or "none"
            hint = did_you_mean(key, known) or "remove it"
            yield Mistake(f"{path}.{key}", f"unknown setting; available: {names}", hint=hint)
