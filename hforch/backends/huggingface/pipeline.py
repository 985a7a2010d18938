"""HuggingFacePipeline with the promises kept: torch and OpenVINO models both come through here."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from langchain_huggingface import HuggingFacePipeline

from hforch.backends.huggingface.engine import engine_of
from hforch.backends.huggingface.existing_pipeline import settings_of
from hforch.errors import UnknownArgument
from hforch.generation.llm import HforchLLM


class LazyPipeline:
    """A transformers `text-generation` pipeline that is made when it is first asked for more than its parts.

    hforch generates with model and tokenizer alone, and importing transformers' pipelines takes near half a second.
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
        if name.startswith("__"):  # what copying and pickling look for is not the pipeline's
            raise AttributeError(name)
        return getattr(self._made, name)


class HforchPipeline(HforchLLM, HuggingFacePipeline):
    """LangChain's HuggingFacePipeline with hforch's promises.

    `HforchPipeline(pipeline=pipe)` takes an existing transformers pipeline; what was given to that pipeline and
    `pipeline_kwargs` decide decoding (see `existing_pipeline.py` for what can be told), and the rest is as in
    conf/generation/greedy.yaml. `hforch.load_llm` makes one from a configuration.
    """

    def __init__(self, **fields: Any) -> None:
        engine, pipeline = fields.pop("engine", None), fields.get("pipeline")
        if not hasattr(pipeline, "model") or not hasattr(pipeline, "tokenizer"):
            raise UnknownArgument("HforchPipeline needs pipeline=, a transformers text-generation pipeline")
        if engine is None:
            fields = settings_of(pipeline, fields)
        super().__init__(**fields)
        self._engine = engine or engine_of(pipeline)

    @classmethod
    def from_model_id(  # type: ignore[override]
        cls, model_id: str, task: str = "text-generation", **kwargs: Any
    ) -> HforchPipeline:
        """Load a model with the arguments of LangChain's own `from_model_id`, every one of which counts.

        Args:
            model_id: a folder, or an id of the hub.
            task: `text-generation`.
            kwargs: backend, device, device_map, model_kwargs, pipeline_kwargs, batch_size, described in
                `from_model_id.job_of`; others are fields of the LLM, such as `callbacks`.

        Raises:
            UnknownArgument: a name or value that is not known.
            ConfigError, ModelError, BackendError: this machine cannot run it, or the weights cannot be had or loaded.
        """
        from hforch.backends.base import build_llm, load
        from hforch.backends.huggingface.from_model_id import job_of
        from hforch.utils.progress import Silent

        named = ("backend", "device", "device_map", "model_kwargs", "pipeline_kwargs", "batch_size")
        job = job_of(model_id, task, **{name: kwargs.pop(name) for name in named if name in kwargs})
        return cast(HforchPipeline, build_llm(job, load(job, Silent()), **kwargs))
