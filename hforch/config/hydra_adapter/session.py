"""Set up Hydra's global state for hforch, and restore the caller's state afterwards."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from omegaconf import DictConfig

VERSION_BASE = "1.3"
JOB_NAME = "hforch"
_HYDRA_IS_GLOBAL = threading.RLock()  # one thread composes at a time


def search_path(main: Path, extra: Sequence[Path]) -> ConfigSearchPath:
    """Return Hydra's search path for these directories: first `main`, then the others."""
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    path = create_config_search_path(str(main))
    for folder in extra:
        path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
    return path


@contextmanager
def hydra_settings() -> Iterator[None]:
    """Use hforch's Hydra settings while the block runs, then restore those of a caller that also uses Hydra."""
    from hydra import version
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobRuntime

    held = (version.VersionBase, JobRuntime, HydraConfig)
    with _HYDRA_IS_GLOBAL, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the warning about _self_, which Hydra repeats when it runs
        before = {kind: Singleton._instances.pop(kind, None) for kind in held}
        try:
            version.setbase(VERSION_BASE)
            JobRuntime().set("name", JOB_NAME)
            register_resolvers()
            yield
        finally:
            for kind, instance in before.items():
                Singleton._instances.pop(kind, None)
                if instance is not None:
                    Singleton._instances[kind] = instance


def register_resolvers() -> None:
    """Register Hydra's resolvers: `${hydra:...}` and `${now:...}`."""
    from hydra.core.utils import setup_globals

    setup_globals()


@contextmanager
def global_hydra(make_loader: Callable[[], Any]) -> Iterator[Any]:
    """Yield a Hydra object with hforch's loader, which is the global one while the block runs, as plugins require."""
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    version.setbase(VERSION_BASE)
    try:
        hydra = Hydra(task_name=JOB_NAME, config_loader=make_loader())
        GlobalHydra.instance().initialize(hydra)
        yield hydra
    finally:
        GlobalHydra.instance().clear()


def settings_of_job() -> Any:
    """Return the `hydra` node of the running job."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get()


@contextmanager
def visible_to_resolvers(config: DictConfig) -> Iterator[None]:
    """Make `${hydra:...}` read from a configuration while the block runs."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    before, is_readonly = HydraConfig.instance().cfg, OmegaConf.is_readonly(config.hydra)
    try:
        HydraConfig.instance().set_config(config)  # makes config.hydra read-only
        yield
    finally:
        HydraConfig.instance().cfg = before
        OmegaConf.set_readonly(config.hydra, is_readonly)
