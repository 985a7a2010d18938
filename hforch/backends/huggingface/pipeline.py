"""HforchPipeline: LangChain's HuggingFacePipeline with hforch's guarantees, for torch and OpenVINO models."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from langchain_huggingface import HuggingFacePipeline

from hforch.backends.huggingface.engine import engine_of
from hforch.backends.huggingface.existing_pipeline import settings_of
from hforch.errors import UnknownArgument
from hforch.generation.llm import HforchLLM


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

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._made(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up by copy and pickle; must not create the pipeline
            raise AttributeError(name)
        return getattr(self._made, name)


class HforchPipeline(HforchLLM, HuggingFacePipeline):
    """LangChain's HuggingFacePipeline with exact stop sequences, real streaming and no silently ignored arguments.

    `HforchPipeline(pipeline=pipe)` wraps an existing transformers text-generation pipeline. Decoding uses the
    arguments of that pipeline and `pipeline_kwargs`; all other settings come from `generation=greedy`. An argument of
    the pipeline that equals a default of its task or checkpoint cannot be detected; pass it in `pipeline_kwargs`.

    Other fields are those of `HforchLLM`, such as `stop`, `seed` and `batch_size`. `hforch.load_llm` loads a model from
    a configuration, `HforchPipeline.from_model_id` from LangChain's arguments.

    Raises:
        UnknownArgument: an argument of the pipeline or of this class is unknown or unsupported.

    Example:
        pipe = transformers.pipeline("text-generation", model="gpt2")
        llm = HforchPipeline(pipeline=pipe, pipeline_kwargs={"max_new_tokens": 32})
        print(llm.invoke("The capital of France is", stop=["\\n"]))
    """

    def __init__(self, **fields: Any) -> None:
        engine, pipeline = fields.pop("engine", None), fields.get("pipeline")
        if not hasattr(pipeline, "model") or not hasattr(pipeline, "tokenizer"):
            raise UnknownArgument("HforchPipeline requires pipeline=, a transformers text-generation pipeline")
        if engine is None:
            fields = settings_of(pipeline, fields)
        super().__init__(**fields)
        self._engine = engine or engine_of(pipeline)

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
                pipeline_kwargs: dict of generation settings, such as max_new_tokens or temperature.
                batch_size: maximum number of prompts in a batch (default 4).

        Raises:
            UnknownArgument: a name or value is unknown.
            ConfigError: this machine cannot run the model, or values are invalid or mutually exclusive.
            ModelError: the weights are missing or unusable, or cannot be downloaded.
            BackendError: the backend cannot load the model.

        Example:
            llm = HforchPipeline.from_model_id("gpt2", backend="openvino", pipeline_kwargs={"max_new_tokens": 10})
        """
        from hforch.backends.base import build_llm, load
        from hforch.backends.huggingface.from_model_id import job_of
        from hforch.utils.progress import Silent

        named = ("backend", "device", "device_map", "model_kwargs", "pipeline_kwargs", "batch_size")
        job = job_of(model_id, task, **{name: kwargs.pop(name) for name in named if name in kwargs})
        return cast(HforchPipeline, build_llm(job, load(job, Silent()), **kwargs))
