"""Wrap an existing transformers pipeline: its engine, and the fields of its LLM."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Mapping
from typing import Any

from hforch.backends.huggingface.engine import PipelineEngine
from hforch.backends.huggingface.pipeline_settings import PipelineSettings, read_settings
from hforch.config.options import option
from hforch.config.schema import Generation
from hforch.errors import UnknownArgument
from hforch.generation.call_arguments import fields_of, merge, split

# Keys: id() of the model and of the tokenizer, and the settings that the engine applies. The engine references model
# and tokenizer, so the ids are not reused while it exists.
_engines: weakref.WeakValueDictionary[tuple[int, int, str], PipelineEngine] = weakref.WeakValueDictionary()

log = logging.getLogger(__name__)


def wrapped(pipeline: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a HforchPipeline that wraps a pipeline, from its own arguments and those of the pipeline.

    Raises:
        UnknownArgument: an argument is not supported by hforch, is given twice, or has an invalid value.
    """
    settings = read_settings(pipeline)
    base = {**option("generation", "checkpoint"), "max_new_tokens": None}
    found = {
        "generation": merge(Generation.model_validate(base), settings.generation),
        **settings.fields,
        **{name: value for name, value in fields.items() if value is not None or name not in settings.fields},
        "engine": engine_of(pipeline, settings),
    }
    if variables := settings.fields.get("chat_template_kwargs"):
        found["chat_template_kwargs"] = variables | (fields.get("chat_template_kwargs") or {})
    arguments = dict(fields.get("pipeline_kwargs") or {})
    refuse_twice(arguments, fields)
    if settings.hides_sampling and not _decides_sampling(arguments) and "generation" not in fields:
        _report_greedy(settings)
    return with_pipeline_kwargs(found)


def with_pipeline_kwargs(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a HforchPipeline with its pipeline_kwargs merged into the others.

    Raises:
        UnknownArgument: an argument in pipeline_kwargs is unknown or invalid.
    """
    generation, others = split({"pipeline_kwargs": dict(fields.get("pipeline_kwargs") or {})})
    base = Generation.model_validate(fields["generation"])
    return {**fields, "generation": merge(base, generation), **fields_of(others), "pipeline_kwargs": None}


def refuse_twice(pipeline_kwargs: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Raise UnknownArgument if an argument in `pipeline_kwargs` is unknown, or also passed as a field of the LLM."""
    _, others = split({"pipeline_kwargs": dict(pipeline_kwargs)})
    if twice := sorted(fields_of(others).keys() & fields.keys()):
        raise UnknownArgument(f"{', '.join(twice)}: given twice, also in pipeline_kwargs; remove one")


def engine_of(pipeline: Any, settings: PipelineSettings | None = None) -> PipelineEngine:
    """Return the engine of a pipeline that hforch did not load; engines of the same model share a request queue."""
    settings = settings or read_settings(pipeline)
    applied = json.dumps([settings.config.to_dict(), vars(settings.prompts)], sort_keys=True, default=repr)
    key = (id(pipeline.model), id(pipeline.tokenizer), applied)
    if (engine := _engines.get(key)) is None:
        queue = next((other.queue for (model, *_), other in _engines.items() if model == key[0]), None)
        engine = PipelineEngine(pipeline, queue=queue, shipped=settings.config, prompts=settings.prompts)
        _engines[key] = engine
    return engine


def _decides_sampling(arguments: Mapping[str, Any]) -> bool:
    return "do_sample" in arguments or arguments.get("temperature") is not None


def _report_greedy(settings: PipelineSettings) -> None:
    log.warning(
        "Decoding is greedy: the pipeline samples (do_sample=True, temperature=%s), but these are the defaults of its"
        " task. To sample, pass pipeline_kwargs={'do_sample': True} to HforchPipeline; to omit this message, pass"
        " {'do_sample': False}.",
        settings.config.temperature,
    )
