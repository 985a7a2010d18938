"""Rules about combinations of keys, which types cannot express. Pure functions of plain values."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hforch.checks.json_schemas import validator
from hforch.config import checks, prompt_columns
from hforch.config.backends.registry import BACKENDS
from hforch.config.cells import as_text
from hforch.config.template_prompts import with_template
from hforch.errors import Mistake

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """A check and the groups that it reads; the check runs only if none of these groups has an error."""

    groups: frozenset[str]
    check: Callable[[Tree], Iterator[Mistake]]


RULES: list[Rule] = []


def rule(*groups: str) -> Callable[[Callable[[Tree], Iterator[Mistake]]], Callable[[Tree], Iterator[Mistake]]]:
    def register(check: Callable[[Tree], Iterator[Mistake]]) -> Callable[[Tree], Iterator[Mistake]]:
        RULES.append(Rule(frozenset(groups), check))
        return check

    return register


@rule("device")
def device_is_named_once(tree: Tree) -> Iterator[Mistake]:
    device = tree["device"]
    kind, index, name, device_map = (device[key] for key in ("kind", "index", "name", "device_map"))
    if index is not None and device_map is not None:
        yield Mistake(
            "device.index",
            f"cannot be combined with device.device_map ({device_map}), which spreads the model over several GPUs",
            hint=f"set device.index=null to spread the model, or device.device_map=null to use GPU {index} only",
        )
    elif kind == "gpu" and index is None and device_map is None:
        yield Mistake(
            "device.index",
            "device.kind=gpu needs an index",
            hint="set device.index=0, or device.device_map=auto to use all GPUs",
        )
    elif kind in ("cpu", "npu", "openvino") and index is not None:
        yield Mistake(
            "device.index",
            f"has no effect with device.kind={kind}",
            hint=f"use device=gpu device.index={index}"
            if kind != "openvino"
            else "use device.name instead, such as GPU.1",
        )
    elif kind == "auto" and index is not None:
        yield Mistake("device.index", "device=auto lets the library choose the device", hint="use device=gpu")
    if kind == "openvino" and name is None:
        yield Mistake("device.name", "device=openvino needs a device name", hint="set one, such as device.name=GPU.1")
    if kind != "openvino" and name is not None:
        yield Mistake(
            "device.name",
            f"can be set only if device.kind is openvino; device.kind is {kind}",
            hint="use device=openvino, or device.name=null",
        )


# ---------------------------------------------------------------- backend
def backend_rules(group: str, tree: Tree) -> Iterator[Mistake]:
    yield from BACKENDS[tree["backend"]["name"]].mistakes(group, tree)


for other in ("backend", "device", "generation"):
    rule("backend", other)(partial(backend_rules, other))


def values_are_supported(group: str, tree: Tree) -> Iterator[Mistake]:
    for path, values, problem, hint in BACKENDS[tree["backend"]["name"]].refuses:
        of, _, key = path.partition(".")
        if of == group and (value := tree[group][key]) in values:
            yield Mistake(path, f"'{value}' {problem}", hint=hint)


for refused in sorted({one.path.partition(".")[0] for backend in BACKENDS.values() for one in backend.refuses}):
    rule("backend", refused)(partial(values_are_supported, refused))


# ---------------------------------------------------------------- generation
SAMPLING = {"temperature": 1.0, "top_k": None, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}
BEAMS = ("length_penalty", "early_stopping")


@rule("generation")
def sampling_is_switched_on(tree: Tree) -> Iterator[Mistake]:
    generation = tree["generation"]
    if generation["from_checkpoint"]:
        return
    if generation["do_sample"] is None:
        yield Mistake(
            "generation.do_sample",
            "null uses the checkpoint's setting, but generation.from_checkpoint is false",
            hint="set it to true or false, or use generation=checkpoint",
        )
    elif not generation["do_sample"]:
        for key in SAMPLING:
            value = generation[key]
            if value is not None and not (key == "temperature" and value == 0):
                yield Mistake(
                    f"generation.{key}",
                    f"{value} has no effect while generation.do_sample is false",
                    hint="set generation.do_sample=true, or use generation=sample",
                )


@rule("generation")
def answer_length_is_limited(tree: Tree) -> Iterator[Mistake]:
    generation = tree["generation"]
    least, most = generation["min_new_tokens"], generation["max_new_tokens"]
    if most is None and generation["max_length"] is None:
        yield Mistake(
            "generation.max_new_tokens",
            "is null, and so is generation.max_length, so the answer has no length limit",
            hint="set one of them, such as generation.max_new_tokens=64",
        )
    if least is not None and most is not None and least > most:
        yield Mistake("generation.min_new_tokens", f"{least} is greater than generation.max_new_tokens ({most})")


@rule("generation")
def beam_settings_need_beams(tree: Tree) -> Iterator[Mistake]:
    generation = tree["generation"]
    if generation["from_checkpoint"] or (generation["num_beams"] or 1) > 1:
        return
    for key in BEAMS:
        if generation[key] is not None:
            yield Mistake(
                f"generation.{key}",
                "has no effect without beam search",
                hint="use generation=beam, or set generation.num_beams=4",
            )


@rule("generation")
def json_schema_is_valid(tree: Tree) -> Iterator[Mistake]:
    generation = tree["generation"]
    schema = generation["json_schema"]
    if schema is None:
        return
    if isinstance(schema, Mapping):
        try:
            validator(schema)
        except ValueError as error:
            yield Mistake("generation.json_schema", str(error))
    excluded = {
        "num_beams": ((generation["num_beams"] or 1) > 1, "beam search does not support a JSON schema", "1"),
        "ignore_eos": (
            generation["ignore_eos"],
            "an answer constrained by a JSON schema must be able to end with EOS",
            "false",
        ),
        "min_new_tokens": (
            generation["min_new_tokens"],
            "an answer constrained by a JSON schema must be able to end before min_new_tokens",
            "null",
        ),
    }
    for key, (is_set, problem, instead) in excluded.items():
        if is_set:
            yield Mistake(
                f"generation.{key}", problem, hint=f"set generation.{key}={instead}, or generation.json_schema=null"
            )


@rule("precision")
def group_size_needs_int4(tree: Tree) -> Iterator[Mistake]:
    precision = tree["precision"]
    size = precision["group_size"]
    if precision["name"] != "int4":
        for key in ("group_size", "group_size_fallback"):
            if precision[key] is not None:
                yield Mistake(
                    f"precision.{key}",
                    f"can be set only if precision.name is int4; precision.name is {precision['name']}",
                    hint=f"set precision.{key}=null, or use precision=int4 without precision.name",
                )
    elif size is not None and size != -1 and size < 1:
        yield Mistake("precision.group_size", f"must be -1 (one scale per channel) or at least 1; got {size}")


# ---------------------------------------------------------------- prompt and inputs
def variables(template: str) -> list[str]:
    """Return the variables of an f-string template in order, without duplicates.

    Raises:
        ValueError: unbalanced braces, or a variable that is not a plain name.
    """
    names: dict[str, None] = {}
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"'{{{name}}}' is not a plain name in braces")
        names[name] = None
    return list(names)


def _template_mistake(path: str, template: str) -> Mistake | None:
    try:
        variables(template)
    except ValueError as error:
        return Mistake(
            path, str(error).lower(), hint="write {name} for a column of the inputs, {{ and }} for literal braces"
        )
    return None


def _templates(prompt: Mapping[str, Any]) -> dict[str, str]:
    prompt = with_template(prompt)
    if prompt["kind"] == "template":
        return {"prompt.template": prompt["template"]}
    if prompt["kind"] in ("chat", "auto"):
        messages = {f"prompt.messages.{i}.content": message["content"] for i, message in enumerate(prompt["messages"])}
        return messages if prompt["system"] is None else {"prompt.system": prompt["system"], **messages}
    return {}


@rule("prompt")
def templates_can_be_read(tree: Tree) -> Iterator[Mistake]:
    templates = _templates(tree["prompt"])
    mistakes = [found for path, text in templates.items() if (found := _template_mistake(path, text))]
    yield from mistakes
    if templates and not mistakes and not any(variables(text) for text in templates.values()):
        path = "prompt.template" if "prompt.template" in templates else "prompt.messages"
        yield Mistake(
            path, "contains no variable, so every input would get the same prompt", hint="add one, such as {question}"
        )


def variables_of(prompt: Mapping[str, Any]) -> list[str] | None:
    """Return the variables of a prompt in order; None if a template is invalid."""
    templates = _templates(prompt)
    if any(_template_mistake(path, text) for path, text in templates.items()):
        return None
    return list(dict.fromkeys(name for text in templates.values() for name in variables(text)))


@rule("prompt")
def column_needs_one_variable(tree: Tree) -> Iterator[Mistake]:
    prompt = tree["prompt"]
    names = variables_of(prompt)
    if prompt["kind"] != "raw" and prompt["column"] is not None and names and len(names) > 1:
        problem = f"is for prompts with one variable; this prompt has {len(names)}: {', '.join(names)}"
        yield Mistake("prompt.column", problem, hint="set prompt.column=null, and name the columns in the prompt")


@rule("prompt", "inputs")
def inputs_have_prompt_columns(tree: Tree) -> Iterator[Mistake]:
    prompt, inputs = tree["prompt"], tree["inputs"]
    names = variables_of(prompt)
    if inputs["kind"] != "inline" or names is None:
        return
    items = inputs["items"]
    if prompt["kind"] == "raw" or len(names) == 1:
        yield from _chosen_column(prompt, next(iter(names), None), items)
        return
    for number, item in enumerate(items):
        if isinstance(item, str):
            if len(names) > 1:
                yield Mistake(
                    f"inputs.items.{number}",
                    f"is a string, but the prompt has {len(names)} variables: {', '.join(names)}",
                    hint=f"write a mapping: {{{', '.join(f'{name}: ...' for name in names)}}}",
                )
            continue
        lacking = [name for name in names if name not in item]
        if lacking:
            yield Mistake(f"inputs.items.{number}", _missing(lacking, ", which the prompt uses", item))
        yield from _not_text(number, item, names)


def _chosen_column(prompt: Mapping[str, Any], variable: str | None, items: Sequence[Any]) -> Iterator[Mistake]:
    """Yield the errors in the column that supplies the only variable of a prompt."""
    columns = prompt_columns.columns_of(items)
    try:
        column = prompt_columns.choose(variable, prompt["column"], columns) if columns else None
    except prompt_columns.NoColumn as error:
        if error.likely:
            problem, hint = prompt_columns.several(error.likely)
            yield Mistake("prompt.column", problem, hint=hint)
            return
        column = None
    wanted = column or prompt["column"] or variable
    for number, item in enumerate(items):
        if isinstance(item, str):
            continue
        path, hint = f"inputs.items.{number}", prompt_columns.hint_to_choose(list(item))
        if wanted is None:
            if len(item) != 1:
                problem = f"has {len(item)} columns, so prompt={prompt['kind']} needs prompt.column"
                yield Mistake(path, problem, hint="set prompt.column to the column that contains the prompt")
            else:
                yield from _not_text(number, item, list(item))
        elif wanted not in item:
            why = " (prompt.column)" if prompt["column"] is not None else ", which the prompt uses"
            yield Mistake(path, _missing([wanted], why, item), hint=hint if item else None)
        else:
            yield from _not_text(number, item, [wanted])


def _not_text(number: int, item: Mapping[str, Any], names: Sequence[str]) -> Iterator[Mistake]:
    for name in names:
        try:
            as_text(item.get(name, ""))
        except ValueError as error:
            yield Mistake(f"inputs.items.{number}.{name}", str(error))


def _missing(names: list[str], why: str, item: Mapping[str, Any]) -> str:
    columns = "column" if len(names) == 1 else "columns"
    wanted = ", ".join(f"'{name}'" for name in names)
    return f"missing {columns} {wanted}{why}; available: {', '.join(map(str, item)) or 'none'}"


# ---------------------------------------------------------------- checks
@rule("checks")
def checks_are_valid(tree: Tree) -> Iterator[Mistake]:
    yield from checks.value_mistakes(tree["checks"])


@rule("checks", "inputs")
def inputs_have_check_columns(tree: Tree) -> Iterator[Mistake]:
    inputs = tree["inputs"]
    if inputs["kind"] == "inline":
        yield from checks.column_mistakes(tree["checks"]["items"], inputs["items"][: inputs["limit"]])


@rule("scoring")
def scoring_windows_advance(tree: Tree) -> Iterator[Mistake]:
    text = tree["scoring"]["text"]
    if text is not None and text["stride"] is not None and text["stride"] >= text["window"]:
        yield Mistake(
            "scoring.text.stride",
            f"is {text['stride']}, which leaves no context in a window of {text['window']} tokens",
            hint=f"use at most {text['window'] - 1}, or null for half the window",
        )
