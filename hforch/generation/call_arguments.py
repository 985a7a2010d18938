"""Check arguments that are bound to an LLM or passed per call; an unknown name is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from hforch.config.schema import Generation
from hforch.errors import UnknownArgument
from hforch.utils.class_schemas import hint_for_class

GENERATION = tuple(name for name in Generation.model_fields if name != "from_checkpoint")
OTHERS = ("stop", "skip_prompt", "seed", "batch_size", "pipeline_kwargs", "chat_template_kwargs")
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")

# Arguments of transformers that hforch does not have, and what to use instead.
INSTEAD = {
    "eos_token_id": "use stop=[...] with the text of the token",
    "min_length": "use min_new_tokens",
    "num_return_sequences": "call the model several times, each time with another seed",
    "prefix": "put it into the prompt",
    "return_text": "use skip_prompt",
    "stop_sequence": "use stop=[...]",
    "stop_strings": "use stop=[...]",
    "streamer": "use `stream`",
}


def split(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split call arguments, including those in `pipeline_kwargs`, into generation settings and others.

    Raises:
        UnknownArgument: a name is unknown, or a value is invalid.
    """
    flat = {**(arguments.get("pipeline_kwargs") or {}), **arguments}
    flat.pop("pipeline_kwargs", None)
    if (full := flat.pop("return_full_text", None)) is not None:
        flat.setdefault("skip_prompt", not full)
    flat = {name: _plain(value) for name, value in flat.items()}
    if isinstance(model := flat.get("json_schema"), type):
        problem = f"json_schema={model.__name__}: must be a JSON Schema as a dict"
        raise UnknownArgument(f"{problem}; write json_schema={hint_for_class(model)}")
    unknown = [name for name in flat if name not in GENERATION and name not in OTHERS]
    if unknown:
        raise UnknownArgument(" ".join(_unknown(name) for name in unknown))
    others = {name: value for name, value in flat.items() if name in OTHERS}
    _check_others(others)
    return {name: value for name, value in flat.items() if name in GENERATION}, others


def fields_of(others: Mapping[str, Any]) -> dict[str, Any]:
    """Return call arguments other than generation settings as fields of HforchLLM.

    Raises:
        UnknownArgument: a stop sequence is empty or not a string.
    """
    fields = {name: others[name] for name in ("seed", "batch_size", "chat_template_kwargs") if name in others}
    if others.get("stop") is not None:
        fields["stop"] = stops_of(others["stop"])
    if "skip_prompt" in others:
        fields["echo"] = not others["skip_prompt"]
    return fields


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of HforchLLM, checked like arguments of a call.

    Raises:
        UnknownArgument: a value is invalid.
    """
    plain = {name: _plain(value) if name in OTHERS else value for name, value in fields.items()}
    _check_others({name: value for name, value in plain.items() if name in OTHERS})
    if "stop" in plain:
        plain["stop"] = () if plain["stop"] is None else stops_of(plain["stop"])
    return plain


def merge(generation: Generation, changes: Mapping[str, Any]) -> Generation:
    """Return `generation` with per-call changes.

    `temperature=0` means greedy decoding. A sampling argument without `do_sample`, such as `temperature=0.7`, enables
    sampling.

    Raises:
        UnknownArgument: a value has the wrong type or is out of range.
    """
    if not changes:
        return generation
    changed = dict(changes)
    if changed.get("temperature") == 0:
        changed["do_sample"] = False
    elif "do_sample" not in changed and any(changed.get(name) is not None for name in SAMPLING):
        changed["do_sample"] = True
    try:
        return Generation.model_validate({**generation.model_dump(), **changed})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'][:1]))}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise UnknownArgument("; ".join(problems)) from error


def stops_of(stop: object) -> tuple[str, ...]:
    """Return the stop sequences of a call, which may be passed as a list or a single string.

    Raises:
        UnknownArgument: a stop sequence is empty or not a string.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, Iterable) else (stop,)
    if wrong := [each for each in stops if not isinstance(each, str) or not each]:
        raise UnknownArgument(f"stop={wrong[0]!r}: a stop sequence must be a non-empty string")
    return stops


def _check_others(others: Mapping[str, Any]) -> None:
    """Check values that pydantic does not validate."""
    size, seed = others.get("batch_size", 1), others.get("seed")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UnknownArgument(f"batch_size={size!r}: must be an integer of at least 1")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise UnknownArgument(
            f"seed={seed!r}: must be an integer of at least 0, or None for a new random seed per call"
        )
    skip, variables = others.get("skip_prompt", True), others.get("chat_template_kwargs", {})
    if not isinstance(skip, bool):
        raise UnknownArgument(f"skip_prompt={skip!r}: must be True or False")
    if not isinstance(variables, Mapping) or any(not isinstance(name, str) for name in variables):
        raise UnknownArgument(f"chat_template_kwargs={variables!r}: must be a dict with strings as keys")


def _plain(value: Any) -> Any:
    """Return a numpy scalar as a Python number, other values unchanged."""
    return value.item() if hasattr(value, "item") and callable(value.item) else value


def is_sampled(generation: Generation) -> bool:
    """Return whether `generation` enables sampling; a checkpoint may also enable it, with `from_checkpoint`."""
    return bool(generation.do_sample) and generation.temperature != 0


def _unknown(name: str) -> str:
    known = (*GENERATION, *OTHERS)
    if name in INSTEAD:
        return f"unknown generation argument {name!r}: {INSTEAD[name]}."
    from rapidfuzz import process

    nearest = process.extractOne(name, known, score_cutoff=60)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"unknown generation argument {name!r}.{hint} Available: {', '.join(sorted(known))}."
