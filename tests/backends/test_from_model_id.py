"""Tests that HforchPipeline.from_model_id applies or rejects every argument of LangChain's class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hforch import HforchPipeline
from hforch.backends.huggingface.from_model_id import job_of
from hforch.errors import ConfigError, UnknownArgument

OV_CONFIG = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "CACHE_DIR": ""}


def tokens(llm: Any, prompt: str = "Once upon a time") -> dict[str, int]:
    return dict(llm.generate([prompt]).llm_output["token_usage"])


def test_pipeline_kwargs_are_applied(tiny_gpt2: Path) -> None:
    hf = HforchPipeline.from_model_id(
        model_id=str(tiny_gpt2), task="text-generation", pipeline_kwargs={"max_new_tokens": 10}
    )
    assert tokens(hf)["completion_tokens"] == 10


def test_generation_settings_in_model_kwargs_are_applied_on_torch(tiny_bloom: Path) -> None:
    llm = HforchPipeline.from_model_id(
        model_id=str(tiny_bloom),
        task="text-generation",
        device=-1,
        batch_size=2,
        model_kwargs={"temperature": 0, "max_length": 64},
        pipeline_kwargs={"max_new_tokens": 200},
    )
    assert llm.batch_size == 2
    assert tokens(llm)["total_tokens"] == 64


def test_device_and_ov_config_are_applied_on_openvino(tiny_gpt2: Path) -> None:
    llm = HforchPipeline.from_model_id(
        model_id=str(tiny_gpt2),
        task="text-generation",
        backend="openvino",
        model_kwargs={"device": "CPU", "ov_config": OV_CONFIG},
        pipeline_kwargs={"max_new_tokens": 10},
    )
    assert tokens(llm)["completion_tokens"] == 10
    assert llm.engine.identity["ov_config"]["PERFORMANCE_HINT"] == "LATENCY"


def test_an_id_that_is_not_a_directory_is_a_hub_id() -> None:
    job = job_of("gpt2", device_map="auto", model_kwargs={"revision": "main", "torch_dtype": "bfloat16"})
    assert job.model.model_dump() | {"source": "hub", "id": "gpt2", "revision": "main"} == job.model.model_dump()
    assert (job.device.kind, job.device.device_map, job.precision.name) == ("auto", "auto", "bf16")
    assert job_of("gpt2", device=1).device.index == 1
    assert job_of("gpt2", backend="openvino", device_map="auto").device.kind == "auto"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"backend": "openvno"}, "openvino"),
        ({"task": "summarization"}, "text-generation"),
        ({"device": 0, "device_map": "auto"}, "mutually exclusive"),
        ({"model_kwargs": {"temprature": 0}}, "temperature"),
        ({"pipeline_kwargs": {"max_new_token": 3}}, "max_new_tokens"),
        ({"model_kwargs": {"dtype": "int3"}}, "int3"),
        ({"model_kwargs": {"dtype": "float32", "torch_dtype": "bfloat16"}}, "dtype and torch_dtype are mutually"),
        ({"model_kwargs": {"device_map": "auto"}}, "pass device_map= to from_model_id"),
        ({"pipeline_kwargs": {"eos_token_id": 3}}, "use stop"),
        ({"backend": "openvino", "device_map": "balanced"}, "device_map has no effect with backend='openvino'"),
        (
            {"backend": "openvino", "model_kwargs": {"attn_implementation": "eager"}},
            "attn_implementation has no effect with backend='openvino'",
        ),
        (
            {"backend": "openvino", "device": 0, "model_kwargs": {"device": "GPU"}},
            "device and model_kwargs=.* are mutually exclusive",
        ),
    ],
)
def test_arguments_that_langchain_ignores_are_rejected(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownArgument, match=said):
        job_of("gpt2", **arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_new_tokens": 3}, "unknown argument 'max_new_tokens' of from_model_id: pass it in pipeline_kwargs"),
        ({"revision": "main"}, "pass it in model_kwargs"),
        ({"callback": []}, r"did you mean callbacks\?"),
        ({"callbacks": 3}, "callbacks=3: input should be a valid list"),
    ],
)
def test_fields_of_the_llm_are_checked_before_the_model_is_loaded(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownArgument, match=said):
        HforchPipeline.from_model_id("/does/not/exist", **arguments)


def test_a_revision_of_a_directory_is_rejected(tiny_gpt2: Path) -> None:
    with pytest.raises(UnknownArgument, match="revision applies only to models on the Hugging Face Hub"):
        job_of(str(tiny_gpt2), model_kwargs={"revision": "main"})


def test_arguments_that_are_given_twice_are_rejected(tiny_gpt2: Path) -> None:
    with pytest.raises(UnknownArgument, match="batch_size: given twice"):
        HforchPipeline.from_model_id(str(tiny_gpt2), batch_size=2, pipeline_kwargs={"batch_size": 3})


def test_a_batch_size_of_zero_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.batch_size"):
        job_of("gpt2", batch_size=0)
