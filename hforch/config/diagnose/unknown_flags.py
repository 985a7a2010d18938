"""Hints for unknown flags: the closest flag, or the override that sets what users of other tools set with a flag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hforch.config.diagnose.option_hints import as_value, option_meant
from hforch.config.diagnose.quoting import as_typed
from hforch.config.diagnose.suggestions import nearest
from hforch.config.diagnose.synonyms import FLAGS, KEYS, OF_COMPARE, OPTIONS, OVERRIDES, known_as, plainly
from hforch.config.keys import groups, known_keys
from hforch.config.options import option, option_names
from hforch.config.rules import SAMPLING
from hforch.config.shorthand import meaning
from hforch.errors import Mistake

ALMOST, ALIKE = 88.0, 75.0  # minimum similarities of two names


def unknown_flags(
    unknown: Sequence[str], words: Sequence[str], flags: Mapping[str, str], program: str, takes_overrides: bool
) -> list[Mistake]:
    """Return an error with one hint for each unknown flag.

    Args:
        unknown: the flags, possibly with `=VALUE`, and words that may be their values.
        words: the command line.
        flags: the short form of each long flag, or an empty string.
        program: the command whose help lists the flags, such as `hforch compare`.
        takes_overrides: whether the command accepts overrides.
    """
    values = [_following(word, words) for word in unknown if word.startswith("-")]
    return [
        _mistake(word, _following(word, words), flags, program, takes_overrides)
        if word.startswith("-")
        else Mistake("", f"{program}: unexpected argument '{word}'", hint=f"run {program} --help for usage")
        for word in unknown
        if word.startswith("-") or not (takes_overrides or word in values)
    ]


def _mistake(word: str, after: str, flags: Mapping[str, str], program: str, takes_overrides: bool) -> Mistake:
    flag, equals, value = word.partition("=")
    hint = _hint(flag, value if equals else after, flags, takes_overrides)
    return Mistake("", f"unknown flag {flag}", hint=hint or f"run {program} --help to see all flags")


def _hint(flag: str, value: str, flags: Mapping[str, str], takes_overrides: bool) -> str | None:
    name = flag.lstrip("-")
    found = known_as(name, FLAGS, flags) or nearest(flag, flags, ALMOST)
    if found is None and takes_overrides:
        if flag in OF_COMPARE and flag not in flags:
            return f"{flag} is a flag of hforch compare: pass it there, after the run"
        if (override := _override(name, value)) is not None:
            return f"did you mean {override}?"
    longer = next((one for one in flags if one.startswith(flag) and len(name) > 1), None)
    found = found or longer or nearest(flag, flags, ALIKE)
    if found is None:
        return None
    return f"did you mean {found}{f' ({flags[found]})' if flags[found] else ''}?"


def long_flags(actions: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the short form of each long flag, from the forms of each flag of a parser."""
    return {
        flag: next((other for other in forms if not other.startswith("--")), "")
        for forms in actions
        for flag in forms
        if flag.startswith("--")
    }


def _following(word: str, words: Sequence[str]) -> str:
    """Return the word after a flag if it may be its value, else an empty string."""
    after = words[words.index(word) + 1 :][:1] if word in words else []
    return after[0] if after and not after[0].startswith("-") and "=" not in after[0] else ""


def _override(name: str, value: str) -> str | None:
    """Return the override that means the same as a flag, quoted for a shell, or None."""
    by_name: dict[str, list[str]] = {}
    for key in sorted(known_keys()):
        by_name.setdefault(plainly(key.partition(".")[2]) or plainly(key), []).append(key)
    every = {**by_name, **{plainly(group): [group] for group in groups()}}
    if not value and plainly(name) not in every:
        known = known_as(name, OVERRIDES, OVERRIDES)
        chosen = next((f"{group}={one}" for group in OPTIONS if (one := _exactly(group, name))), None)
        if known or chosen:
            return known or chosen
    found = known_as(name, KEYS, KEYS)
    close = every.get(nearest(plainly(name), every, ALIKE) or "", [])
    keys = [found] if found else [one for one in close if "." not in one] or close
    return " or ".join(_setting(key, value) for key in keys) or None


def _setting(key: str, value: str) -> str:
    """Return an override that sets a key, or selects an option of a group, with a value typed after a flag."""
    if key == "hydra/launcher" or key not in groups():
        needed = "generation=sample " if key.removeprefix("generation.") in SAMPLING else ""
        return needed + (as_typed(key, value) if value else f"{key}={_example(key)}")
    if (typed := as_value(key, value)) is not None:
        return typed
    if value in option_names(key) or meaning(key, value) is not None:
        return f"{key}={value}"
    return f"{key}={option_meant(key, value, option_names(key)) or 'OPTION'}"


def _example(key: str) -> str:
    """Return a valid value of a key: `true` for a switch, the default of an option for others, else VALUE."""
    group, _, rest = key.partition(".")
    for name in option_names(group):
        value: Any = option(group, name)
        for part in rest.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            return "true"
        if isinstance(value, int | float | str) and value != "???":
            return str(value)
    return "VALUE"


def _exactly(group: str, name: str) -> str | None:
    """Return the option of a group that a name is, or is a synonym of."""
    options = option_names(group)
    same = (one for one in options if plainly(one) == plainly(name))
    return next(same, None) or known_as(name, OPTIONS[group], options)
