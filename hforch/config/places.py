"""Where configurations are looked up: our conf/, a user's folder beside it, a recipe before them all."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.shorthand import Meaning, meaning
from hforch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath

VERSION_BASE = "1.3"
JOB_NAME = "hforch"
_LOADERS: dict[Any, Any] = {}
_HYDRA_IS_GLOBAL = threading.RLock()  # one thread composes at a time


def conf_dir() -> Path:
    """The folder with hforch's own options: inside the installed package, else the repository's conf/."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


@dataclass(frozen=True)
class Places:
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

    def search_path(self) -> ConfigSearchPath:
        from hydra._internal.utils import create_config_search_path
        from hydra.core.config_search_path import SearchPathQuery

        path = create_config_search_path(str(self.main))
        for folder in self.extra:
            path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
        return path

    def loader(self) -> Any:
        """A Hydra config loader; use it inside `hydra_settings()`."""
        from hforch.config.loader import Loader

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


def find_places(
    config_dir: str | Path | None = None, config_name: str | None = None, config_path: str | Path | None = None
) -> Places:
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
    return Places(
        main=Path(config_path).resolve() if config_path else conf_dir(),
        extra=(Path(config_dir).resolve(),) if config_dir else (),
        config_name=(config_name or "config").removesuffix(".yaml"),
    )


@contextmanager
def hydra_settings() -> Iterator[None]:
    """Let Hydra compose with our settings, and give a caller who uses Hydra too their own back."""
    from hydra import version
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobRuntime, setup_globals

    held = (version.VersionBase, JobRuntime, HydraConfig)
    with _HYDRA_IS_GLOBAL, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about _self_, which Hydra says again when it runs
        before = {kind: Singleton._instances.pop(kind, None) for kind in held}
        try:
            version.setbase(VERSION_BASE)
            JobRuntime().set("name", JOB_NAME)
            setup_globals()
            yield
        finally:
            for kind, instance in before.items():
                Singleton._instances.pop(kind, None)
                if instance is not None:
                    Singleton._instances[kind] = instance


def _unusable(folder: Path) -> str | None:
    """Why a folder of options cannot be read; None if it can."""
    try:
        if not folder.is_dir():
            return f"there is no folder {folder}"
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        return f"the folder {folder} cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"
    return None
