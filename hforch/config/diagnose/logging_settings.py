"""Validate hydra.job_logging and hydra.hydra_logging with Python's own rules, without setting up logging."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hforch.config.diagnose.validation_errors import kind_of
from hforch.errors import Mistake, first_line

PARTS = ("formatters", "filters", "handlers", "loggers")
LEVELS = "use DEBUG, INFO, WARNING, ERROR or CRITICAL"


def logging_mistakes(config: Any, path: str, created: Path | None = None, cwd: Path | None = None) -> Iterator[Mistake]:
    """Yield the errors in a logging configuration.

    Args:
        config: the configuration with interpolations resolved.
        path: its config path.
        created: a directory that will exist when logging is set up.
        cwd: the working directory at that time; None for the current one.
    """
    if config is None:
        return
    if not isinstance(config, Mapping):
        yield Mistake(path, f"must be a mapping for logging.config; got {kind_of(config)}")
        return
    if "root" not in config:
        yield Mistake(path, "lacks the key root", hint=f"set {path}.root=null to disable it")
        return
    if config["root"] is None:  # Hydra does not set up logging
        return
    if config.get("version") != 1:
        got = kind_of(config.get("version"))
        yield Mistake(f"{path}.version", f"logging.config supports version 1 only; got {got}")
    several = [part for part in PARTS if part in config and not isinstance(config[part], Mapping)]
    yield from (Mistake(f"{path}.{part}", f"must be a mapping; got {kind_of(config[part])}") for part in several)
    if several or config.get("incremental"):
        return
    wrong = [(part, entry) for part, entry in _entries(config) if not isinstance(entry, Mapping)]
    yield from (Mistake(f"{path}.{part}", f"must be a mapping; got {kind_of(entry)}") for part, entry in wrong)
    if wrong:
        return
    for part, entry in _entries(config):
        if (level := entry.get("level")) is not None and not _is_level(level):
            yield Mistake(f"{path}.{part}.level", f"must be a logging level; got {kind_of(level)}", hint=LEVELS)
    yield from _Trial(config, path, created, cwd or Path.cwd()).mistakes()


def _entries(config: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    yield "root", config["root"]
    for part in PARTS:
        yield from ((f"{part}.{name}", entry) for name, entry in config.get(part, {}).items())


def _is_level(level: Any) -> bool:
    known = logging.getLevelNamesMapping()
    return (isinstance(level, int) and not isinstance(level, bool)) or (isinstance(level, str) and level in known)


class _Trial:
    """Creates formatters, filters and Python's own handlers like logging.config, but opens no files."""

    def __init__(self, config: Mapping[str, Any], path: str, created: Path | None, cwd: Path) -> None:
        self.path, self.created, self.cwd = path, created, cwd
        self.configurator: Any = logging.config.DictConfigurator(
            {part: {name: dict(entry) for name, entry in config.get(part, {}).items()} for part in PARTS}
            | {"root": dict(config["root"])}
        )
        self.config = self.configurator.config

    def mistakes(self) -> Iterator[Mistake]:
        for part, create in (
            ("formatters", self.configurator.configure_formatter),
            ("filters", self.configurator.configure_filter),
            ("handlers", self._handler),
        ):
            for name in self.config[part]:
                try:
                    self.config[part][name] = create(self.config[part][name])
                except Exception as error:  # classes of users can raise anything
                    yield Mistake(f"{self.path}.{part}.{name}", f"cannot be created: {_reason(error)}")
        loggers = {f"loggers.{name}": entry for name, entry in self.config["loggers"].items()}
        for place, logger in {**loggers, "root": self.config["root"]}.items():
            for part in ("handlers", "filters"):
                yield from self._names(f"{place}.{part}", logger.get(part), part)

    def _names(self, place: str, names: Any, part: str) -> Iterator[Mistake]:
        if names is None:
            return
        if isinstance(names, str) or not isinstance(names, list | tuple):
            yield Mistake(f"{self.path}.{place}", f"must be a list of names of {part}; got {kind_of(names)}")
            return
        known = ", ".join(self.config[part]) or "none"
        unknown = [name for name in names if name not in self.config[part]]
        yield from (Mistake(f"{self.path}.{place}", f"unknown name '{name}'; available: {known}") for name in unknown)

    def _handler(self, entry: Any) -> Any:
        """Create a handler of Python's; for others only find the class, since creating one can have side effects."""
        if "()" not in entry and not isinstance(entry.get("class"), str):
            raise ValueError("it needs a class, such as class: logging.StreamHandler")
        factory = entry.get("()", entry.get("class"))
        found = factory if callable(factory) else self.configurator.resolve(factory)
        if not (isinstance(found, type) and found.__module__ in ("logging", "logging.handlers")):
            return None
        if issubclass(found, logging.FileHandler) and "filename" in entry:
            entry = self._without_opening(entry)
        return None if "target" in entry else self.configurator.configure_handler(entry)

    def _without_opening(self, entry: Any) -> dict[str, Any]:
        file = self.cwd / str(entry["filename"])
        if file.parent != self.created and not file.parent.is_dir():
            raise ValueError(f"directory not found: {file.parent}")
        return {**entry, "delay": True}


def _reason(error: Exception) -> str:
    """Return the messages of an error and of its cause, unless the first contains the second."""
    told, cause = first_line(error), error.__cause__
    if cause is None or first_line(cause) in told:
        return told
    return f"{told}: {first_line(cause)}"
