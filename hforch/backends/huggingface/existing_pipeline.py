"""Recover the decoding settings that were passed to an existing transformers pipeline.

A pipeline merges its arguments with the defaults of its task (do_sample=True, temperature=0.7, max_new_tokens=256) and
with the checkpoint's settings, and does not record which is which. An argument that equals one of those is therefore
treated as not passed; pass it to the LLM instead, with `pipeline_kwargs` or `bind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hforch.config.options import option
from hforch.config.schema import Generation
from hforch.errors import UnknownArgument
from hforch.generation.call_arguments import GENERATION, SAMPLING, fields_of, merge, split, stops_of

# Fields that do not affect decoding or are handled separately.
ASIDE = {
    *("do_sample", "max_length", "stop_strings", "eos_token_id", "pad_token_id", "bos_token_id"),
    "transformers_version",
}


def settings_of(pipeline: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a HforchPipeline, from its own arguments and those of the wrapped pipeline.

    Raises:
        UnknownArgument: an argument is not supported by hforch, or has an invalid value.
    """
    given = _constructor_arguments(pipeline)
    changes, others = split({"pipeline_kwargs": dict(fields.get("pipeline_kwargs") or {})})
    _, checked = split({name: fields[name] for name in ("batch_size", "seed") if name in fields})
    greedy = Generation.model_validate(option("generation", "greedy"))
    found: dict[str, Any] = {"generation": merge(merge(greedy, _decoding(given)), changes)}
    if (stops := getattr(pipeline.generation_config, "stop_strings", None)) is not None:
        found["stop"] = stops_of(stops)
    found |= fields_of(others)
    if fields.get("stop") is not None:
        found["stop"] = stops_of(fields["stop"])
    return found | {name: value for name, value in fields.items() if name != "stop"} | checked


def _constructor_arguments(pipeline: Any) -> dict[str, Any]:
    """Return the settings of a pipeline that differ from the defaults of its task and from the checkpoint's."""
    settings = getattr(pipeline, "generation_config", None)
    if settings is None:
        return {}
    shipped = pipeline.model.generation_config
    defaults = [
        getattr(pipeline, "_default_generation_config", None),
        shipped,
        SimpleNamespace(**shipped._get_default_generation_params()),
    ]
    given = {
        name: value
        for name, value in settings.to_dict().items()
        if value is not None
        and name not in ASIDE
        and not name.startswith("_")
        and all(value != getattr(source, name, None) for source in defaults)
    }
    if settings.do_sample is False:  # the task's default is True
        given["do_sample"] = False
    return given


def _decoding(given: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := [name for name in given if name not in GENERATION]:
        raise UnknownArgument(
            f"hforch does not support these arguments of the pipeline: {', '.join(unknown)};"
            " create the pipeline without them"
        )
    if given.get("do_sample") is False:
        return {name: value for name, value in given.items() if name not in SAMPLING}
    return dict(given)
