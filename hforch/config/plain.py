"""From OmegaConf's containers to plain ones: interpolations resolved, and what cannot be is a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.errors import Mistake

EXAMPLES = {"model.id": "ORG/NAME", "model.path": "PATH", "inputs.path": "FILE", "device.name": "GPU.1"}


def plain(cfg: DictConfig, choices: Mapping[str, str]) -> tuple[dict[str, Any], list[Mistake], set[str]]:
    """Plain containers without the `hydra` node.

    Args:
        cfg: the composed configuration.
        choices: the option chosen of each group, for the messages.

    Returns:
        the tree, the mistakes, and the groups that hold a value nobody knows yet.
    """
    mistakes: list[Mistake] = []
    unknown: set[str] = set()
    tree: dict[str, Any] = {}
    for key in cfg:
        if key == "hydra":
            continue
        for path, node in _leaves(cfg, (key,)):
            group = str(path[0])
            mistake = _leaf_mistake(path, node, choices)
            if mistake is not None:
                unknown.add(group)
                if mistake.problem:
                    mistakes.append(mistake)
        if str(key) not in unknown:
            tree[str(key)] = _container(cfg[key])
    return tree, mistakes, unknown


def unresolved(cfg: DictConfig) -> Any:
    """Plain containers, interpolations as they are written."""
    return OmegaConf.to_container(cfg, resolve=False)


def _container(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _leaves(parent: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, Any]]]:
    """Every scalar, every interpolation and every `???` below, as (parent, key)."""
    key = path[-1]
    node = parent._get_node(key)
    special = node is None or node._is_interpolation() or node._is_missing() or node._is_none()
    if isinstance(node, DictConfig) and not special:
        for name in node:
            yield from _leaves(node, (*path, name))
    elif isinstance(node, ListConfig) and not special:
        for index in range(len(node)):
            yield from _leaves(node, (*path, index))
    else:
        yield path, (parent, key)


def _leaf_mistake(path: tuple[Any, ...], where: tuple[Any, Any], choices: Mapping[str, str]) -> Mistake | None:
    parent, key = where
    dotted = ".".join(str(step) for step in path)
    node = parent._get_node(key)
    if node is None:
        return None
    if node._is_missing():
        group = str(path[0])
        choice = f"{group}={choices[group]}" if group in choices else "the configuration"
        return Mistake(dotted, f"{choice} needs {dotted}", hint=f"add {dotted}={EXAMPLES.get(dotted, 'VALUE')}")
    if not node._is_interpolation():
        return None
    text = node._value()
    try:
        value = parent[key]
        if OmegaConf.is_config(value):
            OmegaConf.to_container(value, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        if "hydra" in text:
            return Mistake(dotted, "")  # Hydra knows it only when the job starts
        reason = str(error).splitlines()[0] if not isinstance(error, RecursionError) else "it refers to itself"
        return Mistake(dotted, f"{text} cannot be resolved: {reason}")
    return None
