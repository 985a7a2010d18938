"""Parse and validate each override separately; Hydra itself stops at its first error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hforch.config.credentials import remember_typed
from hforch.config.diagnose.option_hints import did_you_mean_option, where_it_belongs
from hforch.config.diagnose.quoting import how_to_quote
from hforch.config.diagnose.split_words import Words, grouped, mistake_in
from hforch.config.diagnose.suggestions import did_you_mean, did_you_mean_key
from hforch.config.diagnose.validation_errors import kind_of
from hforch.config.home_paths import with_home
from hforch.config.hydra_adapter.parsing import parser_of
from hforch.config.keys import OPEN_MAPPINGS, groups, in_open_mapping, keys_of, known_keys
from hforch.config.shorthand import allowed, as_option, is_path
from hforch.errors import LONGEST_VALUE, Mistake, shown
from hforch.launchers.registry import not_installed

SEVERAL = "multiple values require --multirun"
HOW_TO_WRITE = "write key=value or group=option"
LEXER = "LexerNoViableAltException: "  # precedes the override in messages of Hydra's lexer
LAUNCHER = "hydra/launcher"
SWEEP_PARAMETERS = "hydra.sweeper.params"
OPEN_IN_HYDRA = ("hydra.job.env_set.", "hydra.callbacks.")  # mappings of Hydra's to which any key can be added


@dataclass(frozen=True)
class ParsedOverride:
    """One override.

    Attributes:
        text: the override as passed to Hydra.
        where: the override as messages show it: as the user wrote it, or the file and line that contains it.
        parsed: the override parsed by Hydra.
        is_group: whether it selects an option of a group instead of setting a value.
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
    """Parse each override.

    Args:
        where: the places of overrides that come from a file; without it, they are words of a command line.

    Returns:
        The parsed overrides, and an error for each that cannot be parsed.
    """
    from hforch.config.diagnose.library_errors import REFUSALS

    parser = parser_of(loader)
    typed, mistakes = [], []
    for given in grouped(texts, loader.repository.get_group_options) if where is None else texts:
        if isinstance(given, Words):
            remember_typed(given.text)
            mistakes.append(mistake_in(given, parser))
            continue
        remember_typed(given)
        written = (where or {}).get(given, given)
        text = with_home(given)  # one that comes from a file
        try:
            parsed = as_option(parser.parse_overrides([text])[0])
        except REFUSALS as error:
            mistakes.append(_unreadable(text, written, error, parser))
            continue
        if not parsed.key_or_group:
            mistakes.append(Mistake("", f"'{text}' has no key", written, HOW_TO_WRITE))
            continue
        is_dict = not parsed.is_sweep_override() and isinstance(parsed.value(), dict)
        is_group = not is_dict and loader.repository.group_exists(parsed.key_or_group)
        typed.append(ParsedOverride(text, written, parsed, is_group))
    return typed, mistakes


def _unreadable(text: str, written: str, error: BaseException, parser: Any) -> Mistake:
    from hforch.config.diagnose.library_errors import REFUSALS

    key, equals, value = text.partition("=")
    if not equals:
        return Mistake("", f"'{shown(text, LONGEST_VALUE)}' is not an override: it has no `=`", written, HOW_TO_WRITE)
    if not key.strip("+~"):
        return Mistake("", f"'{shown(text, LONGEST_VALUE)}' has no key", written, HOW_TO_WRITE)
    try:
        parser.parse_overrides([f"{key}=0"])
    except REFUSALS:
        return Mistake("", f"'{shown(key, LONGEST_VALUE)}' is not a valid key", written, HOW_TO_WRITE)
    problem = f"cannot parse the value: {_reason(text, error)}"
    if key in groups() and (hint := where_it_belongs(key, value.strip("'\""))) is not None:
        return Mistake(key, f"'{shown(value, LONGEST_VALUE)}' is not an option of {key}", written, hint)
    return Mistake(key.lstrip("+~"), problem, written, how_to_quote(key, value))


def _reason(text: str, error: BaseException) -> str:
    """Return why Hydra's grammar cannot parse an override, from the message of its parser."""
    from hforch.config.diagnose.library_errors import explain

    message, _, below = str(error).partition("\n")
    caret = below.partition("\n")[0]
    if caret.strip() == "^" and message == f"{LEXER}{text}":
        column = caret.index("^") - len(LEXER)
        if text[column : column + 1] in ("'", '"'):
            return f"unmatched quote at column {column + 1}"
    plain = explain(error).removeprefix(LEXER).removeprefix(f"Error parsing override '{text}'; ")
    return shown(plain.removesuffix("; ^"), LONGEST_VALUE)


def without_sweeps(typed: Sequence[ParsedOverride]) -> tuple[list[ParsedOverride], list[Mistake]]:
    """Return the overrides that are not sweeps, and an error for each sweep, which a single job cannot have."""
    kept = [one for one in typed if not one.parsed.is_sweep_override()]
    mistakes = [
        Mistake(
            one.key,
            SEVERAL,
            one.where,
            "add -m to run one job per value; write [a,b] for a list, or quote the value for a string",
        )
        for one in typed
        if one.parsed.is_sweep_override()
    ]
    return kept, mistakes


# ---------------------------------------------------------------- group=option
def group_mistake(one: ParsedOverride, repo: Any, in_defaults: set[str]) -> Mistake | None:
    """Return the error in an override that selects an option, or None."""
    group, value = one.key, None if one.parsed.value_type is None else one.parsed.value()
    bare = one.text.lstrip("+~")
    if one.parsed.is_delete():
        return needed(one) if group in groups() else None
    if one.parsed.is_force_add() or (one.parsed.is_add() and group in in_defaults and one.parsed.package is None):
        return Mistake(group, "the group is already in the defaults list", one.where, f"remove the +: {bare}")
    options = repo.get_group_options(group)
    for option in value if isinstance(value, list) else [value]:
        name = "null" if option is None else str(option)
        outside = ".." in name and not is_path(group, name)
        if not isinstance(option, str) or outside or not repo.config_exists(f"{group}/{name}"):
            if group == LAUNCHER and (absent := not_installed(name)) is not None:
                return Mistake(group, absent[0], one.where, absent[1])
            return Mistake(
                group,
                f"unknown option '{shown(name, LONGEST_VALUE)}'; available: {allowed(group, options)}",
                one.where,
                did_you_mean_option(group, name, options, f"{group}={{}}") if isinstance(value, str) else None,
            )
    if not one.parsed.is_add() and group not in in_defaults:
        return Mistake(group, "the group is not in a defaults list", one.where, f"add it with a +: +{bare}")
    return None


def needed(one: ParsedOverride) -> Mistake:
    """Return the error for an override that deletes a group."""
    return Mistake(one.key, "a job needs this group", one.where, f"set an option: {one.key}=OPTION")


# ---------------------------------------------------------------- key=value
def value_mistakes(
    typed: Sequence[ParsedOverride], tree: Any, choices: dict[str, str], repo: Any, faulty: set[str]
) -> Iterator[tuple[ParsedOverride, Mistake]]:
    """Validate value overrides and yield the invalid ones with their errors, in command-line order.

    Args:
        tree: the configuration composed without these overrides, as plain containers.
        choices: the selected option of each group.
        faulty: groups with an invalid option, whose keys are therefore unknown.
    """
    added: set[tuple[str, ...]] = set()
    for one in typed:
        mistake = None
        if one.parsed.is_add() or one.parsed.is_force_add():
            mistake = _addition(one, tree)
            added.add(one.segments)
        elif one.parsed.is_delete():
            if not _has(tree, one.segments) or _at(tree, one.segments) is None:
                is_known = one.key in known_keys() or in_open_mapping(one.key)
                problem = "cannot be deleted: it is not set" if is_known else "unknown key"
                mistake = Mistake(one.key, problem, one.where, f"remove {one.text}")
            elif one.parsed.value_type is not None and one.parsed.value() != _at(tree, one.segments):
                there = kind_of(_at(tree, one.segments))
                mistake = Mistake(one.key, f"cannot be deleted: the current value is {there}", one.where)
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
        return Mistake(one.key, "is a group, not a value", one.where, f"set an option: {one.key}=OPTION")
    if one.parsed.is_force_add() or isinstance(one.parsed.value(), dict | list):
        return None
    if _has(tree, one.segments) and _at(tree, one.segments) is not None:
        return Mistake(one.key, "the key already exists", one.where, f"remove the +: {one.text.lstrip('+')}")
    return None


def unknown_key(
    one: ParsedOverride, choices: dict[str, str], repo: Any, path: tuple[str, ...] | None = None
) -> Mistake:
    """Return the error for a key that the composed configuration does not have."""
    dotted = ".".join(path or one.segments)
    group = dotted.partition(".")[0]
    holds_keys = any(key.startswith(f"{one.key}.") for key in known_keys())
    if dotted != one.key and one.key in known_keys() and not holds_keys and not in_open_mapping(dotted):
        return Mistake(dotted, "unknown key", one.where, f"write {one.key}=VALUE; its value is not a mapping")
    if in_open_mapping(dotted) or dotted.startswith(OPEN_IN_HYDRA):
        addition = one.text if dotted == one.key else f"{dotted}=VALUE"
        return Mistake(dotted, "is not set yet", one.where, f"write +{addition} to add it")
    if dotted in known_keys() and group in choices:
        options = _options_with(dotted, group, repo)
        return Mistake(
            dotted,
            f"unknown key for {group}={choices[group]}",
            one.where,
            f"options with this key: {', '.join(f'{group}={option}' for option in options)}" if options else None,
        )
    if dotted in known_keys():
        return Mistake(
            dotted, f"the group {group} is not in a defaults list", one.where, f"add it with +{group}=OPTION"
        )
    if "." not in dotted:
        known_groups = [*groups(), *(f"hydra/{name}" for name in ("launcher", "sweeper", "job_logging"))]
        hint = did_you_mean(dotted, known_groups) or did_you_mean_key(dotted, known_keys())
    else:
        hint = did_you_mean_key(dotted, known_keys() | OPEN_MAPPINGS)
    return Mistake(dotted, "unknown key", one.where, hint)


def about_sweep_parameters(mistake: Mistake) -> Mistake:
    """Return the error with a better message if an override sets sweep parameters, which is possible only in a file."""
    if (mistake.where or "").lstrip("+~").startswith(SWEEP_PARAMETERS):
        problem = "an override cannot set sweep parameters; a file can, as a mapping of keys to strings such as a,b"
        return replace(mistake, problem=problem, hint="sweep on the command line instead: -m group=a,b group.key=1,2")
    return mistake


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
            return tree  # the value is an interpolation, which is resolved later
        else:
            return _NOWHERE
    return tree


def _has(tree: Any, path: tuple[str, ...]) -> bool:
    return _at(tree, path) is not _NOWHERE
