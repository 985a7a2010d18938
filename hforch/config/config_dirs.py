"""The config search path: the built-in conf/, a user's directory, and a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hforch.config.hydra_adapter.session import search_path
from hforch.config.shorthand import Meaning, is_path, meaning
from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import expanded

_LOADERS: dict[Any, Any] = {}


def conf_dir() -> Path:
    """Return the directory with the built-in options: in the installed package, else the repository's conf/."""
    return _shipped("conf")


def recipes_dir() -> Path:
    """Return the directory with hforch's recipes: in the installed package, else the repository's recipes/."""
    return _shipped("recipes")


def _shipped(name: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    packaged = package / name
    return packaged if packaged.is_dir() else package.parent / name


@dataclass(frozen=True)
class ConfigDirs:
    """A search path and the name of the primary config.

    Attributes:
        main: the directory with the groups, by default the built-in one.
        extra: further directories; an option in `main` takes precedence over one of the same name.
        config_name: the primary config.
        exclude: the combinations that a recipe excludes from its sweep, as mappings of groups or dotted keys to values.
        jobs: the combinations that a recipe lists in addition to its sweep, as mappings of overrides.
        notes: notes for the user about how a recipe was applied.
        given_paths: the paths as a recipe states them, by their values in the configuration.
        written_as: the recipe behind each generated file; messages show the recipe.
        replaced: groups whose values in the user's primary config do not apply, because the command line or a recipe
            selects an option of the group.
    """

    main: Path
    extra: tuple[Path, ...] = ()
    config_name: str = "config"
    exclude: tuple[Mapping[str, Any], ...] = ()
    jobs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    written_as: Mapping[Path, Path] = field(default_factory=dict)
    given_paths: Mapping[str, str] = field(default_factory=dict)
    replaced: frozenset[str] = frozenset()

    def search_path(self) -> Any:
        """Return these directories as Hydra's search path."""
        return search_path(self.main, self.extra)

    def loader(self) -> Any:
        """Return a new Hydra config loader; use it inside `hydra_settings()`."""
        from hforch.config.hydra_adapter.loader import Loader

        return Loader(self.search_path(), self.has_replaced)

    def same_loader(self) -> Any:
        """Return the cached loader of this search path, or a new one; a cached loader has already read its files."""
        key = (self.main, self.extra, self.config_name, self.replaced)
        if key not in _LOADERS:
            _LOADERS.clear()
            _LOADERS[key] = self.loader()
        return _LOADERS[key]

    def has_replaced(self, config: str) -> frozenset[str]:
        """Return the groups whose values in a config, such as `project` or `model/gpt2`, do not apply."""
        is_recipe = self.written_as and config == self.config_name
        is_option = "/" in config and config != self.config_name
        return frozenset() if is_recipe or is_option else self.replaced

    def written(self) -> Path:
        """Return the recipe that is used as the primary config, else the primary config in `main`."""
        return next(iter(self.written_as.values()), self.main / f"{self.config_name}.yaml")

    def stands_for(self, group: str, name: str) -> Meaning | None:
        """Return the meaning of a shorthand; None for another name, or if an option has that name."""
        found = meaning(group, name)
        if (
            found
            and not is_path(group, name)
            and any((folder / group / f"{name}.yaml").is_file() for folder in (self.main, *self.extra))
        ):
            return None
        return found

    def show(self, file: Path) -> str:
        """Return a file's path as messages show it: relative to the current directory or to conf/, if possible."""
        file = self.written_as.get(file, file)
        if file.is_relative_to(Path.cwd()):
            return str(file.relative_to(Path.cwd()))
        if self.main == conf_dir() and file.is_relative_to(self.main):
            return str(Path("conf") / file.relative_to(self.main))
        return str(file)


def find_config_dirs(
    config_dir: str | Path | None = None, config_name: str | None = None, config_path: str | Path | None = None
) -> ConfigDirs:
    """Return the search path for the flags --config-dir, --config-name and --config-path.

    Raises:
        ConfigError: a directory does not exist or cannot be read.
    """
    config_dir, config_path = (path and expanded(path) for path in (config_dir, config_path))
    mistakes = []
    for flag, folder in (("--config-dir", config_dir), ("--config-path", config_path)):
        if folder is not None and (problem := _unusable(Path(folder))):
            mistakes.append(Mistake("", f"{flag}: {problem}", where=f"{flag} {folder}"))
    if mistakes:
        raise ConfigError(mistakes)
    return ConfigDirs(
        main=Path(config_path).resolve() if config_path else conf_dir(),
        extra=(Path(config_dir).resolve(),) if config_dir else (),
        config_name=(config_name or "config").removesuffix(".yaml"),
    )


def _unusable(folder: Path) -> str | None:
    """Return the reason why an options directory cannot be read, or None."""
    try:
        if not folder.is_dir():
            return f"directory not found: {folder}"
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        return f"cannot read directory {folder}: {(getattr(error, 'strerror', None) or str(error)).lower()}"
    return None
