"""YAML files as trees of nodes that know their lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

Segments = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A place in a YAML file.

    Attributes:
        line: counted from 1.
        depth: how many of the wanted segments were found.
        text: the scalar found there; None for a list or a mapping.
    """

    line: int
    depth: int
    text: str | None


@lru_cache(maxsize=256)
def _root(file: Path, changed_ns: int) -> yaml.Node | None:
    try:
        return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return None


def root(file: Path) -> yaml.Node | None:
    """The top node; None when the file is empty, not there, or no YAML."""
    try:
        return _root(file, file.stat().st_mtime_ns)
    except OSError:
        return None


def find(file: Path, segments: Segments) -> Found:
    """Go down from the top as far as the segments lead."""
    node = root(file)
    found = Found(1, 0, node.value if isinstance(node, yaml.ScalarNode) else None)
    for depth, segment in enumerate(segments, start=1):
        step = _child(node, segment)
        if step is None:
            return found
        line, node = step
        found = Found(line, depth, node.value if isinstance(node, yaml.ScalarNode) else None)
    return found


def _child(node: yaml.Node | None, segment: str) -> tuple[int, yaml.Node] | None:
    """The child's line (of its key, in a mapping) and the child."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == segment:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and segment.isdigit() and int(segment) < len(node.value):
        child = node.value[int(segment)]
        return child.start_mark.line + 1, child
    return None
