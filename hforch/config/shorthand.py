"""Short ways to write an option of a group and values of it, such as `device=cuda:1` for `device=gpu device.index=1`.

A shorthand may stand wherever an option's name may: on the command line, in a sweep, in a defaults list, in a recipe.
The repository of options (`hydra_adapter/loader.py`) has an option of that name then: the one that it stands for, with
the values put in. An option of its own name comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hforch.config.hydra_adapter.parsing import value_of, with_value

INDEX = r"(0|[1-9][0-9]{0,3})"


@dataclass(frozen=True)
class Meaning:
    """What a shorthand stands for: an option of its group, and values that replace the option's own."""

    option: str
    values: Mapping[str, Any]

    def words(self, group: str) -> str:
        """Return it as overrides, such as `device=gpu device.index=1`."""
        return " ".join([f"{group}={self.option}", *(f"{group}.{key}={value}" for key, value in self.values.items())])


@dataclass(frozen=True)
class Shorthand:
    """A way to write options of a group.

    Attributes:
        pattern: matches a whole name.
        means: what a name stands for.
        library: whose name it is of a device; None for a name that hforch gives.
    """

    group: str
    pattern: re.Pattern[str]
    means: Callable[[re.Match[str]], Meaning]
    library: str | None = None


def _gpu(found: re.Match[str]) -> Meaning:
    return Meaning("gpu", {"index": int(found["index"] or 0)})


NUMBERS = {"openvino": "OpenVINO runs on Intel GPUs, and numbers them itself"}
"""What to say of GPUs to somebody who uses another library's names for them."""
SHORTHANDS = (
    Shorthand(
        "device",
        re.compile(rf"(cuda|xpu|mps)(:(?P<index>{INDEX}))?"),
        _gpu,
        "torch",
    ),
    Shorthand("device", re.compile(rf"(gpu:)?(?P<index>{INDEX})"), _gpu),
    Shorthand("device", re.compile(r"-1|cpu:0"), lambda found: Meaning("cpu", {})),
)
EXAMPLES = {"device": "a GPU by its number (cuda:1, xpu:1, gpu:1 or 1)"}


def has_any(group: str) -> bool:
    """Return whether options of a group have short forms."""
    return any(one.group == group for one in SHORTHANDS)


def patterns(group: str) -> list[str]:
    """Return regular expressions of the short forms of a group, as JSON Schema has them."""
    return [re.sub(r"\?P<\w+>", "", one.pattern.pattern) for one in SHORTHANDS if one.group == group]


def meaning(group: str, name: str) -> Meaning | None:
    """Return what a name stands for; None if it is no shorthand of that group."""
    found = _find(group, name)
    return found[0].means(found[1]) if found else None


def allowed(group: str, options: list[str]) -> str:
    """Return the options of a group, and what else may stand in their place, for people."""
    return ", ".join([*options, *filter(None, [EXAMPLES.get(group)])])


def hint(group: str) -> str | None:
    """Return what else may stand in the place of an option's name, for people; None if nothing may."""
    return f"or {EXAMPLES[group]}" if group in EXAMPLES else None


def misfit(group: str, name: str, backend: str | None) -> tuple[str, str] | None:
    """Return why a backend does not have what a shorthand names, and what to write there; None if it has it."""
    from hforch.config.backends.registry import BACKENDS  # imports pydantic, which showing something does without

    found = _find(group, name)
    library = BACKENDS[backend].library if backend is not None and backend in BACKENDS else None
    if found is None or found[0].library is None or library is None or found[0].library == library:
        return None
    words = found[0].means(found[1]).words(group)
    problem = f"'{name}' is {found[0].library}'s name for a GPU; {NUMBERS[library]}"
    return problem, f"write {words} if that is meant, or use backend=pytorch"


def as_name(group: str, value: Any) -> Any:
    """Return a number that stands where an option's name may as text: `device=0`; all else as it is."""
    return str(value) if has_any(group) and isinstance(value, int) and not isinstance(value, bool) else value


def as_option(parsed: Any) -> Any:
    """Return Hydra's reading of an override, in which a number that is a shorthand is text."""
    if parsed.package is not None or parsed.is_delete() or parsed.is_sweep_override():
        return parsed
    written = value_of(parsed)
    value = as_name(str(parsed.key_or_group), written)
    return parsed if value is written else with_value(parsed, value)


def _find(group: str, name: str) -> tuple[Shorthand, re.Match[str]] | None:
    for one in SHORTHANDS:
        if one.group == group and (found := one.pattern.fullmatch(name)):
            return one, found
    return None
