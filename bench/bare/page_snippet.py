"""The snippet of the reference page: HuggingFacePipeline with its default batch size of 4."""

from typing import Any

from langchain_huggingface.llms import HuggingFacePipeline


def load(folder: str, backend: str, new_tokens: int, batch_size: int = 4) -> Any:
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "pipeline_kwargs": {"max_new_tokens": new_tokens, "do_sample": False},
    }
    if backend == "openvino":
        ov_config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "CACHE_DIR": ""}
        options |= {"backend": "openvino", "model_kwargs": {"device": "CPU", "ov_config": ov_config}}
    return HuggingFacePipeline.from_model_id(model_id=folder, task="text-generation", **options).bind(skip_prompt=True)
