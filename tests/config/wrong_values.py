"""Generate wrong values for keys from the types of the schema, so that new groups and keys are fuzzed automatically."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hforch.config.config_dirs import conf_dir
from hforch.config.options import option
from hforch.config.schema import Job

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
IDENTIFIERS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,12}", fullmatch=True).filter(lambda name: name.lower() != "null")
HUGE = [2**31, 2**63, 2**64, 99999999999999999999, -(2**63) - 1, 10**400]
STRANGE = [
    "",
    " ",
    "'",
    '"',
    "\\",
    "\\'",
    "{",
    "}",
    "[a",
    "a: b",
    "%s {0}",
    "\n",
    "a\nb: \x1b[31mred",
    "\t\r\x07\x7f",
    "\u202edaer",
    "\ufeff",
    "\u2028",
    "\ud800",
    "\udcff",
    "e\u0301",
    "\U0001f9e0",
    "a" * 10_000,
    "{" * 3_000,
]


@dataclass(frozen=True)
class Key:
    """A key of a group, across all options that have it.

    Attributes:
        types: the type of the key in each of these options.
        free: whether any name is allowed, as in `ov_config`.
    """

    path: str
    types: tuple[TypeAdapter[Any], ...]
    free: bool = False

    @property
    def group(self) -> str:
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        return self.path.partition(".")[2]

    @property
    def tells_apart(self) -> bool:
        """Whether the key is the discriminator of its group."""
        return f"{self.group}.{self.name}" in _discriminators()

    def takes(self, value: Any) -> bool:
        return any(_takes(one, value) for one in self.types)

    def wrong_values(self) -> st.SearchStrategy[Any]:
        return VALUES.filter(lambda value: not self.takes(value))


def _takes(one: TypeAdapter[Any], value: Any) -> bool:
    try:
        one.validate_python(value)
    except ValidationError:
        return False
    return True


def _adapter(taken: Any) -> TypeAdapter[Any]:
    plain = get_args(taken)[0] if get_origin(taken) is Annotated else taken
    is_part = isinstance(plain, type) and issubclass(plain, BaseModel)  # has its own configuration
    return TypeAdapter(taken) if is_part else TypeAdapter(taken, config=STRICT)


# ---------------------------------------------------------------- the keys, from the types
@cache
def keys() -> tuple[Key, ...]:
    """Return every key of the schema, and some keys of mappings that allow any name."""
    found: dict[str, list[TypeAdapter[Any]]] = {}
    for group, hint in get_type_hints(Job, include_extras=True).items():
        for path, taken in _keys(group, hint):
            found.setdefault(path, []).append(_adapter(taken))
    open_to_any = [group for group, hint in get_type_hints(Job).items() if get_origin(hint) is dict]
    return tuple(Key(path, tuple(types), path.partition(".")[0] in open_to_any) for path, types in found.items())


def _keys(group: str, hint: Any) -> Iterator[tuple[str, Any]]:
    whole = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(whole) is dict:
        for name in {key for one in options(group) for key in option(group, one)} | {"ANY_NAME"}:
            yield f"{group}.{name}", get_args(whole)[1]
    for part in parts(hint):
        for name, field in part.model_fields.items():
            yield (
                f"{group}.{name}",
                Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation,
            )


def parts(hint: Any) -> list[type[BaseModel]]:
    """Return the model classes of a group."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    if get_origin(hint) is Annotated:
        return parts(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [part for inner in get_args(hint) for part in parts(inner)]
    return []


@cache
def _discriminators() -> frozenset[str]:
    return frozenset(
        f"{group}.{field.discriminator}" for group, field in Job.model_fields.items() if field.discriminator
    )


# ---------------------------------------------------------------- the options, from conf/
@cache
def options(group: str) -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


@cache
def right_values(path: str) -> tuple[Any, ...]:
    """Return the values of a key in the built-in options; each is valid on its own."""
    group, _, name = path.partition(".")
    return tuple(
        written[name] for one in options(group) if name in (written := option(group, one)) and written[name] != "???"
    )


# ---------------------------------------------------------------- values
TEXTS = st.one_of(
    st.sampled_from(STRANGE),
    st.text(st.characters(exclude_characters="\0"), max_size=8).filter(lambda text: "${" not in text),
    IDENTIFIERS,
)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from(HUGE), st.floats(allow_nan=False), st.floats())
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(st.lists(SCALARS, max_size=2), max_size=2),
    st.dictionaries(st.one_of(IDENTIFIERS, st.integers(0, 3), st.booleans()), SCALARS, max_size=3),
    st.lists(st.dictionaries(IDENTIFIERS, SCALARS, max_size=2), max_size=2),
)


def as_override(value: Any) -> str:
    """Format a value in Hydra's grammar."""
    if isinstance(value, str):
        escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
        return f"'{escaped}{backslashes_at_the_end(escaped)}'"
    if isinstance(value, list):
        return f"[{','.join(map(as_override, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{as_plain(key)}: {as_override(inner)}' for key, inner in value.items())}}}"
    return as_plain(value)


def backslashes_at_the_end(text: str) -> str:
    return text[len(text.rstrip("\\")) :]


def as_plain(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return digits(value)
    return str(value) if isinstance(value, str | float) else {None: "null", True: "true", False: "false"}[value]


def digits(number: int) -> str:
    """Format an integer, which Python refuses for more than 4,300 digits."""
    return f"{'-' if number < 0 else ''}1{'0' * 5000}" if abs(number) >= 10**4300 else str(number)


def as_yaml(value: Any) -> str:
    """Format a value as YAML on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{as_yaml(key)}: {as_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, str | float):
        style = '"' if isinstance(value, str) else None
        return yaml.safe_dump(value, width=10**9, default_style=style).removesuffix("\n").removesuffix("\n...")
    return as_plain(value)
