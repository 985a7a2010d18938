"""OmegaConf's nodes as they are written, before interpolations are resolved, and its ways to read and write YAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def node_of(container: Any, key: Any) -> Any:
    """Return what stands at a key of a container, not resolved; None if there is nothing."""
    return container._get_node(key)


def text_of(container: Any, key: Any) -> Any:
    """Return what is written at a key: of an interpolation its text."""
    return container._get_node(key)._value()


def is_interpolation(node: Any) -> bool:
    return bool(node._is_interpolation())


def is_missing(node: Any) -> bool:
    """Return whether a node is `???`."""
    return bool(node._is_missing())


def is_special(node: Any) -> bool:
    """Return whether a node holds no value that could be looked into: an interpolation, `???` or null."""
    return bool(node._is_interpolation() or node._is_missing() or node._is_none())


def open_up(config: DictConfig) -> None:
    """Let keys be added to and taken from a configuration."""
    config._set_flag("struct", False)


def yaml_loader() -> Any:
    """Return OmegaConf's class for reading YAML, which takes 1e3 for a number and refuses a key that is there twice."""
    from omegaconf._utils import get_yaml_loader

    return get_yaml_loader()


def yaml_dumper() -> Any:
    """Return OmegaConf's class for writing YAML, which quotes texts that it would read as numbers."""
    from omegaconf._utils import get_omega_conf_dumper

    return get_omega_conf_dumper()


def replace_env(told: Callable[[str, Any], None]) -> None:
    """Let `oc.env` tell of each variable that it has read, by name and value."""
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    def env(*arguments: Any) -> Any:
        value = oc.env(*arguments)
        told(str(arguments[0]), value)
        return value

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
