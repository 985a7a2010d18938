"""Where configurations are looked up: our conf/, a user's folder beside it, a recipe before them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hforch.config.hydra_adapter.session import search_path
from hforch.config.shorthand import Meaning, meaning
from hforch.errors import ConfigError, Mistake

_LOADERS: dict[Any, Any] = {}


def conf_dir() -> Path:
    """The folder with hforch's own options: inside the installed package, else the repository's conf/."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


@dataclass(frozen=True)
class ConfigDirs:
    """A search path and the name of the primary config.

    Attributes:
        main: the folder with the groups, normally ours.
        extra: folders that come after it; an option of the same name in `main` wins.
        config_name: the primary config.
        exclude: the combinations that a recipe leaves out of its sweep: values by group or dotted key.
        notes: what whoever runs a recipe should know of how it was read.
        written_as: files that stand for another one (a recipe), which is the one to tell people about.
    """

    main: Path
    extra: tuple[Path, ...] = ()
    config_name: str = "config"
    exclude: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    written_as: Mapping[Path, Path] = field(default_factory=dict)

    def search_path(self) -> Any:
        """Return Hydra's search path of these places."""
        return search_path(self.main, self.extra)

    def loader(self) -> Any:
        """A Hydra config loader; use it inside `hydra_settings()`."""
        from hforch.config.hydra_adapter.loader import Loader

        return Loader(self.search_path())

    def same_loader(self) -> Any:
        """The loader that these places were given before in this process, with what it has read; else a new one."""
        key = (self.main, self.extra, self.config_name)
        if key not in _LOADERS:
            _LOADERS.clear()
            _LOADERS[key] = self.loader()
        return _LOADERS[key]

    def written(self) -> Path:
        """The recipe that stands for the primary config; its folder's file of that name without one."""
        return next(iter(self.written_as.values()), self.main / f"{self.config_name}.yaml")

    def stands_for(self, group: str, name: str) -> Meaning | None:
        """Return what an option's name stands for; None if it is no shorthand, or an option here has that name."""
        found = meaning(group, name)
        if found and any((folder / group / f"{name}.yaml").is_file() for folder in (self.main, *self.extra)):
            return None
        return found

    def show(self, file: Path) -> str:
        """A file as a person would name it."""
        file = self.written_as.get(file, file)
        if file.is_relative_to(Path.cwd()):
            return str(file.relative_to(Path.cwd()))
        if self.main == conf_dir() and file.is_relative_to(self.main):
            return str(Path("conf") / file.relative_to(self.main))
        return str(file)


def find_config_dirs(
    config_dir: str | Path | None = None, config_name: str | None = None, config_path: str | Path | None = None
) -> ConfigDirs:
    """The places that the flags --config-dir, --config-name and --config-path name.

    Raises:
        ConfigError: a folder is not there.
    """
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
    """Why a folder of options cannot be read; None if it can."""
    try:
        if not folder.is_dir():
            return f"there is no folder {folder}"
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        return f"the folder {folder} cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"
    return None
