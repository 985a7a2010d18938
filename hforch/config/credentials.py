"""Keep credentials out of records.

Values from the environment are recorded as interpolations. Settings that look like credentials are rejected, since a
run could not be reproduced from a record without them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hforch.errors import Mistake
from hforch.utils.credential_patterns import credentials_in
from hforch.utils.redaction import (
    is_named_secret,
    redacted,
    redacted_tree,
    remember,
    remember_named,
    remember_shapes,
    remember_variable,
)

Path = tuple[str | int, ...]
FromEnv = Mapping[Path, str]
"""The interpolations of values that come from the environment, by their paths in a job."""

# Prompts, inputs and expected answers are data, in which a column may be named `token`.
DATA = (
    *(("inputs", "items"), ("checks",), ("stop",), ("generation", "json_schema")),
    *(("prompt", name) for name in ("template", "system", "messages")),
    *(("backend", name) for name in ("replies", "failures")),
)
ADVICE = "read it from an environment variable: {path}=${{oc.env:NAME}}"

_reads: list[str] = []  # the environment variables that interpolations have read in this process


# ---------------------------------------------------------------- the environment
def watch_environment() -> None:
    """Make OmegaConf's `oc.env` remember the values that it reads, so that they are redacted everywhere."""
    from hforch.config.hydra_adapter.nodes import replace_env

    def on_read(name: str, value: Any) -> None:
        _reads.append(name)
        if name in os.environ:
            remember_variable(name, str(value))

    replace_env(on_read)


@contextmanager
def reading_environment() -> Iterator[list[str]]:
    """Collect the environment variables that are read while the block runs; the list is filled when it ends."""
    found: list[str] = []
    before = len(_reads)
    try:
        yield found
    finally:
        found += _reads[before:]
        del _reads[before:]


def remember_typed(override: str) -> None:
    """Remember the credentials in an override, even if the override is invalid."""
    remember_shapes(override)
    key = tuple(override.partition("=")[0].lstrip("+~").split("."))
    if not any(key[: len(data)] == data or data[: len(key)] == key for data in DATA):
        remember_named(override)


def remember_settings(job: Any) -> None:
    """Remember the credentials in hydra.job.env_set, and all values that hydra.job.env_copy has added to it."""
    from omegaconf import OmegaConf

    env_set: Any = OmegaConf.to_container(job.env_set)
    copied = list(job.env_copy)
    for name, value in env_set.items():
        if name in copied:
            remember_variable(name, str(value))
        elif is_named_secret(str(name), value):
            remember(str(value))


def for_name(overrides: str) -> str:
    """Return overrides for the name of a directory: without credentials, and with interpolations as plain text."""
    text = redacted(overrides)
    return text.replace("${", "{") if "oc.env" in text else text


def remember_pieces(value: Any, expression: str) -> None:
    """Remember the credentials in a value that an interpolation such as oc.decode has derived from a variable."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            remember_pieces(str(key), expression)
            remember_pieces(one, expression)
    elif isinstance(value, list | tuple):
        for one in value:
            remember_pieces(one, expression)
    elif isinstance(value, str) and any(credentials_in(value)):
        remember(value, expression)


# ---------------------------------------------------------------- a job
def refuse_credentials(tree: Mapping[str, Any], from_env: FromEnv) -> Iterator[Mistake]:
    """Yield an error for each setting that looks like a credential; those in data are only registered for redaction."""
    for path, value, is_key in _texts(with_interpolations(tree, from_env), ()):
        dotted = ".".join(map(str, path))
        named = not is_key and path not in from_env and is_named_secret(str(path[-1]), value)
        found = list(credentials_in(value)) if isinstance(value, str) else []
        if isinstance(value, str):
            remember_shapes(value)
        if _is_data(path):
            continue
        if is_key and found:
            problem = "the key looks like a credential, and it would be recorded"
            yield Mistake(dotted, problem, None, "remove it from the configuration")
        elif named or found:
            if named:
                remember(str(value))
            yield Mistake(
                dotted, "looks like a credential, which must not be recorded", None, ADVICE.format(path=dotted)
            )


def recorded(tree: Mapping[str, Any], from_env: FromEnv) -> dict[str, Any]:
    """Return the part of a record that contains a job's values.

    Returns:
        `job`: the values without credentials, with interpolations for those from the environment;
        `from_env`: these interpolations by dotted path; `redacted`: the dotted paths of the redacted values. The
        last two are omitted if empty.
    """
    from_env = {path: text for path, text in from_env.items() if is_in(tree, path)}
    whole = with_interpolations(tree, from_env)
    job = redacted_tree(whole)
    entries: dict[str, Any] = {"job": job}
    if from_env:
        entries["from_env"] = {".".join(map(str, path)): redacted(text) for path, text in from_env.items()}
    if changed := list(_changed(whole, job, "")):
        entries["redacted"] = changed
    return entries


def with_interpolations(tree: Mapping[str, Any], from_env: FromEnv) -> dict[str, Any]:
    """Return a job's values, with those from the environment replaced by their interpolations."""
    whole = copy.deepcopy(dict(tree)) if from_env else dict(tree)
    for path, text in from_env.items():
        put(whole, path, text if len(path) > 1 else {})  # a group must remain a mapping
    return whole


def put(tree: Any, path: Path, value: Any) -> None:
    """Replace the value at a path, if the path exists."""
    for step in path[:-1]:
        tree = _at(tree, step)
    if isinstance(tree, dict) and str(path[-1]) in tree:
        tree[str(path[-1])] = value
    elif isinstance(tree, list) and isinstance(path[-1], int) and path[-1] < len(tree):
        tree[path[-1]] = value


def is_in(tree: Any, path: Path) -> bool:
    """Return whether a path exists in a job; a path in a setting that prompt=auto dropped does not."""
    for step in path[:-1]:
        tree = _at(tree, step)
    if isinstance(tree, list):
        return path[-1] in range(len(tree))
    return isinstance(tree, dict) and str(path[-1]) in tree


def _at(tree: Any, step: str | int) -> Any:
    try:
        return tree[str(step) if isinstance(tree, dict) else step]
    except (KeyError, IndexError, TypeError):
        return None


def _is_data(path: Path) -> bool:
    return any(path[: len(data)] == data for data in DATA)


def may_be_named_secret(path: tuple[str, ...]) -> bool:
    """Return whether the key at a path may mark its value as a credential; keys in data may not."""
    return not _is_data(path)


def _texts(tree: Any, path: Path) -> Iterator[tuple[Path, Any, bool]]:
    """Yield every scalar and every key with its path, and whether it is a key."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield (*path, str(key)), str(key), True
            yield from _texts(value, (*path, str(key)))
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from _texts(value, (*path, number))
    elif path:
        yield path, tree, False


def _changed(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, Mapping) and list(one) == list(other):
        for key in one:
            yield from _changed(one[key], other[key], f"{path}.{key}".lstrip("."))
    elif isinstance(one, list | tuple) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _changed(left, right, f"{path}.{number}")
    elif one != other:
        yield path
