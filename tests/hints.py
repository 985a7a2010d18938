"""Apply the change that the hint of a configuration error suggests to a command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from hforch.config.config_dirs import conf_dir
from hforch.errors import Mistake

OVERRIDE = r"[+~]*[a-z_]+(?:/[a-z_]+)*(?:\.\w+)*=[^\s,;]+"
WHOLE = re.compile(r"(?:^remove the \+: |^write )(?P<override>\+?[a-z_]+[.=].*?)(?: to add it)?$")
QUOTED = re.compile(r": (?P<override>'[^']*'|\".*\")$")
MEANT = re.compile(r"^did you mean (?P<names>.*)\?$")
EXAMPLES = {"ORG/NAME": "org/name", "VALUE": "1"}


def as_written(name: str) -> str:
    return name.partition("=")[0].lstrip("+~")


def suggestions(overrides: list[str], mistake: Mistake) -> Iterator[list[str]]:
    """Yield the command lines that the hint of an error suggests."""
    hint = mistake.hint or ""
    # `where` is the override, or the file that the override selected.
    culprits = [one for one in overrides if mistake.where == one or (mistake.where or "").endswith(f"by {one}")]
    others = [one for one in overrides if one not in culprits]
    if found := MEANT.match(hint):
        for name in found["names"].split(" or "):
            value = culprits[0].partition("=")[2] if culprits else ""
            yield [*others, name if "=" in name else f"{name}={value}"]
    elif (typed := overrides_in(hint)) is not None:
        yield changed(overrides, typed, [culprits[0].partition("=")[0]] if culprits else [])
    elif found := WHOLE.match(hint):
        yield [*others, found["override"]]
    elif "for the shell" in hint and (found := QUOTED.search(hint)):
        yield [*others, *shlex.split(found["override"])]
    elif hint in {f"remove {one}" for one in culprits}:
        yield others
    elif hint.startswith("set an option: "):
        group = hint.removeprefix("set an option: ").removesuffix("=OPTION")
        yield [*others, f"{group}={min(file.stem for file in (conf_dir() / group).glob('*.yaml'))}"]
    else:
        separator = r", (?=\w+=)|,? or " if "=" in hint else "$^"
        for clause in re.split(separator, hint):
            without = re.findall(r"without ([a-z_.]+)", clause)
            if changes := re.findall(OVERRIDE, clause):
                yield changed(overrides, [filled(one) for one in changes], without)


def overrides_in(hint: str) -> list[str] | None:
    """Return the overrides of a hint to write some, in which words are quoted for a shell; None for another hint."""
    if not hint.startswith("write ") or not ("'" in hint or '"' in hint):
        return None
    try:
        words = shlex.split(hint.removeprefix("write ").replace(", and inputs with ", " ").partition(", such as ")[0])
    except ValueError:
        return None
    return words if all("=" in word for word in words) else None


def filled(override: str) -> str:
    for name, example in EXAMPLES.items():
        override = override.removesuffix(name) + example if override.endswith(f"={name}") else override
    return override


def changed(overrides: list[str], changes: list[str], without: list[str]) -> list[str]:
    replaced = {as_written(one) for one in changes} | set(without)
    return [*(one for one in overrides if as_written(one) not in replaced), *changes]
