"""A repository of config files for Hydra that reads each file once, and again after a change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig, OmegaConf

from hforch.config import shorthand
from hforch.config.copying import copies
from hforch.config.yaml_nodes import read_yaml

MOST_REMEMBERED = 1000

State = tuple[int, ...] | None
"""Values from a file's stat that change with the file; None if there is no file."""

States = tuple[State, ...]
"""One state for each directory that may contain the file, and one for a path that a shorthand names."""


@dataclass(frozen=True)
class Merged:
    """The merged files of a set of options.

    Attributes:
        config: returns a copy of the merged configuration.
        states: the states of the possible files of each config when it was read.
    """

    config: Callable[[], DictConfig]
    choices: Mapping[str, Any]
    states: Mapping[str, States]


_remembered: dict[Any, Callable[[], Any]] = {}  # maps configs and the states of their files to contents


def nothing_replaced(config_path: str) -> frozenset[str]:
    """Return no groups."""
    return frozenset()


class RememberingRepository(ConfigRepository):
    """A repository that shares its cache with its copies: Hydra copies the repository for every configuration.

    Attributes:
        replaced: returns the groups whose values in a config do not apply.
        used: the configs that this copy loaded, with the states of their files at that time.
    """

    def __init__(
        self, config_search_path: ConfigSearchPath, replaced: Callable[[str], frozenset[str]] = nothing_replaced
    ) -> None:
        self.replaced = replaced
        self.used: dict[str, States] = {}
        self._read: dict[tuple[tuple[str, ...], str], tuple[States, Callable[[], Any]]] = {}
        super().__init__(config_search_path)

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberingRepository:
        other = copy.copy(self)
        other.sources = list(self.sources)
        other.used = {}
        return other

    def config_exists(self, config_path: str) -> bool:
        return self._is_file(config_path) or self._shorthand(config_path) is not None

    def group_exists(self, config_path: str) -> bool:
        try:
            return bool(super().group_exists(config_path))
        except OSError:
            return False

    def load_config(self, config_path: str) -> Any:
        meaning = self._shorthand(config_path)
        if meaning is None:
            self.used[config_path], read = self._once(config_path)
            return self._without_replaced(config_path, read())
        self.used[config_path] = self.states(config_path)  # a file of that name would take precedence
        target = f"{_split(config_path)[0]}/{meaning.option}"
        self.used[target], read = self._once(target)
        result = read()
        for key, value in meaning.values.items():
            OmegaConf.update(result.config, key, value)
        return result

    def _without_replaced(self, config_path: str, result: Any) -> Any:
        """Remove the values of replaced groups from a loaded config, and return it."""
        if result is not None and OmegaConf.is_dict(result.config):
            for group in self.replaced(config_path):
                result.config.pop(group, None)
        return result

    def _is_file(self, config_path: str) -> bool:
        if shorthand.is_path(*_split(config_path)):
            return False
        try:
            return bool(super().config_exists(config_path))
        except OSError:  # a name too long for a file
            return False

    def _shorthand(self, config_path: str) -> shorthand.Meaning | None:
        """Return the meaning of a config name that is a shorthand and not a file, else None."""
        group, name = _split(config_path)
        meaning = shorthand.meaning(group, name)
        if meaning is None or self._is_file(config_path) or not self._is_file(f"{group}/{meaning.option}"):
            return None
        return meaning

    def _create_defaults_list(self, config_path: str, defaults: Any) -> Any:
        """Create a defaults list; options may be numbers, as in `device: 0`."""
        for entry in defaults:
            for key in list(entry) if OmegaConf.is_dict(entry) else ():
                written = entry._get_node(key)._value()
                name = shorthand.as_name(str(key).split()[-1].lstrip("/"), written)
                if name is not written:
                    entry[key] = name
        return super()._create_defaults_list(config_path, defaults)

    def states(self, config_path: str) -> States:
        """Return the current states of a config's possible files."""
        meant = shorthand.state_of(*_split(config_path))
        return (*(state_of(source, config_path) for source in self.sources), meant)

    def _once(self, config_path: str) -> tuple[States, Callable[[], Any]]:
        """Return the states and the content of a config, cached until one of its possible files changes."""
        key = (tuple(source.path for source in self.sources), config_path)
        if key not in self._read:
            states = self.states(config_path)
            if (key, states) not in _remembered:
                if len(_remembered) >= MOST_REMEMBERED:
                    _remembered.clear()
                self._check_file(config_path)
                _remembered[key, states] = copies(super().load_config(config_path))
            self._read[key] = states, _remembered[key, states]
        return self._read[key]

    def _check_file(self, config_path: str) -> None:
        """Check that a file is not too large or too deeply nested before OmegaConf reads it.

        Raises:
            OSError, UnicodeDecodeError, yaml.YAMLError: see `read_yaml`.
        """
        for source in self.sources:
            if source.scheme() == "file" and source.is_config(config_path):
                read_yaml(Path(source.path, f"{config_path.removesuffix('.yaml')}.yaml"))
                return


def _split(config_path: str) -> tuple[str, str]:
    """Return the group and the name of a config; the name of a model may contain slashes."""
    group, _, name = config_path.partition("/")
    return (
        (group, name) if shorthand.has_any(group) else (config_path.rpartition("/")[0], config_path.rpartition("/")[2])
    )


def state_of(source: ConfigSource, config_path: str) -> State:
    if source.scheme() != "file":
        return None
    try:
        found = Path(source.path, f"{config_path.removesuffix('.yaml')}.yaml").stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
