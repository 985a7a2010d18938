"""YAML files as trees of nodes with line numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from hforch.utils.paths import read_text

MOST_YAML = 2**20
"""The maximum size of a YAML file in bytes; a larger one takes minutes to parse."""
MOST_OPEN = 500
"""The maximum nesting of brackets; PyYAML's time is quadratic in it."""
MOST_VALUES = 200_000
"""The maximum number of values after expanding aliases, which can turn a few lines into billions."""

Segments = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A place in a YAML file.

    Attributes:
        line: the line number, from 1.
        depth: the number of segments of the path that were found.
        text: the scalar there; None for a list or a mapping.
    """

    line: int
    depth: int
    text: str | None


def read_yaml(file: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large.
        UnicodeDecodeError: the file is not valid UTF-8.
        yaml.YAMLError: it is nested too deeply, or its aliases expand to too many values.
    """
    text = read_text(file, most=MOST_YAML)
    open_now = 0
    for bracket in re.finditer(r"[\[{\]}]", text):
        open_now = max(0, open_now + (1 if bracket.group() in "[{" else -1))
        if open_now > MOST_OPEN:
            line, at = text.count("\n", 0, bracket.start()), bracket.start()
            mark = yaml.Mark(str(file), at, line, 0, None, 0)
            problem = f"nested too deeply: more than {MOST_OPEN} open brackets"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
    if "*" in text and "&" in text:
        top = yaml.compose(text, Loader=yaml.SafeLoader)
        if top is not None and _values(top, {}) > MOST_VALUES:
            problem = f"its aliases expand to more than {MOST_VALUES:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=top.start_mark)
    return text


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values in a node with aliases expanded; a recursive alias exceeds the maximum."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # if the node contains itself
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        known[id(node)] = 1 + sum(_values(each, known) for each in below)
    return known[id(node)]


@lru_cache(maxsize=256)
def _root(file: Path, changed_ns: int) -> yaml.Node | None:
    try:
        return yaml.compose(read_yaml(file), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return None


def root(file: Path) -> yaml.Node | None:
    """Return the root node, or None if the file is empty, missing or not valid YAML."""
    try:
        return _root(file, file.stat().st_mtime_ns)
    except OSError:
        return None


def find(file: Path, segments: Segments) -> Found:
    """Return the deepest place on a path that exists in the file."""
    node = root(file)
    found = Found(1, 0, node.value if isinstance(node, yaml.ScalarNode) else None)
    for depth, segment in enumerate(segments, start=1):
        step = _child(node, segment)
        if step is None:
            return found
        line, node = step
        found = Found(line, depth, node.value if isinstance(node, yaml.ScalarNode) else None)
    return found


def line_of_default(file: Path, group: str) -> int | None:
    """Return the line of the last entry in a file's defaults list for a group, as in `override /hydra/launcher: x`."""
    step = _child(root(file), "defaults")
    entries = step[1].value if step and isinstance(step[1], yaml.SequenceNode) else []
    keys = [key for entry in entries if isinstance(entry, yaml.MappingNode) for key, _ in entry.value]
    lines = [key.start_mark.line + 1 for key in keys if _group_in(str(key.value)) == group]
    return lines[-1] if lines else None


def _group_in(key: str) -> str:
    return key.split()[-1].partition("@")[0].lstrip("/") if key.split() else ""


def _child(node: yaml.Node | None, segment: str) -> tuple[int, yaml.Node] | None:
    """Return the line of a child (for a mapping, the line of its key) and the child, or None."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == segment:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and segment.isdigit() and int(segment) < len(node.value):
        child = node.value[int(segment)]
        return child.start_mark.line + 1, child
    return None
