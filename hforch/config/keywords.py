"""Convert keyword arguments of the Python API, such as `generation={"max_new_tokens": 20}`, to overrides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.config.as_recipe import escaped
from hforch.config.diagnose.option_hints import IS_DATA, IS_TEXT
from hforch.config.diagnose.suggestions import did_you_mean_key, nearest
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.hydra_adapter.parsing import parser_of, quoted
from hforch.config.keys import OPEN_MAPPINGS, groups, in_open_mapping, known_keys, list_keys
from hforch.config.schema import ConfigPart
from hforch.errors import LONGEST_VALUE, ConfigError, Mistake, UnknownArgument, shown
from hforch.utils.class_schemas import hint_for_class

Setting = str | int | Mapping[str, Any] | None
"""An option's name (or a GPU index), or a dict of values; None: not set."""

LISTS = {"stop": "sequences", "inputs": "items", "checks": "items"}
"""Groups that take a list, with the key that it sets."""
INLINE = ("inputs=eeg",)  # selects inputs with `items`
FILES = {"model": "local", "inputs": "file"}
"""Groups that take a pathlib.Path, with the option whose `path` it sets."""
PLAIN = re.compile(r"(?!(?i:true|false|null|nan|inf)\Z)[A-Za-z_][\w./@:-]*")  # strings that need no quotes
SPECIAL_IN_KEY = re.compile(r"([\\()\[\]{}:=,\t])")
INSTEAD = {
    "model_id": "model",
    "model_name": "model",
    "repo_id": "model",
    "max_tokens": "generation={'max_new_tokens': ...}",
    "device_map": "device={'device_map': ...}",
    "dtype": "precision",
    "torch_dtype": "precision",
    "model_kwargs": "the groups model, precision, generation and ov_config",
}
"""Names of other libraries, and what to use instead; a key of a group needs no entry."""


def overrides_of(overrides: Sequence[str], given: Mapping[str, Any], sweeps: bool = False) -> list[str]:
    """Return overrides as on the command line, followed by those of keyword arguments, which take precedence.

    Args:
        given: an option's name, a dict of values, a list (`stop`, `inputs`, `checks`) or a path (`model`, `inputs`) by
            group; other names, and groups without a value, are ignored.
        sweeps: whether several options (a list, or a string with commas), and a list of values for a key that takes no
            list, are swept over.

    Raises:
        ConfigError: an argument is not of these types, or an override is not a string.
    """
    mistakes = [_not_a_string(one) for one in overrides if not isinstance(one, str)]
    found: list[str] = []
    for group in groups():
        if (value := given.get(group)) is not None:
            try:
                found += _of_group(group, value, sweeps)
            except ConfigError as error:
                mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return [*overrides, *found]


def refuse_unknown(names: Collection[str], known: Collection[str]) -> None:
    """Raise UnknownArgument for names of keyword arguments that are not known, each with what to use instead."""
    if unknown := [name for name in names if name not in known]:
        raise UnknownArgument("; ".join(_unknown(name, known) for name in unknown))


def _unknown(name: str, known: Collection[str]) -> str:
    problem = f"unknown keyword argument {name!r}"
    if name in groups():
        return f"{problem}: the group {name} does not affect a loaded model; pass it to hforch.run"
    if name in INSTEAD:
        return f"{problem}; use {INSTEAD[name]}"
    keys = [key for key in known_keys() if key.partition(".")[2] == name or key == name]
    if not keys and (found := nearest(name, known, cutoff=70.0)):
        return f"{problem}; did you mean {found}?"
    if not keys and (hint := did_you_mean_key(name, known_keys())):
        keys = hint.removeprefix("did you mean ").removesuffix("?").split(" or ")
    written = [f"{group}={{{key!r}: ...}}" for group, _, key in (each.partition(".") for each in sorted(keys)) if key]
    return f"{problem}; {'write ' + ' or '.join(written) if written else 'available: ' + ', '.join(known)}"


def _not_a_string(override: object) -> Mistake:
    what = f"an override must be a string; got {kind_of(_plain(override))}"
    return Mistake("", what, None, 'write "group=option" or "group.key=value", or use keyword arguments')


def _of_group(group: str, value: Any, sweeps: bool) -> Iterator[str]:
    if isinstance(value, Path) and group in FILES:
        yield from (f"{group}={FILES[group]}", _written(f"{group}.path", value))
        return
    value = _plain(value)
    if isinstance(value, Mapping) and (hint := _list_hint(group, value)):
        raise ConfigError([Mistake(group, "must be a list; got a single dict", None, hint)])
    if isinstance(value, Mapping):
        yield from _values(group, value, sweeps)
    elif isinstance(value, list) and group in LISTS:
        yield from INLINE if group == "inputs" else ()
        yield _written(f"{group}.{LISTS[group]}", value)
    elif isinstance(value, str) and "," in value and sweeps:
        yield _choices(group, [name.strip() for name in value.split(",")])
    elif isinstance(value, list) and value and sweeps:
        yield _choices(group, value)
    elif isinstance(value, str) and not _is_list_item(group, value):
        yield _written(group, value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield f"{group}={value}"
    else:
        kinds = f"the name of an option{', a list' if group in LISTS else ''} or a dict of values"
        if isinstance(value, list):
            hint = "only hforch.sweep takes several options"
        elif group not in LISTS:
            hint = f"{group}={{'key': value}}"
        else:
            hint = _as_list(group, value)
        raise ConfigError([Mistake(group, f"must be {kinds}; got {_kind(value)}", None, hint)])


def _is_list_item(group: str, text: str) -> bool:
    """Return whether a string is a stop sequence, an input or the path of an input file, not the name of an option."""
    if group == "stop":
        return not re.fullmatch(r"[\w./-]+", text)
    return group == "inputs" and bool(IS_TEXT.search(text) or IS_DATA.fullmatch(text))


def _list_hint(group: str, values: Mapping[Any, Any]) -> str | None:
    """Return how to write a dict that is an item of a group's list and not a dict of the group's values, or None."""
    keys = {key.split(".")[1] for key in known_keys() if key.startswith(f"{group}.")}
    is_item = group in LISTS and group != "stop" and values and not keys & set(map(str, values))
    return f"write {group}=[{shown(repr(dict(values)), LONGEST_VALUE)}]" if is_item else None


def _as_list(group: str, value: Any) -> str:
    """Return how to write a value that is none of a group's types."""
    if isinstance(value, str) and group == "inputs" and IS_DATA.fullmatch(value):
        return f"for a file, write inputs=Path({value!r}), with Path from pathlib"
    if isinstance(value, str):
        what = {"stop": "stop sequences", "inputs": "inputs"}.get(group, "items")
        return f"for {what}, pass a list: {group}=[{shown(repr(value), LONGEST_VALUE)}]"
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return f"for a DataFrame, write {group}=frame.to_dict('records')"
    return f"write {group}=list(...)"


def _kind(value: Any) -> str:
    """Return a value with its YAML type, or the name of its class if it has none."""
    is_plain = value is None or isinstance(value, str | int | float | list | Mapping)
    return kind_of(value) if is_plain else f"a value of type {type(value).__name__}"


def _values(path: str, values: Mapping[Any, Any], sweeps: bool) -> Iterator[str]:
    """Yield an override for each value; a mapping that is the value of one key is one override."""
    for name, value in values.items():
        key = f"{path}.{name}"
        if not isinstance(name, str) or not re.fullmatch(r"[\w./-]+", name):
            problem = f"the keys of a dict must be names; got {name!r}"
            raise ConfigError([Mistake(path, problem, None, "use strings such as 'max_new_tokens'")])
        has_keys = any(known.startswith(f"{key}.") for known in known_keys())
        if isinstance(value, Mapping) and value and (key in OPEN_MAPPINGS or has_keys):
            yield from _values(key, value, sweeps)
        else:
            is_swept = sweeps and isinstance(value, list) and len(value) > 0 and key not in list_keys()
            override = _choices(key, value) if is_swept else _written(key, value)
            yield f"{'++' if in_open_mapping(key) else ''}{override}"


def _choices(key: str, values: Sequence[Any]) -> str:
    """Return an override that sweeps over values."""
    written = [_written(key, value).partition("=")[2] for value in values]
    return f"{key}={','.join(written)}"


def _written(key: str, value: Any) -> str:
    """Return an override that sets a value.

    Raises:
        ConfigError: Hydra's grammar cannot express the value.
    """
    value = escaped(_plain(value))
    if isinstance(value, type):
        hint = f"for a JSON Schema, write {hint_for_class(value)}"
        raise ConfigError([Mistake(key, f"must be a value; got the class {value.__name__}", None, hint)])
    try:
        override = f"{key}={_grammar(value)}"
    except TypeError as error:
        raise ConfigError([Mistake(key, str(error), None, "use strings, numbers, lists and dicts")]) from error
    try:
        is_read_back = parser_of(None).parse_overrides([override])[0].value() == value
    except Exception:  # Hydra's parser raises its own errors and those of ANTLR
        is_read_back = False
    if not is_read_back:  # for example, a quote in a key
        problem, hint = "the value cannot be written as an override", "write it to a file: a recipe or an option"
        raise ConfigError([Mistake(key, problem, None, hint)])
    return override


def _grammar(value: Any) -> str:
    """Return a value in Hydra's override grammar.

    Raises:
        TypeError: it is not a value of YAML.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) else quoted(value)
    if isinstance(value, Mapping):
        pairs = (f"{SPECIAL_IN_KEY.sub(_backslashed, str(key))}: {_grammar(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_grammar, value))}]"
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as an override")


def _backslashed(found: re.Match[str]) -> str:
    return f"\\{found[1]}"


def _plain(value: Any) -> Any:
    """Return a value in the types of YAML: lists, dicts, strings, and Python's own numbers."""
    if isinstance(value, ConfigPart):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.item() if hasattr(value, "item") and callable(value.item) else value
