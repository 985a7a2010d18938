"""Find where a value was set: in an override, in a line of a YAML file, or both if one is an interpolation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config import yaml_nodes
from hforch.config.config_dirs import ConfigDirs, conf_dir
from hforch.config.hydra_adapter.session import hydra_settings
from hforch.config.shorthand import is_path, meaning

if TYPE_CHECKING:
    from hforch.config.diagnose.overrides import ParsedOverride

Segments = tuple[str, ...]
REFERENCE = re.compile(r"\$\{(?P<dots>\.*)(?P<path>[\w.]+)\}")


@dataclass(frozen=True)
class Origin:
    """The place where a value was set.

    Attributes:
        where: the place as messages show it.
        text: the scalar before interpolations are resolved; None for a list or a mapping.
        depth: the number of segments of the path that were found.
    """

    where: str
    text: str | None
    depth: int


class Sources:
    """The overrides and files of a composed configuration, in the order in which Hydra applies them.

    Args:
        loader: a loader that has already read the files; None: create one.
    """

    def __init__(self, config_dirs: ConfigDirs, overrides: Sequence[ParsedOverride], loader: Any = None) -> None:
        self._config_dirs, self._loader = config_dirs, loader
        self._overrides = tuple(overrides)

    def where(self, path: str) -> str | None:
        """Return the place where the value at a dotted path was set, or None if it was not set."""
        return self.where_at(tuple(path.split(".")))

    def where_at(self, segments: Segments) -> str | None:
        """Return the place where the value at a path was set, or None. Unlike in `where`, segments may contain dots."""
        return self._where(segments, seen=(segments,))

    def _where(self, segments: Segments, seen: tuple[Segments, ...]) -> str | None:
        origin = self._typed(segments) or self._below(segments) or self._written(segments)
        if origin is None:
            return None
        target = _reference(origin.text, segments[: origin.depth])
        if target is None or target in seen:
            return origin.where
        there = self._where(target + segments[origin.depth :], (*seen, target))
        return f"{origin.where}, where {origin.text} comes from {there}" if there else origin.where

    def where_exactly(self, path: str) -> str | None:
        """Return the place where the value at a dotted path was set; None if only a part of the path was found."""
        segments = tuple(path.split("."))
        origin = self._typed(segments) or self._below(segments)
        if origin is None and ((origin := self._written(segments)) is None or origin.depth < len(segments)):
            return None
        return self.where_at(segments)

    def where_option(self, group: str) -> str | None:
        """Return the place that selected the option of a group, such as `hydra/launcher`, or None."""
        typed = [one.where for one in self._overrides if one.is_group and one.key == group]
        if typed:
            return typed[-1]
        for file, _, name in reversed(self._files):
            if line := yaml_nodes.line_of_default(file, group):
                return f"{self._config_dirs.show(file)}:{line}{self._chosen(name)}"
        return None

    def is_set(self, group: str) -> bool:
        """Return whether the user selected an option of a group, or set a value in it."""
        if any(one.segments[0] == group for one in self._overrides):
            return True
        return any(
            yaml_nodes.line_of_default(file, group)
            or (group not in self._config_dirs.has_replaced(name) and yaml_nodes.find(file, (group,)).depth > 0)
            for file, package, name in self._files
            if not package and not file.is_relative_to(conf_dir())
        )

    def prepare(self) -> None:
        """Find the files before a temporary directory in the search path is deleted."""
        _ = self._files

    def _below(self, segments: Segments) -> Origin | None:
        """Return an override that created the mapping at a path by setting a key in it."""
        for override in self._overrides:
            if override.segments[: len(segments)] == segments and not override.is_group:
                return Origin(override.where, None, len(segments))
        return None

    def _typed(self, segments: Segments) -> Origin | None:
        for override in reversed(self._overrides):
            key = override.segments
            if segments[: len(key)] != key:
                continue
            if override.is_group and not override.parsed.is_delete():
                if self._sets(override, segments[len(key) :]):
                    return Origin(override.where, None, len(segments))
                continue
            value = override.parsed.value()
            if _holds(value, segments[len(key) :]):
                return Origin(override.where, value if isinstance(value, str) else None, len(key))
        return None

    def _sets(self, override: ParsedOverride, rest: Segments) -> bool:
        """Return whether the override is a shorthand that sets the value at `rest` in its group."""
        value = override.parsed.value()
        stands_for = self._config_dirs.stands_for(override.key, value) if isinstance(value, str) else None
        return bool(stands_for and rest and rest[0] in stands_for.values)

    def _written(self, segments: Segments) -> Origin | None:
        """Return the place in the last file that contains the path, or else the longest part of the path."""
        best: Origin | None = None
        for file, package, name in reversed(self._files):
            if segments[: len(package)] != package[: len(segments)]:
                continue
            if segments and segments[0] in self._config_dirs.has_replaced(name):
                continue
            if (place := self._of_shorthand(name, segments[len(package) :])) is not None:
                return Origin(place, None, len(segments))
            found = yaml_nodes.find(file, segments[len(package) :])
            depth = min(len(package) + found.depth, len(segments))
            chosen = self._chosen(name)
            origin = Origin(f"{self._config_dirs.show(file)}:{found.line}{chosen}", found.text, depth)
            if depth == len(segments) or (found.text is not None and "${" in found.text):
                return origin
            if depth > 0 and (best is None or depth > best.depth):
                best = origin
        return best

    def _of_shorthand(self, name: str, rest: Segments) -> str | None:
        """Return the place that selected a config, if its name is a shorthand that sets the value at `rest`."""
        group, _, option = name.partition("/")
        stands_for = self._config_dirs.stands_for(group, option)
        return self.where_option(group) if stands_for and rest and rest[0] in stands_for.values else None

    def _chosen(self, name: str) -> str:
        """Return `, selected by OVERRIDE` for the override that selected an option of a config's group, or ''."""
        group = name.rpartition("/")[0]
        chose = [one.where for one in self._overrides if one.is_group and one.key == group]
        return f", selected by {chose[-1]}" if chose else ""

    @cached_property
    def _files(self) -> list[tuple[Path, Segments, str]]:
        """The YAML files of the configuration with their packages and names, in the order of the defaults list."""
        from hydra.types import RunMode

        texts = [override.text for override in self._overrides]
        with hydra_settings():
            loader = self._loader or self._config_dirs.loader()
            defaults = loader.compute_defaults_list(self._config_dirs.config_name, texts, RunMode.MULTIRUN).defaults
            folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
        return [
            (
                self._config_dirs.written_as.get(file, file),
                tuple(entry.package.split(".")) if entry.package else (),
                entry.config_path,
            )
            for entry in defaults
            if (file := _option_file(folders, entry.config_path)) is not None
        ]


def _option_file(folders: Sequence[Path], name: str) -> Path | None:
    """Return the file of a config; for a shorthand, the file of its option."""
    group, _, option = name.partition("/")
    stands_for = meaning(group, option)
    found = None if is_path(group, option) else config_file(folders, name)
    return found or (config_file(folders, f"{group}/{stands_for.option}") if stands_for else None)


def config_file(folders: Sequence[Path], name: str) -> Path | None:
    """Return the file of a config such as `model/gpt2` in the first directory that has it, or None."""
    files = (folder / f"{name.removesuffix('.yaml')}.yaml" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _holds(value: Any, rest: Segments) -> bool:
    """Return whether an override's value determines the value at `rest` below its key."""
    if not rest or isinstance(value, list) or not isinstance(value, dict):
        return True  # a list or a scalar replaces the previous value
    return rest[0] in value and _holds(value[rest[0]], rest[1:])


def _reference(text: str | None, at: Segments) -> Segments | None:
    """Return the absolute path that a plain interpolation at the path `at` refers to, or None."""
    match = REFERENCE.search(text or "")
    if match is None:
        return None
    path = tuple(match["path"].split("."))
    return (*at[: len(at) - len(match["dots"])], *path) if match["dots"] else path
