"""A look at each override by itself, because Hydra stops at its first mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hforch.config.credentials import remember_typed
from hforch.config.diagnose.suggestions import did_you_mean, did_you_mean_key
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.hydra_adapter.parsing import parser_of
from hforch.config.keys import OPEN_MAPPINGS, groups, in_open_mapping, keys_of, known_keys
from hforch.config.shorthand import allowed, as_option
from hforch.errors import LONGEST_VALUE, Mistake, shown

SEVERAL = "several values are a sweep"
HOW_TO_WRITE = "write key=value, or group=option"


@dataclass(frozen=True)
class ParsedOverride:
    """One override.

    Attributes:
        text: what Hydra gets.
        where: what to tell people: the override as they typed it, or the file and line that holds it.
        parsed: Hydra's own reading of the text.
        is_group: it chooses an option of a group; else it sets a value.
    """

    text: str
    where: str
    parsed: Any = field(compare=False, hash=False)
    is_group: bool

    @property
    def key(self) -> str:
        return str(self.parsed.key_or_group)

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.key.split("."))


def parse_override(
    texts: Sequence[str], loader: Any, where: dict[str, str] | None = None
) -> tuple[list[ParsedOverride], list[Mistake]]:
    """Parse each override; `where` tells of overrides that were not typed as they are."""
    from hforch.config.diagnose.library_errors import REFUSALS

    parser = parser_of(loader)
    typed, mistakes = [], []
    for text in texts:
        remember_typed(text)
        written = (where or {}).get(text, text)
        try:
            parsed = as_option(parser.parse_overrides([text])[0])
        except REFUSALS as error:
            mistakes.append(_unreadable(text, written, error, parser))
            continue
        if not parsed.key_or_group:
            mistakes.append(Mistake("", f"'{text}' names nothing", written, HOW_TO_WRITE))
            continue
        is_dict = not parsed.is_sweep_override() and isinstance(parsed.value(), dict)
        is_group = not is_dict and loader.repository.group_exists(parsed.key_or_group)
        typed.append(ParsedOverride(text, written, parsed, is_group))
    return typed, mistakes


def _unreadable(text: str, written: str, error: BaseException, parser: Any) -> Mistake:
    from hforch.config.diagnose.library_errors import REFUSALS, explain

    key, equals, value = text.partition("=")
    if not equals:
        return Mistake("", f"'{shown(text, LONGEST_VALUE)}' is no override: it has no `=`", written, HOW_TO_WRITE)
    if not key.strip("+~"):
        return Mistake("", f"'{shown(text, LONGEST_VALUE)}' names nothing", written, HOW_TO_WRITE)
    try:
        parser.parse_overrides([f"{key}=0"])
    except REFUSALS:
        return Mistake("", f"'{shown(key, LONGEST_VALUE)}' cannot be the name of a key", written, HOW_TO_WRITE)
    why = shown(explain(error).removeprefix("LexerNoViableAltException: "), LONGEST_VALUE)
    return Mistake(key.lstrip("+~"), f"the value cannot be read ({why})", written, _quoted(key, value))


def _quoted(key: str, value: str) -> str | None:
    """How to write a value that Hydra's grammar cannot read."""
    if len(value) > LONGEST_VALUE:
        return None
    if value[:1] in ("[", "{"):
        inner = value[1:-1] if value[-1:] in ("]", "}") else value[1:]
        example = f'["{inner}"]' if value[0] == "[" else f'{{name: "{inner}"}}'
        return f"""quote each text inside for Hydra, and all for the shell, such as: '{key}={example}'"""
    return f"""quote the value for Hydra, inside the shell's quotes: '{key}="{value}"'""" if value[:1] != '"' else None


def quoted(text: str) -> str:
    """A value of an override that holds any characters. Backslashes are escapes only right before a quote."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


def without_sweeps(typed: Sequence[ParsedOverride]) -> tuple[list[ParsedOverride], list[Mistake]]:
    """For a single job: the overrides that name one value, and a mistake for each that names several."""
    kept = [one for one in typed if not one.parsed.is_sweep_override()]
    mistakes = [
        Mistake(
            one.key,
            SEVERAL,
            one.where,
            "add -m to run a job for each, or write [a,b] for a list, or quote the value for one text",
        )
        for one in typed
        if one.parsed.is_sweep_override()
    ]
    return kept, mistakes


# ---------------------------------------------------------------- group=option
def group_mistake(one: ParsedOverride, repo: Any, in_defaults: set[str]) -> Mistake | None:
    """What is wrong with an override that chooses an option, if anything is."""
    group, value = one.key, None if one.parsed.value_type is None else one.parsed.value()
    bare = one.text.lstrip("+~")
    if one.parsed.is_delete():
        return needed(one) if group in groups() else None
    if one.parsed.is_force_add() or (one.parsed.is_add() and group in in_defaults and one.parsed.package is None):
        return Mistake(group, "the group is there already", one.where, f"leave the + out: {bare}")
    options = repo.get_group_options(group)
    for option in value if isinstance(value, list) else [value]:
        name = "null" if option is None else str(option)
        if not isinstance(option, str) or ".." in name or not repo.config_exists(f"{group}/{name}"):
            return Mistake(
                group,
                f"'{shown(name, LONGEST_VALUE)}' is not one of its options: {allowed(group, options)}",
                one.where,
                did_you_mean(name, options, f"{group}={{}}"),
            )
    if not one.parsed.is_add() and group not in in_defaults:
        return Mistake(group, "no defaults list names this group", one.where, f"add it with a +: +{bare}")
    return None


def needed(one: ParsedOverride) -> Mistake:
    """The mistake of taking a group away."""
    return Mistake(one.key, "a job needs this group", one.where, f"choose an option: {one.key}=OPTION")


# ---------------------------------------------------------------- key=value
def value_mistakes(
    typed: Sequence[ParsedOverride], tree: Any, choices: dict[str, str], repo: Any, faulty: set[str]
) -> Iterator[tuple[ParsedOverride, Mistake]]:
    """What is wrong with the overrides that set values, looked at in their order.

    Args:
        tree: the composed configuration without them, as plain containers.
        choices: the option chosen of each group.
        faulty: groups whose choice is a mistake, so that nobody knows which keys they have.
    """
    added: set[tuple[str, ...]] = set()
    for one in typed:
        mistake = None
        if one.parsed.is_add() or one.parsed.is_force_add():
            mistake = _addition(one, tree)
            added.add(one.segments)
        elif one.parsed.is_delete():
            if not _has(tree, one.segments):
                mistake = unknown_key(one, choices, repo)
            elif one.parsed.value_type is not None and one.parsed.value() != _at(tree, one.segments):
                there = kind_of(_at(tree, one.segments))
                mistake = Mistake(one.key, f"is {there}, which is not what is to be taken away", one.where)
        elif not any(one.segments[: len(path)] == path for path in added):
            for path in _leaves(one.segments, one.parsed.value()):
                dotted = ".".join(path)
                excused = path[0] in faulty and dotted in keys_of(path[0])
                if not excused and not _has(tree, path):
                    mistake = unknown_key(one, choices, repo, path)
                    break
        if mistake is not None:
            yield one, mistake


def _addition(one: ParsedOverride, tree: Any) -> Mistake | None:
    if one.key in groups() and not isinstance(one.parsed.value(), dict):
        return Mistake(one.key, "is a group, not a value", one.where, f"choose an option: {one.key}=OPTION")
    if one.parsed.is_force_add() or isinstance(one.parsed.value(), dict | list):
        return None
    if _has(tree, one.segments) and _at(tree, one.segments) is not None:
        return Mistake(one.key, "the key is there already", one.where, f"leave the + out: {one.text.lstrip('+')}")
    return None


def unknown_key(
    one: ParsedOverride, choices: dict[str, str], repo: Any, path: tuple[str, ...] | None = None
) -> Mistake:
    """The mistake that a key is, for which there is no place in the composed configuration."""
    dotted = ".".join(path or one.segments)
    group = dotted.partition(".")[0]
    if in_open_mapping(dotted):
        addition = one.text if dotted == one.key else f"{dotted}=VALUE"
        return Mistake(dotted, "is not set yet", one.where, f"write +{addition} to add it")
    if dotted in known_keys() and group in choices:
        options = _options_with(dotted, group, repo)
        return Mistake(
            dotted,
            f"{group}={choices[group]} has no such key",
            one.where,
            f"these have it: {', '.join(f'{group}={option}' for option in options)}" if options else None,
        )
    if dotted in known_keys():
        return Mistake(dotted, f"no defaults list names the group {group}", one.where, f"add it with +{group}=OPTION")
    if "." not in dotted:
        known_groups = [*groups(), *(f"hydra/{name}" for name in ("launcher", "sweeper", "job_logging"))]
        hint = did_you_mean(dotted, known_groups) or did_you_mean_key(dotted, known_keys())
    else:
        hint = did_you_mean_key(dotted, known_keys() | OPEN_MAPPINGS)
    return Mistake(dotted, "hforch has no such key", one.where, hint)


def _options_with(dotted: str, group: str, repo: Any) -> list[str]:
    from omegaconf import OmegaConf

    path = tuple(dotted.removeprefix(f"{group}.").split("."))
    options = {name: repo.load_config(f"{group}/{name}").config for name in repo.get_group_options(group)}
    return [name for name, config in options.items() if _has(OmegaConf.to_container(config), path)]


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves((*path, str(key)), inner)
    else:
        yield path


_NOWHERE = object()


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for segment in path:
        if isinstance(tree, dict):
            by_name = {str(key): value for key, value in tree.items()}
            if segment not in by_name:
                return _NOWHERE
            tree = by_name[segment]
        elif isinstance(tree, list) and segment.isdigit() and int(segment) < len(tree):
            tree = tree[int(segment)]
        elif isinstance(tree, str) and "${" in tree:
            return tree  # what it stands for is known only later
        else:
            return _NOWHERE
    return tree


def _has(tree: Any, path: tuple[str, ...]) -> bool:
    return _at(tree, path) is not _NOWHERE
