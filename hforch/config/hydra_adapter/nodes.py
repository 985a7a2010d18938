"""Access to unresolved OmegaConf nodes, and to OmegaConf's YAML loader and dumper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def node_of(container: Any, key: Any) -> Any:
    """Return the unresolved node at a key of a container, or None."""
    return container._get_node(key)


def text_of(container: Any, key: Any) -> Any:
    """Return the unresolved value at a key; for an interpolation, its text."""
    return container._get_node(key)._value()


def is_interpolation(node: Any) -> bool:
    return bool(node._is_interpolation())


def is_missing(node: Any) -> bool:
    """Return whether a node is `???`."""
    return bool(node._is_missing())


def is_special(node: Any) -> bool:
    """Return whether a node is an interpolation, `???` or null."""
    return bool(node._is_interpolation() or node._is_missing() or node._is_none())


def open_up(config: DictConfig) -> None:
    """Allow adding keys to and deleting keys from a configuration."""
    config._set_flag("struct", False)


def yaml_loader() -> Any:
    """Return OmegaConf's YAML loader class, which reads 1e3 as a number and rejects duplicate keys."""
    from omegaconf._utils import get_yaml_loader

    return get_yaml_loader()


def yaml_dumper() -> Any:
    """Return OmegaConf's YAML dumper class, which quotes strings that its loader would read as numbers."""
    from omegaconf._utils import get_omega_conf_dumper

    return get_omega_conf_dumper()


def replace_env(on_read: Callable[[str, Any], None]) -> None:
    """Make `oc.env` call `on_read` with the name and value of each variable that it reads."""
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    def env(*arguments: Any) -> Any:
        value = oc.env(*arguments)
        on_read(str(arguments[0]), value)
        return value

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
