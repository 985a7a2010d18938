"""Convert the `generation` group to openvino-genai's GenerationConfig; reject settings that openvino-genai lacks."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from hforch.backends.genai import xgrammar
from hforch.backends.genai.json_grammar import ebnf
from hforch.config.schema import Generation
from hforch.errors import Mistake, UnknownArgument
from hforch.generation.call_arguments import is_sampled
from hforch.generation.grammar import require_eos, required_schema

SAMPLED = ("temperature", "top_k", "top_p", "min_p")
BEAMS = ("length_penalty", "no_repeat_ngram_size")
ALWAYS = ("repetition_penalty", "min_new_tokens")
# Settings of checkpoints that the engine does not support, with the value that has no effect.
FOREIGN = {
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "guidance_scale": 1.0,
    "renormalize_logits": False,
    "exponential_decay_length_penalty": None,
    "bad_words_ids": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
}
# Settings with which no EOS ends an answer. Unless ids are set, the engine takes them from the model.
ENDLESS = {"ignore_eos": True, "eos_token_id": 0, "stop_token_ids": (0,)}
USE_OPENVINO = "use backend=openvino, which supports it"


def filled(generation: Generation, shipped: Mapping[str, Any]) -> Generation:
    """Return `generation` with unset values filled from the checkpoint, if `from_checkpoint` is set.

    Args:
        shipped: contents of generation_config.json.

    Raises:
        UnknownArgument: the checkpoint has a setting that the engine does not support.
    """
    if not generation.from_checkpoint:
        return generation
    foreign = [name for name, nothing in FOREIGN.items() if shipped.get(name) not in (None, nothing)]
    if foreign:
        values = ", ".join(f"{name}={shipped[name]!r}" for name in foreign)
        raise UnknownArgument(
            f"the checkpoint sets {values}, which openvino_genai does not support; use generation=greedy, or"
            f" backend=openvino, which supports it"
        )
    names = ("do_sample", *SAMPLED, "num_beams", "early_stopping", *BEAMS, *ALWAYS)
    own = {name: shipped[name] for name in names if shipped.get(name) is not None and getattr(generation, name) is None}
    return generation.model_copy(update={**own, "from_checkpoint": False})


def unsupported(generation: Generation) -> list[Mistake]:
    """Return errors about settings of `generation` that the engine does not support."""
    mistakes = []
    beams = (generation.num_beams or 1) > 1

    def lacks(name: str, problem: str) -> None:
        mistakes.append(Mistake(f"generation.{name}", problem, None, f"{USE_OPENVINO}; or set generation.{name}=null"))

    if generation.typical_p not in (None, 1.0) and is_sampled(generation):
        lacks("typical_p", "openvino_genai does not support typical_p")
    if beams and is_sampled(generation):
        problem = "openvino_genai does not support beam search with sampling"
        mistakes.append(
            Mistake("generation.do_sample", problem, None, f"{USE_OPENVINO}; or set generation.num_beams=1")
        )
    if generation.no_repeat_ngram_size and not beams:
        lacks("no_repeat_ngram_size", "openvino_genai supports no_repeat_ngram_size only in beam search")
    return mistakes


def settings(generation: Generation, limit: int, eos: Collection[int], seed: int) -> dict[str, Any]:
    """Return the fields to set in a GenerationConfig.

    Args:
        limit: maximum number of new tokens.
        eos: token ids that end an answer.

    Raises:
        UnknownArgument: the engine does not support a setting.
    """
    if mistakes := unsupported(generation):
        raise UnknownArgument("; ".join(f"{mistake.problem} ({mistake.hint})" for mistake in mistakes))
    beams = generation.num_beams or 1
    values: dict[str, Any] = {"max_new_tokens": limit, "do_sample": is_sampled(generation)}
    names = ALWAYS + (BEAMS if beams > 1 else ())
    values |= {name: value for name in names if (value := getattr(generation, name)) is not None}
    if values["do_sample"]:
        values |= {name: value for name in SAMPLED if (value := getattr(generation, name)) is not None}
        values["rng_seed"] = seed
        if not values.get("top_k"):
            values.pop("top_k", None)  # hforch's 0 (all tokens) is the engine's unset top_k
    if beams > 1:
        values["num_beams"] = beams
        values["stop_criteria"] = {True: "EARLY", "never": "NEVER"}.get(generation.early_stopping or False, "HEURISTIC")
    values["ignore_eos"] = generation.ignore_eos
    if (schema := required_schema(generation, xgrammar.unsupported)) is not None:
        require_eos(eos)
        values["json_schema"] = json.dumps(schema)
    if not generation.ignore_eos and eos:
        values["eos_token_id"], values["stop_token_ids"] = min(eos), sorted(eos)
    return values


def generation_config(values: Mapping[str, Any]) -> Any:
    """Return a GenerationConfig with the given field values. Without `stop_token_ids`, no EOS ends an answer."""
    import openvino_genai

    config = openvino_genai.GenerationConfig()
    if "stop_token_ids" not in values:
        # The minimum length delays an EOS, so it has no effect; the engine would avoid the ids that it is to ignore.
        values = {name: value for name, value in values.items() if name != "min_new_tokens"} | ENDLESS
    for name, value in values.items():
        match name:
            case "stop_criteria":
                config.stop_criteria = getattr(openvino_genai.StopCriteria, value)
            case "json_schema":
                config.structured_output_config = openvino_genai.StructuredOutputConfig(grammar=ebnf(value))
            case "stop_token_ids":
                config.stop_token_ids = set(value)
            case _:
                setattr(config, name, value)
    return config
