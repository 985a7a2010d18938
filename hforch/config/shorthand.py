"""Shorthand for an option together with some of its values, such as `device=cuda:1` for `device=gpu device.index=1`.

`model=PATH` and `model=ORG/NAME` are shorthand as well (`model_names.py`). A shorthand is allowed wherever an option's
name is: on the command line, in a sweep, a defaults list or a recipe. The config repository
(`hydra_adapter/repository.py`) loads the option that the shorthand stands for, with the values set. An option file of
the same name takes precedence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hforch.config import model_names
from hforch.config.hydra_adapter.parsing import value_of, with_value
from hforch.utils.gpu_files import has_graphics_driver, has_nvidia_gpu

INDEX = r"(0|[1-9][0-9]{0,3})"


@dataclass(frozen=True)
class Meaning:
    """The meaning of a shorthand: an option of its group, and values that replace those of the option."""

    option: str
    values: Mapping[str, Any]

    def words(self, group: str) -> str:
        """Return the meaning as overrides, such as `device=gpu device.index=1`."""
        return " ".join([f"{group}={self.option}", *(f"{group}.{key}={value}" for key, value in self.values.items())])


@dataclass(frozen=True)
class Shorthand:
    """A pattern of short names for options of a group.

    Attributes:
        pattern: matches the full name.
        means: returns the meaning of a name; None if it is not a shorthand.
        library: the library that uses these names for devices; None for names defined by hforch.
    """

    group: str
    pattern: re.Pattern[str]
    means: Callable[[re.Match[str]], Meaning | None]
    library: str | None = None


def _gpu(found: re.Match[str]) -> Meaning:
    return Meaning("gpu", {"index": int(found["index"] or 0)})


def _model(found: re.Match[str]) -> Meaning | None:
    meant = model_names.meaning(found[0])
    return Meaning(*meant) if meant else None


NUMBERS = {"openvino": "OpenVINO runs on Intel GPUs and uses its own GPU numbering"}
"""A note on the GPU numbering of each library, for users of another library's device names."""
SHORTHANDS = (
    Shorthand(
        "device",
        re.compile(rf"(cuda|xpu|mps)(:(?P<index>{INDEX}))?"),
        _gpu,
        "torch",
    ),
    Shorthand("device", re.compile(rf"(gpu:)?(?P<index>{INDEX})"), _gpu),
    Shorthand("device", re.compile(r"-1|cpu:0"), lambda found: Meaning("cpu", {})),
    Shorthand("model", re.compile(model_names.PATTERN), _model),
)
EXAMPLES = {
    "device": "a GPU index, such as cuda:1, xpu:1, gpu:1 or 1",
    "model": "a directory or GGUF file (./model), or a model on the Hugging Face Hub (ORG/NAME)",
}


def has_any(group: str) -> bool:
    """Return whether a group has shorthands."""
    return any(one.group == group for one in SHORTHANDS)


def patterns(group: str) -> list[str]:
    """Return the shorthands of a group as regular expressions for JSON Schema."""
    return [re.sub(r"\?P<\w+>", "", one.pattern.pattern) for one in SHORTHANDS if one.group == group]


def meaning(group: str, name: str) -> Meaning | None:
    """Return the meaning of a name, or None if it is not a shorthand of that group."""
    return next((found for _, found in _meanings(group, name)), None)


def is_path(group: str, name: str) -> bool:
    """Return whether a name is a path by its form, so that no option has this name."""
    return group == "model" and model_names.is_path(name)


def state_of(group: str, name: str) -> tuple[int, ...] | None:
    """Return values that change if the meaning of a name may have changed, or None."""
    return model_names.state_of(name) if group == "model" else None


def allowed(group: str, options: list[str]) -> str:
    """Return the options of a group and its shorthands, for messages."""
    return ", ".join([*options, *filter(None, [hint(group)])])


def hint(group: str) -> str | None:
    """Return a hint about the shorthands of a group, or None if it has none."""
    return f"or {EXAMPLES[group]}" if group in EXAMPLES else None


def misfit(group: str, name: str, backend: str | None) -> tuple[str, str] | None:
    """Return the problem and the hint if a shorthand is not valid for a backend, else None."""
    from hforch.config.backends.registry import BACKENDS  # imports pydantic, which --cfg and --info do not need

    library = BACKENDS[backend].library if backend is not None and backend in BACKENDS else None
    of, meant = next(_meanings(group, name), (None, None))
    if of is None or meant is None or of.library is None or library is None or of.library == library:
        return None
    problem = f"'{name}' is a {of.library} device name; {NUMBERS[library]}"
    if has_nvidia_gpu() and name.startswith("cuda"):
        return problem, "use backend=pytorch, or device=cpu"
    if has_graphics_driver():
        return problem, f"write {meant.words(group)} for an OpenVINO GPU, or device=cpu"
    return problem, "use device=cpu: no GPU was found"


def as_name(group: str, value: Any) -> Any:
    """Convert a number in place of an option's name to a string, as in `device=0`; return other values unchanged."""
    return str(value) if has_any(group) and isinstance(value, int) and not isinstance(value, bool) else value


def as_option(parsed: Any) -> Any:
    """Return an override parsed by Hydra, with a number that is a shorthand converted to a string."""
    if parsed.package is not None or parsed.is_delete() or parsed.is_sweep_override():
        return parsed
    written = value_of(parsed)
    value = as_name(str(parsed.key_or_group), written)
    return parsed if value is written else with_value(parsed, value)


def _meanings(group: str, name: str) -> Iterator[tuple[Shorthand, Meaning]]:
    for one in SHORTHANDS:
        if one.group == group and (found := one.pattern.fullmatch(name)) and (meant := one.means(found)):
            yield one, meant
