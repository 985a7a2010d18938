"""HforchPipeline: LangChain's HuggingFacePipeline with hforch's guarantees, for torch and OpenVINO models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

from langchain_huggingface import HuggingFacePipeline

from hforch.backends.huggingface.existing_pipeline import engine_of, refuse_twice, with_pipeline_kwargs, wrapped
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.errors import UnknownArgument
from hforch.generation.call_arguments import GENERATION
from hforch.generation.llm import HforchLLM

OF_LOADING = {"engine", "lease", "model_id", "model_kwargs"}  # fields that the caller does not pass


class LazyPipeline:
    """A transformers `text-generation` pipeline that is created on first use of anything but its model and tokenizer.

    hforch only needs the model and the tokenizer, and importing transformers' pipelines takes almost half a second.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    @cached_property
    def _made(self) -> Any:
        from transformers import TextGenerationPipeline

        return TextGenerationPipeline(model=self.model, tokenizer=self.tokenizer)

    def drop(self) -> None:
        """Drop the model."""
        self.model = None
        self.__dict__.pop("_made", None)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._made(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up by copy and pickle; must not create the pipeline
            raise AttributeError(name)
        return getattr(self._made, name)


def _unknown(name: str) -> str:
    problem = f"unknown argument {name!r} of HforchPipeline"
    if name in GENERATION:
        return f"{problem}: pass it in pipeline_kwargs"
    hint = did_you_mean(name, [*HforchPipeline.model_fields.keys() - OF_LOADING])
    return f"{problem}{f': {hint}' if hint else ''}"


class HforchPipeline(HforchLLM, HuggingFacePipeline):
    """LangChain's HuggingFacePipeline with exact stop sequences, real streaming and no silently ignored arguments.

    `HforchPipeline(pipeline=pipe)` wraps an existing transformers text-generation pipeline. All settings of the
    pipeline apply, including those that it takes from its model's `generation_config`, with one exception: the sampling
    that is the default of its task (do_sample=True, temperature=0.7). Unless the pipeline has another sampling setting,
    decoding is greedy, and a log message reports it; `pipeline_kwargs={"do_sample": True}` samples. Answers do not
    contain the EOS token.

    `pipeline_kwargs` takes precedence over the pipeline; it is applied once, when the LLM is created, and then reset
    to None. Other fields are those of `HforchLLM`, such as `stop`, `seed` and `batch_size`. `hforch.load_llm` loads a
    model from a configuration, `HforchPipeline.from_model_id` from LangChain's arguments.

    Raises:
        UnknownArgument: an argument of the pipeline or of this class is unknown, unsupported or given twice.

    Example:
        pipe = transformers.pipeline("text-generation", model="gpt2", do_sample=False)
        llm = HforchPipeline(pipeline=pipe, pipeline_kwargs={"max_new_tokens": 32})
        print(llm.invoke("The capital of France is", stop=["\\n"]))
    """

    def __init__(self, **fields: Any) -> None:
        if unknown := fields.keys() - type(self).model_fields.keys():
            raise UnknownArgument("; ".join(_unknown(name) for name in sorted(unknown)))
        engine: Any = fields.get("engine")
        pipeline: Any = fields.get("pipeline")
        if not hasattr(pipeline, "model") or not hasattr(pipeline, "tokenizer"):
            raise UnknownArgument("HforchPipeline requires pipeline=, a transformers text-generation pipeline")
        if fields.get("model_kwargs"):
            raise UnknownArgument(
                "model_kwargs has no effect on the model of a pipeline, which is already loaded; pass it to"
                " HforchPipeline.from_model_id, or load the model with it"
            )
        if engine is None:
            fields = wrapped(pipeline, fields)
        else:  # loaded by hforch, or a copy with other fields, as made by LangChain's configurable_fields
            if engine.model is not pipeline.model or engine.tokenizer is not pipeline.tokenizer:
                fields["engine"] = engine_of(pipeline)
            fields = with_pipeline_kwargs(fields)
        fields.setdefault("model_name", str(getattr(pipeline.model, "name_or_path", "")))
        super().__init__(**fields)

    def _loaded(self) -> Sequence[Any]:
        return [self.engine, self.pipeline]

    @classmethod
    def from_model_id(  # type: ignore[override]
        cls, model_id: str, task: str = "text-generation", **kwargs: Any
    ) -> HforchPipeline:
        """Load a model with the arguments of LangChain's `HuggingFacePipeline.from_model_id`; reject unknown ones.

        Args:
            model_id: a directory if one with that name exists, otherwise a model id on the Hugging Face Hub.
            task: `text-generation`; no other task is supported.
            kwargs: any of the following; others are fields of the LLM, such as `callbacks`.
                backend: `default` (torch), `pytorch` or `openvino`.
                device: -1 or `cpu` for the CPU, n or `cuda:n` for GPU n.
                device_map: a strategy such as `auto`; mutually exclusive with `device`.
                model_kwargs: dict with revision, trust_remote_code, attn_implementation, dtype, generation settings,
                    or, for OpenVINO, device and ov_config.
                pipeline_kwargs: dict of generation settings, such as max_new_tokens or temperature, and of other
                    arguments of calls, such as stop or return_full_text.
                batch_size: maximum number of prompts in a batch (default 4).

        Raises:
            UnknownArgument: a name or value is unknown.
            ConfigError: this machine cannot run the model, or values are invalid or mutually exclusive.
            ModelError: the weights are missing or unusable, or cannot be downloaded.
            BackendError: the backend cannot load the model.

        Example:
            llm = HforchPipeline.from_model_id("gpt2", backend="openvino", pipeline_kwargs={"max_new_tokens": 10})
        """
        from hforch.backends.base import build_llm
        from hforch.backends.huggingface.from_model_id import check_llm_fields, job_of
        from hforch.backends.shared_models import lease_model
        from hforch.utils.progress_bar import progress_of

        named = ("backend", "device", "device_map", "model_kwargs", "pipeline_kwargs", "batch_size")
        arguments = dict(kwargs.get("pipeline_kwargs") or {})
        refuse_twice(arguments, kwargs)
        job = job_of(model_id, task, **{name: kwargs.pop(name) for name in named if name in kwargs})
        check_llm_fields(kwargs)
        progress = progress_of(None)
        with progress.stage("load", job.model.label):
            loaded, lease = lease_model(job, progress)
        return cast(HforchPipeline, build_llm(job, loaded, lease=lease, pipeline_kwargs=arguments, **kwargs))
