"""Read the settings of an existing transformers pipeline: each is applied as the pipeline would, or rejected.

A pipeline merges its arguments with its model's generation config and with the defaults of its task (do_sample=True,
temperature=0.7, max_new_tokens=256), and does not record which is which. All of them apply, except for the sampling of
the task: without any other sign of sampling, decoding is greedy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hforch.backends.huggingface.generation_config import SHIPPED
from hforch.errors import UnknownArgument
from hforch.generation.call_arguments import GENERATION, INSTEAD, SAMPLING, stops_of

TASK = "text-generation"
METHODS = ("__call__", "_sanitize_parameters", "preprocess", "forward", "_forward", "postprocess")
# Settings of a GenerationConfig that do not affect a text, or that are handled separately.
ASIDE = {
    *("do_sample", "max_new_tokens", "max_length", "stop_strings", "eos_token_id", "pad_token_id", "bos_token_id"),
    *("decoder_start_token_id", "transformers_version"),
}
RANDOM = (*SAMPLING, "epsilon_cutoff", "eta_cutoff")
# Parameters for preprocessing and postprocessing: the values that agree with what hforch does, and what to do instead.
PADDING = ((None, True, False, "longest", "do_not_pad"), "hforch pads batches to their longest prompt")
TRUNCATION = ((None, False, "do_not_truncate"), "hforch rejects a prompt that is too long instead of truncating it")
AGREEING: dict[str, tuple[tuple[Any, ...], str]] = {
    "padding": PADDING,
    "truncation": TRUNCATION,
    "handle_long_generation": TRUNCATION,
    "continue_final_message": ((None,), "hforch continues the last message if it is from the assistant"),
    "clean_up_tokenization_spaces": ((None, False), "hforch does not change the spaces of an answer"),
    "skip_special_tokens": ((None, True), "hforch omits special tokens from answers"),
}
LIMITS = {
    "assistant_model": "hforch generates with one model",
    "num_workers": "hforch tokenizes prompts in its own thread",
}


@dataclass(frozen=True)
class PromptHandling:
    """How a pipeline converts a prompt to tokens.

    Attributes:
        prefix: text before each prompt that is not a chat.
        prefix_tokens: number of tokens that max_length does not count.
        adds_special_tokens: whether the tokenizer adds its special tokens, such as BOS, to a prompt.
    """

    prefix: str = ""
    prefix_tokens: int = 0
    adds_special_tokens: bool = True


@dataclass(frozen=True)
class PipelineSettings:
    """The settings of an existing pipeline.

    Attributes:
        config: a copy of its GenerationConfig.
        generation: settings of the `generation` group; others of `config` apply through generation.from_checkpoint.
        fields: fields of HforchLLM.
        prompts: how prompts are converted to tokens.
        hides_sampling: whether the pipeline samples, but maybe only because that is the default of its task.
    """

    config: Any
    generation: dict[str, Any]
    fields: dict[str, Any]
    prompts: PromptHandling
    hides_sampling: bool


def read_settings(pipeline: Any) -> PipelineSettings:
    """Return the settings of a pipeline.

    Raises:
        UnknownArgument: hforch does not support a setting, or the kind of pipeline; the message lists all.
    """
    _check_kind(pipeline)
    config = _config_of(pipeline)
    before, after = dict(pipeline._preprocess_params), dict(pipeline._postprocess_params)
    during = dict(pipeline._forward_params)
    problems = [
        *_foreign_generation(config),
        *_foreign_parameters(pipeline, before, during, after),
    ]
    if problems:
        raise UnknownArgument(
            f"hforch does not support these settings of the pipeline: {'; '.join(dict.fromkeys(problems))}. Create the"
            " pipeline without them; settings that are not its arguments come from model.generation_config"
        )
    is_sampled, hides_sampling = _sampling(pipeline, config)
    generation = {"do_sample": is_sampled, **_limits(pipeline, config)}
    generation |= {name: value for name, value in _set(config) if name in GENERATION and name not in ASIDE}
    if not is_sampled:
        generation = {name: value for name, value in generation.items() if name not in SAMPLING}
    encoding = before.get("tokenizer_encode_kwargs") or {}
    prompts = PromptHandling(
        before.get("prefix") or "",
        during.get("prefix_length", 0),
        bool(encoding.get("add_special_tokens", before.get("add_special_tokens", True))),
    )
    return PipelineSettings(config, generation, _fields(pipeline, config, before, after), prompts, hides_sampling)


def _config_of(pipeline: Any) -> Any:
    """Return the GenerationConfig with which a pipeline generates.

    Later versions of transformers put it together for each call.
    """
    own = getattr(pipeline, "generation_config", None)
    if own is not None:
        return copy.deepcopy(own)
    arguments = pipeline._prepare_generate_kwargs({})
    config = copy.deepcopy(arguments.pop("generation_config", None) or pipeline.model.generation_config)
    config.update(**arguments)
    return config


def _check_kind(pipeline: Any) -> None:
    from transformers import TextGenerationPipeline

    if not isinstance(pipeline, TextGenerationPipeline):
        found = getattr(pipeline, "task", None) or type(pipeline).__name__
        raise UnknownArgument(f"HforchPipeline requires pipeline=, a transformers {TASK} pipeline; got {found!r}")
    kind = type(pipeline)
    if changed := [name for name in METHODS if getattr(kind, name) is not getattr(TextGenerationPipeline, name)]:
        raise UnknownArgument(
            f"{kind.__name__} replaces methods of TextGenerationPipeline ({', '.join(changed)}), which hforch does not"
            " call: it uses the model and the tokenizer directly; pass a TextGenerationPipeline"
        )


def _set(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a GenerationConfig that differ from transformers' defaults."""
    from transformers import GenerationConfig

    known, defaults = GenerationConfig().to_dict(), config._get_default_generation_params()
    for name, value in config.to_dict().items():
        if name not in known or name.startswith("_"):  # transformers ignores unknown names in a model's config
            continue
        if value is not None and value not in (known[name], defaults.get(name, False)):
            yield name, value


def _foreign_generation(config: Any) -> Iterator[str]:
    for name, value in _set(config):
        if name not in ASIDE and name not in GENERATION and name not in SHIPPED:
            yield _problem(name, value)


def _foreign_parameters(
    pipeline: Any, before: Mapping[str, Any], during: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    """Yield settings of a pipeline, other than those of its GenerationConfig, that hforch does not support."""
    encoding = before.get("tokenizer_encode_kwargs") or {}
    handled = {"prefix", "add_special_tokens", "tokenizer_encode_kwargs", "tools", "documents", *during}
    for name, value in {**before, **after}.items():
        if name not in handled and name != "return_type":
            yield from _unless_agreeing(name, value)
    if any(callable(tool) for tool in before.get("tools") or []):
        yield "tools with functions (pass JSON Schemas instead)"
    for name, value in encoding.items():
        if name != "add_special_tokens":
            yield from _unless_agreeing(name, value, "tokenizer_encode_kwargs: ")
    for name, value in during.items():
        if name == "eos_token_id":  # eos_token_id itself is in the GenerationConfig
            yield _problem("stop_sequence", pipeline.tokenizer.decode(value))
        elif name != "prefix_length":
            yield _problem(name, value)
    if _return_type(after) == "TENSORS":
        yield "return_tensors=True (an LLM returns text)"
    if getattr(pipeline, "assistant_model", None) is not None and "assistant_model" not in during:
        yield _problem("assistant_model", pipeline.assistant_model)
    if pipeline._num_workers:
        yield _problem("num_workers", pipeline._num_workers)


def _unless_agreeing(name: str, value: Any, where: str = "") -> Iterator[str]:
    accepted, instead = AGREEING.get(name, ((None,), ""))
    if not any(value is one or (isinstance(one, str) and value == one) for one in accepted):
        yield where + _problem(name, value, instead)


def _problem(name: str, value: Any, instead: str = "") -> str:
    shown = repr(value) if isinstance(value, str | int | float | list | dict) else type(value).__name__
    reason = instead or LIMITS.get(name) or INSTEAD.get(name)
    return f"{name}={shown if len(shown) < 80 else '...'}" + (f" ({reason})" if reason else "")


def _sampling(pipeline: Any, config: Any) -> tuple[bool, bool]:
    """Return whether to sample, and whether the pipeline samples although that may not be intended.

    The task's defaults enable sampling, so only do_sample=False, a do_sample of the model, or a sampling setting that
    differs from the defaults is known to be intended.
    """
    if not config.do_sample:
        return False, False
    task = getattr(pipeline, "_default_generation_config", None)
    intended = pipeline.model.generation_config.do_sample or any(
        name in RANDOM for name, value in _set(config) if value != getattr(task, name, None)
    )
    # 1.0 is the default of transformers, but not of a task with another temperature.
    own = getattr(task, "temperature", None)
    intended = intended or (own is not None and config.temperature not in (None, own))
    return bool(intended), not intended


def _limits(pipeline: Any, config: Any) -> dict[str, Any]:
    """Return max_new_tokens and max_length; if a max_length does not come from the model, both apply."""
    if config.max_new_tokens is None:
        return {"max_new_tokens": None, "max_length": config.max_length}
    model = pipeline.model
    of_task = (getattr(model.config, "task_specific_params", None) or {}).get(TASK) or {}
    defaults = (
        *(None, config._get_default_generation_params()["max_length"]),
        *(model.generation_config.max_length, of_task.get("max_length")),
    )
    length = None if config.max_length in defaults else config.max_length
    return {"max_new_tokens": config.max_new_tokens, "max_length": length}


def _fields(pipeline: Any, config: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if config.stop_strings is not None:
        fields["stop"] = stops_of(config.stop_strings)
    if pipeline._batch_size is not None:
        fields["batch_size"] = pipeline._batch_size
    if (kind := _return_type(after)) is not None:
        fields["echo"] = kind == "FULL_TEXT"
    if variables := {name: before[name] for name in ("tools", "documents") if before.get(name) is not None}:
        fields["chat_template_kwargs"] = variables
    return fields


def _return_type(after: Mapping[str, Any]) -> str | None:
    """Return the name of the pipeline's return type; None if it was not set."""
    from transformers.pipelines.text_generation import ReturnType

    return None if after.get("return_type") is None else ReturnType(after["return_type"]).name
