"""Generate JSON Schemas from the config types: for a job, and for the YAML files that users write.

A user's file contains a part of a job: no key is required, and any value may be an interpolation. Descriptions of keys
and the options of groups are read from conf/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hforch.config.config_dirs import conf_dir
from hforch.config.frozen import Frozen
from hforch.config.keys import OPEN_MAPPINGS, groups, known_keys
from hforch.config.options import options
from hforch.config.recipe_check import LAUNCHER
from hforch.config.schema import Job
from hforch.config.shorthand import patterns
from hforch.launchers.registry import all_launchers

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LATER: Schema = {
    "type": "string",
    "pattern": r"\$\{|^\?\?\?$",
    "description": "an interpolation, or ??? for a mandatory value",
}
NAME: Schema = {"type": "string", "pattern": r"^[\w./-]+$"}
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
COMMENT = re.compile(r"^(?P<key>\w+):.*?\s#\s(?P<text>.+)$")
_NUMBERS: Schema = {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/numbers"}]}


def names() -> tuple[str, ...]:
    """Return the names of all schemas."""
    return ("job", "recipe", "config", *groups())


def schema_of(name: str) -> Schema:
    """Return a schema by its name, one of `names()`: a job, a recipe, a primary config, or an option of a group."""
    made = {"job": job, "recipe": recipe, "config": config}
    return made[name]() if name in made else option(name)


def job() -> Schema:
    """Return the schema of a complete job, as in record.json."""
    return {"$schema": DIALECT, **Job.model_json_schema(), "title": "hforch job"}


def option(group: str) -> Schema:
    """Return the schema of an option of a group: DIR/GROUP/NAME.yaml."""
    part = _part(group)
    chosen: Schema = {"anyOf": [{"enum": [*options(group), "_self_"]}, {"type": ["string", "object"]}]}
    defaults = {"type": "array", "items": chosen, "description": "the options that this one extends"}
    properties = {"defaults": defaults, **part.get("properties", {})}
    return _file(f"hforch {group} option", {**part, "properties": properties})


def recipe() -> Schema:
    """Return the schema of a recipe: options, values and a sweep."""
    entry = _closed({group: _choice(group) for group in groups()} | {LAUNCHER: NAME})
    frozen = Frozen.model_json_schema()
    parts = frozen.pop("$defs")
    properties: dict[str, Schema] = {
        "name": {"type": "string", "description": "the recipe's name"},
        "description": {"type": "string", "description": "what the recipe is for"},
        "defaults": {
            "type": "array",
            "items": entry | {"minProperties": 1, "maxProperties": 1},
            "description": "the options, one `group: option` per entry",
        },
        **{group: _part(group) for group in groups()},
        "jobs": {
            "type": "array",
            "items": _listed_job(),
            "minItems": 1,
            "description": "combinations to run in addition to the sweep, such as {backend: pytorch, precision: int4}",
        },
        "exclude": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": SCALAR | {"type": [*SCALAR["type"], "array"]}},
            "description": "combinations to exclude from the sweep, such as {backend: pytorch, precision: int4}",
        },
        "frozen": {**frozen, "description": "the run that hforch freeze recorded; not passed to Hydra"},
        "hydra": _closed({"sweeper": _closed({"params": _sweep()}), "launcher": _launcher()}),
    }
    numbers: Schema = {"type": "object", "additionalProperties": _NUMBERS}
    swept = SCALAR | {"description": "values as on the command line, such as a,b or range(1,4)"}
    return _file("hforch recipe", _closed(properties), {"numbers": numbers, "swept": swept, **parts})


def config() -> Schema:
    """Return the schema of a primary config, as for --config-name."""
    properties: dict[str, Schema] = {
        "defaults": {"type": "array", "items": {"type": ["string", "object"]}},
        **{group: _part(group) for group in groups()},
        "hydra": {"type": "object", "description": "Hydra's own settings"},
    }
    return _file("hforch primary config", _closed(properties))


def _file(title: str, schema: Schema, more: Mapping[str, Schema] | None = None) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema, "$defs": {"later": LATER, **(more or {})}}


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _choice(group: str) -> Schema:
    short = [{"type": "string", "pattern": f"^({pattern})$"} for pattern in patterns(group)]
    numbers: list[Schema] = [{"type": "integer"}] if short else []
    return {"anyOf": [{"enum": options(group)}, NAME, *short, *numbers], "description": _first_comment(group)}


def _launcher() -> Schema:
    """Return the schema of the launcher settings that a recipe may set: numbers, and those that a launcher allows."""
    texts: dict[str, list[Schema]] = {}
    for launcher in all_launchers().values():
        for key, pattern in launcher.recipe_settings.items():
            texts.setdefault(key, []).append({"type": "string", "pattern": f"^({pattern})$"})
    number: Schema = {"type": "number"}
    properties = {key: {"anyOf": [number, *patterns]} for key, patterns in sorted(texts.items()) if "." not in key}
    return {"type": "object", "properties": properties, "additionalProperties": _NUMBERS}


def _sweep() -> Schema:
    """Return the schema of the swept groups and keys, whose values are written as on the command line."""
    keys = [*groups(), *sorted(key for key in known_keys() if "." in key)]
    swept: Schema = {"$ref": "#/$defs/swept"}
    free = "|".join(re.escape(mapping) for mapping in sorted(OPEN_MAPPINGS))
    added = "|".join(groups())
    patterns = {rf"^\+{{0,2}}({free})\.": swept, rf"^\+{{1,2}}({added})(\.|$)": swept}
    return _closed(dict.fromkeys(keys, swept)) | {"patternProperties": patterns}


def _listed_job() -> Schema:
    """Return the schema of a listed job: options or values of groups, and keys with their values."""
    properties: dict[str, Schema] = {group: {"anyOf": [_choice(group), {"type": "object"}]} for group in groups()}
    properties |= {key: {} for key in sorted(known_keys()) if "." in key}
    free = "|".join(re.escape(mapping) for mapping in sorted(OPEN_MAPPINGS))
    patterns: Schema = {rf"^\+{{0,2}}({free})\.": {}, rf"^\+{{1,2}}({'|'.join(groups())})(\.|$)": {}}
    return _closed(properties) | {"patternProperties": patterns, "minProperties": 1}


# ---------------------------------------------------------------- a group in a file
def _part(group: str) -> Schema:
    """Return the schema of a group in a file: any of the keys of its options, none of them required."""
    whole = Job.model_json_schema()
    defs = whole.get("$defs", {})
    node = whole["properties"][group]
    members = [_resolved(member, defs) for member in node.get("oneOf", [node])]
    if "properties" not in members[0]:  # ov_config, which accepts any key
        known = {key for name in options(group) for key in _keys(group, name)}
        values = _loose(members[0]["additionalProperties"], defs)
        properties = dict.fromkeys(sorted(known), values)
        return {"type": "object", "properties": properties, "additionalProperties": values}
    told = _comments(group)
    merged: dict[str, list[Schema]] = {}
    for member in members:
        for key, value in member["properties"].items():
            if value not in merged.setdefault(key, []):
                merged[key].append(value)
    properties = {
        key: _any([_loose(value, defs) for value in values]) | ({"description": told[key]} if key in told else {})
        for key, values in merged.items()
    }
    narrowed = [_narrowed(member) for member in members] if len(members) > 1 else []
    return {"description": _first_comment(group), **_closed(properties), **({"allOf": narrowed} if narrowed else {})}


def _narrowed(member: Schema) -> Schema:
    """Return a schema that allows only the keys of a union's member if a file sets the member's discriminator."""
    tag, value = next((key, value["const"]) for key, value in member["properties"].items() if "const" in value)
    told: Schema = {"properties": {tag: {"const": value}}, "required": [tag]}
    return {"if": told, "then": {"propertyNames": {"enum": [*member["properties"], "defaults"]}}}


def _loose(node: Schema, defs: Mapping[str, Schema], in_list: bool = False) -> Schema:
    """Return the schema of a value in a file: a value of its type, or an interpolation.

    Args:
        in_list: whether it is an item of a list; mappings elsewhere may have some of their keys, as they are merged
            with those of the option.
    """
    node = _resolved(node, defs)
    if "anyOf" in node:
        return _any([_loose(member, defs, in_list) for member in node["anyOf"]])
    if "oneOf" in node:  # a check, which has a long and a short form
        members = [_resolved(member, defs) for member in node["oneOf"]]
        forms = [form for member in members for form in (_long_form(member), *_short_forms(member))]
        return _any([_loose(form, defs, True) for form in forms])
    if node.get("type") == "array":
        inner: Schema = {**node, "items": _loose(node["items"], defs, True)}
    elif node.get("type") == "object" and "properties" in node:
        properties = {key: _loose(value, defs, in_list) for key, value in node["properties"].items()}
        inner = {**node, "properties": properties}
        if not in_list:
            inner.pop("required", None)
    else:
        inner = {**node, "enum": [node["const"]]} if "const" in node else dict(node)
        inner.pop("const", None)
    inner.pop("title", None)
    return {"anyOf": [inner, {"$ref": "#/$defs/later"}]}


def _long_form(member: Schema) -> Schema:
    return {**member, "required": ["kind", "value"]}


def _short_forms(member: Schema) -> Iterator[Schema]:
    """Yield the schemas of short forms: `{contains: Paris}` for `{kind: contains, value: Paris}`."""
    kind, value, others = member["properties"]["kind"], member["properties"]["value"], dict(member["properties"])
    del others["kind"], others["value"]
    for name in kind.get("enum", [kind.get("const")]):
        yield {**member, "properties": {name: value, **others}, "required": [name]}


def _any(schemas: list[Schema]) -> Schema:
    """Return a schema that accepts any of several; enums are merged, so that editors can complete them."""
    members: list[Schema] = []
    for schema in schemas:
        members += [member for member in schema.get("anyOf", [schema]) if member not in members]
    enums = [member for member in members if set(member) <= {"enum", "type"} and "enum" in member]
    if len(enums) > 1:
        joined: Schema = {**enums[0], "enum": [value for member in enums for value in member["enum"]]}
        members = [joined, *(member for member in members if member not in enums)]
    later = [member for member in members if "$ref" in member]
    return {"anyOf": [*(member for member in members if member not in later), *later]}


def _resolved(node: Schema, defs: Mapping[str, Schema]) -> Schema:
    return dict(defs[node["$ref"].rpartition("/")[2]]) if "$ref" in node else node


# ---------------------------------------------------------------- descriptions from conf/
def _lines(group: str, name: str) -> list[str]:
    return (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()


def _keys(group: str, name: str) -> Iterator[str]:
    return (line.partition(":")[0] for line in _lines(group, name) if re.match(r"\w+:", line))


def _comments(group: str) -> dict[str, str]:
    """Return, for each key in the built-in options, the comment on the key's line; the first one found is used."""
    found: dict[str, str] = {}
    for name in options(group):
        for line in _lines(group, name):
            if match := COMMENT.match(line):
                found.setdefault(match["key"], match["text"].strip())
    return found


def _first_comment(group: str) -> str:
    """Describe the options of a group, each with the comment in the first line of its file, if any."""
    said = []
    for name in options(group):
        first = _lines(group, name)[0]
        said.append(f"{name}: {first.removeprefix('#').strip().rstrip('.')}" if first.startswith("#") else name)
    return " | ".join(said)
