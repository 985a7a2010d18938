"""Convert a job to a recipe: the options and the values that reproduce it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from hforch.config.config_dirs import conf_dir
from hforch.config.hydra_adapter.nodes import yaml_dumper, yaml_loader
from hforch.config.keys import groups
from hforch.config.schema import Job
from hforch.config.untrusted import NAMES_A_FILE, TRUST
from hforch.errors import ConfigError, Mistake
from hforch.utils.sanitize import for_yaml, is_visible


def recipe_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe for a job: the nearest option of each group, and the values that differ from it.

    All values of a group with a single option are included, since a recipe cannot select another option for it.
    """
    plain = {group: dict(part) for group, part in job.items()}
    plain["model"][TRUST] = False
    for name in plain["ov_config"]:
        if NAMES_A_FILE.search(name.upper()):
            plain["ov_config"][name] = ""
    nearest = {group: _nearest_option(group, plain[group]) for group in groups()}
    values = {
        group: part if len(_options(group)) == 1 else _difference(nearest[group][1], part)
        for group, part in plain.items()
    }
    defaults = [{group: name} for group, (name, _) in nearest.items()]
    return {"defaults": defaults, **{group: escaped(part) for group, part in values.items() if part}}


def _options(group: str) -> list[Path]:
    return sorted((conf_dir() / group).glob("*.yaml"))


def _nearest_option(group: str, wanted: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name and values of the built-in option that is closest to the values and has no other keys."""
    read = options_of(group)
    keys = dict(flat(wanted)).keys()
    fit = {name: option for name, option in read.items() if dict(flat(option)).keys() - {""} <= keys}
    if not fit:
        raise ConfigError([Mistake(group, "no built-in option has these keys, so they cannot be written to a recipe")])

    def distance(name: str) -> int:
        option = dict(flat(fit[name]))
        return sum(option.get(path) != "???" for path in differing(fit[name], wanted))

    usual = default_option(group)
    name = min(fit, key=lambda name: (distance(name), not _share_most_items(fit[name], wanted), name != usual, name))
    return name, fit[name]


def _share_most_items(option: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether most values in the lists of an option are also in a job, at the same place."""
    mine, theirs = set(_items(option)), set(_items(wanted))
    return 2 * len(mine & theirs) > max(len(mine), len(theirs))


def _items(tree: Any, path: str = "", is_listed: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the path and the representation of each value inside a list."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _items(value, f"{path}.{key}", is_listed)
    elif isinstance(tree, list | tuple):
        for place, value in enumerate(tree):
            yield from _items(value, f"{path}.{place}", True)
    elif is_listed:
        yield path, repr(tree)


@cache
def options_of(group: str) -> Mapping[str, Mapping[str, Any]]:
    """Return all built-in options of a group by name."""
    texts = {file.stem: file.read_text("utf-8") for file in _options(group)}
    return {name: _in_full(group, yaml.load(text, Loader=yaml_loader()) or {}) for name, text in texts.items()}


def default_option(group: str) -> str:
    """Return the name of the option of a group that hforch selects by default."""
    text = (conf_dir() / "config.yaml").read_text("utf-8")
    entries = yaml.load(text, Loader=yaml_loader())["defaults"]
    return next(str(entry[group]) for entry in entries if isinstance(entry, dict) and group in entry)


def _in_full(group: str, option: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the option as it would appear in a validated job, or unchanged if it is not valid on its own."""
    try:
        kind: TypeAdapter[Any] = TypeAdapter(get_type_hints(Job, include_extras=True)[group])
        found: Mapping[str, Any] = kind.dump_python(kind.validate_python(option), mode="json")
    except ValidationError:  # the option requires values that the user sets
        return option
    return found


def _difference(option: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from an option."""
    found = {}
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(option.get(key), Mapping):
            if inner := _difference(option[key], value):
                found[key] = inner
        elif key not in option or option[key] != value:
            found[key] = value
    return found


def escaped(value: Any) -> Any:
    """Escape each `${` in a value, so that OmegaConf reads it as text."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda match: f"{match[1]}{match[1]}\\${{", value)
    if isinstance(value, Mapping):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list) else value


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted paths of the values that differ; an empty mapping counts as missing."""
    left, right = ({path: value for path, value in flat(tree) if value != {}} for tree in (one, other))
    yield from (path for path in left.keys() | right.keys() if left.get(path, differing) != right.get(path, differing))


def to_yaml(data: Mapping[str, Any]) -> str:
    """Return YAML in which invisible characters are escaped, in double-quoted strings."""

    class Dumper(yaml_dumper()):  # type: ignore[misc]
        pass

    plain = Dumper.yaml_representers[str]

    def represent(dumper: Any, text: str) -> yaml.ScalarNode:
        if all(one == "\n" or is_visible(one) for one in text):
            node: yaml.ScalarNode = plain(dumper, text)
            return node
        return yaml.ScalarNode("tag:yaml.org,2002:str", text, style='"')

    Dumper.add_representer(str, represent)
    return for_yaml(yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))


def flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a tree with its dotted path; a list is one value."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from flat(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, tree
