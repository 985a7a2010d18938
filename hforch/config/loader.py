"""Hydra's config loader, reading each file once: a sweep of a hundred jobs composes the same files again and again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType

STRUCTURED = "hydra/config"  # Hydra's own settings: large, and always copied by Hydra when it takes them in
MOST_REMEMBERED = 1000

_remembered: dict[Any, Any] = {}  # what files held, by their names, times and sizes


class RememberingRepository(ConfigRepository):
    """Hydra makes a copy of its repository for every configuration; these copies share what was read."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        self._read: dict[tuple[tuple[str, ...], str], Any] = {}
        super().__init__(config_search_path)

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberingRepository:
        other = copy.copy(self)
        other.sources = list(self.sources)
        return other

    def config_exists(self, config_path: str) -> bool:
        try:
            return bool(super().config_exists(config_path))
        except OSError:  # a name too long for a file
            return False

    def group_exists(self, config_path: str) -> bool:
        try:
            return bool(super().group_exists(config_path))
        except OSError:
            return False

    def load_config(self, config_path: str) -> Any:
        key = (tuple(source.path for source in self.sources), config_path)
        if key not in self._read:
            self._read[key] = self._load(key)
        read = self._read[key]
        return copy.copy(read) if config_path == STRUCTURED else copy.deepcopy(read)

    def _load(self, key: tuple[tuple[str, ...], str]) -> Any:
        """Read a config, unless this process has read it before and none of the files that it may be in has changed."""
        state = (key, *(self._state(source, key[1]) for source in self.sources))
        if state not in _remembered:
            if len(_remembered) >= MOST_REMEMBERED:
                _remembered.clear()
            _remembered[state] = super().load_config(key[1])
        return _remembered[state]

    @staticmethod
    def _state(source: Any, config_path: str) -> tuple[int, ...] | None:
        """What tells that a file is as it was; None if there is none."""
        if source.scheme() != "file":
            return None
        try:
            found = Path(source.path, f"{config_path.removesuffix('.yaml')}.yaml").stat()
        except (OSError, ValueError):
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Loader(ConfigLoaderImpl):
    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = RememberingRepository(config_search_path)

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        if config_name is None and not overrides:
            return list(self.repository.get_group_options(group_name, results_filter))
        return list(super().get_group_options(group_name, results_filter, config_name, overrides))
