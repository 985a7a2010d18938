"""Convert OmegaConf containers to plain ones, with interpolations resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from hforch.config.copying import copied
from hforch.config.credentials import FromEnv, reading_environment, remember_pieces, watch_environment
from hforch.config.hydra_adapter.nodes import is_interpolation, is_missing, is_special, node_of, text_of
from hforch.config.hydra_adapter.session import visible_to_resolvers
from hforch.errors import Mistake, first_line

VARIABLE = re.compile(r"Environment variable '([^']*)' not found")
EXAMPLES = {"model.id": "ORG/NAME", "model.path": "PATH", "inputs.path": "FILE", "device.name": "GPU.1"}


def resolve(cfg: DictConfig, choices: Mapping[str, str]) -> tuple[dict[str, Any], list[Mistake], FromEnv]:
    """Return the configuration without the `hydra` node as plain containers.

    Args:
        cfg: the composed configuration.
        choices: the selected option of each group, for messages.

    Returns:
        The tree, with None for values that are missing or cannot be resolved; an error for each of these; and the
        interpolations that read the environment.
    """
    watch_environment()
    mistakes: list[Mistake] = []
    from_env: dict[tuple[str | int, ...], str] = {}
    unknown: list[tuple[Any, ...]] = []
    groups = [key for key in cfg if key != "hydra"]
    for key in groups:
        for path, node in leaves(cfg, (key,)):
            with reading_environment() as variables:
                mistake = _leaf_mistake(path, node, choices)
            if mistake is not None:
                unknown.append(path)
                mistakes.append(mistake)
            elif variables:
                parent, name = node
                from_env[path] = text = str(text_of(parent, name))
                remember_pieces(_container(parent[name]), text)
    known = _without(cfg, unknown) if unknown else cfg
    return {str(key): _container(known[key]) for key in groups}, mistakes, from_env


def as_written(cfg: DictConfig) -> dict[str, Any] | None:
    """Return the tree if it contains no interpolations and no missing values, else None."""
    tree = {str(key): unresolved(cfg[key]) for key in cfg if key != "hydra" and OmegaConf.is_config(node_of(cfg, key))}
    ours = sum(1 for key in cfg if key != "hydra")
    return tree if len(tree) == ours and not any(_is_special_text(leaf) for leaf in _texts(tree)) else None


def _is_special_text(text: str) -> bool:
    return "${" in text or text == "???"


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(inner)


def _without(cfg: DictConfig, paths: Sequence[tuple[Any, ...]]) -> DictConfig:
    """Return a copy with None at these paths, so that all other values can be resolved."""
    known = copied(cfg)
    with read_write(known):
        for *above, last in paths:
            parent: Any = known
            for step in above:
                parent = node_of(parent, step)
            parent[last] = None
    return known


def unresolved(cfg: DictConfig) -> Any:
    """Return plain containers with unresolved interpolations."""
    return OmegaConf.to_container(cfg, resolve=False)


def _container(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def leaves(parent: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, Any]]]:
    """Yield the path and the (parent, key) of every scalar, interpolation and `???` in a node."""
    key = path[-1]
    node = node_of(parent, key)
    special = node is None or is_special(node)
    if isinstance(node, DictConfig) and not special:
        for name in node:
            yield from leaves(node, (*path, name))
    elif isinstance(node, ListConfig) and not special:
        for index in range(len(node)):
            yield from leaves(node, (*path, index))
    else:
        yield path, (parent, key)


def unresolvable(parent: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Exception]]:
    """Yield the path and the error of each interpolation at or below a path that cannot be resolved.

    Args:
        parent: the container at which the path starts.
    """
    for step in path[:-1]:
        parent = parent[step]
    for place, (container, key) in leaves(parent, path[-1:]):
        node = node_of(container, key)
        if node is None or is_missing(node) or not is_interpolation(node):
            continue
        try:
            _container(container[key])
        except (OmegaConfBaseException, RecursionError) as error:
            yield (*path[:-1], *place), error


def _leaf_mistake(path: tuple[Any, ...], where: tuple[Any, Any], choices: Mapping[str, str]) -> Mistake | None:
    parent, key = where
    dotted = ".".join(str(step) for step in path)
    node = node_of(parent, key)
    if node is None:
        return None
    if is_missing(node):
        group = str(path[0])
        choice = f"{group}={choices[group]}" if group in choices else "the configuration"
        return Mistake(dotted, f"required by {choice}", hint=f"add {dotted}={EXAMPLES.get(dotted, 'VALUE')}")
    if not is_interpolation(node):
        return None
    text = text_of(parent, key)
    if "${hydra." in text:
        hint = f"write {text.replace('${hydra.', '${hydra:')}"
        return Mistake(dotted, f"{text} is not available when the job runs", hint=hint)
    try:
        value = parent[key]
        if OmegaConf.is_config(value):
            OmegaConf.to_container(value, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        if missing := VARIABLE.search(str(error)):
            problem = f"{text} reads the environment variable {missing[1]}, which is not set"
            return Mistake(dotted, problem, hint=f"set it, as in: export {missing[1]}=VALUE")
        reason = first_line(error) if not isinstance(error, RecursionError) else "it refers to itself"
        return Mistake(dotted, f"{text} cannot be resolved: {reason}")
    return None


@contextmanager
def as_in_the_job(cfg: DictConfig, number: int | None) -> Iterator[DictConfig]:
    """Yield the configuration of the running job; in the block, `${hydra:...}` is resolved as in the job.

    Args:
        number: the number of the job in a sweep; None for a single run.
    """
    seen = copied(cfg)
    if number is not None:
        with read_write(seen.hydra), open_dict(seen.hydra):
            seen.hydra.job.num, seen.hydra.job.id = number, str(number)
    with suppress(OmegaConfBaseException):  # hydra_settings.py reports it
        with visible_to_resolvers(seen):
            parts = [seen.hydra.run.dir] if number is None else [seen.hydra.sweep.dir, seen.hydra.sweep.subdir]
        with read_write(seen.hydra), open_dict(seen.hydra):
            seen.hydra.runtime.output_dir = str(Path.cwd().joinpath(*map(str, parts)))
    with visible_to_resolvers(seen):
        yield seen


def asks_hydra(cfg: DictConfig) -> bool:
    """Return whether a value of the job contains `${hydra:...}`."""
    return any(
        is_interpolation(node_of(parent, name)) and "${hydra:" in text_of(parent, name)
        for key in cfg
        if key != "hydra"
        for _, (parent, name) in leaves(cfg, (key,))
        if node_of(parent, name) is not None
    )
