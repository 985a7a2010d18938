"""Tests that every precision of every backend is applied and recorded, or rejected with a reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fake_cuda import FakeCuda

from hforch import load_llm
from hforch.backends import openvino as ov
from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError

PARIS = "The capital of France is"


def loaded(backend: str, precision: str, *more: str) -> tuple[Any, dict[str, Any]]:
    llm = load_llm(f"backend={backend}", f"precision={precision}", "generation.max_new_tokens=6", *more)
    return llm, llm.engine.identity["precision"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "compute", "weights"),
    [
        ("auto", "float32", "float32"),
        ("fp32", "float32", "float32"),
        ("bf16", "bfloat16", "bfloat16"),
        ("fp16", "float16", "float16"),
        ("int8", "bfloat16", "int8"),
        ("int4", "bfloat16", "nf4"),
    ],
)
def test_pytorch(precision: str, compute: str, weights: str) -> None:
    llm, effective = loaded("pytorch", precision)
    assert (effective["compute"], effective["weights"]) == (compute, weights)
    assert "Paris" in llm.invoke(PARIS)
    llm.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "weights", "compute"),
    [
        ("auto", "fp16", None),
        ("fp32", "fp32", "f32"),
        ("bf16", "fp16", "bf16"),
        ("fp16", "fp16", "f16"),
        ("int8", "int8", None),
        ("int4", "int4", None),
    ],
)
def test_openvino(precision: str, weights: str, compute: str | None) -> None:
    job = job_from_overrides(["backend=openvino", f"precision={precision}"])
    if mistakes := ov.check(job):
        assert precision in ("bf16", "fp16")
        assert f"does not support {precision}" in mistakes[0].problem
        assert str(mistakes[0].hint).startswith("use precision=")
        return
    llm, effective = loaded("openvino", precision)
    assert effective["weights"] == weights
    assert compute is None or effective["compute"] == compute
    assert "Paris" in llm.invoke(PARIS)
    llm.close()


@pytest.mark.slow
def test_the_bit_widths_of_an_int4_export_are_recorded() -> None:
    llm, _ = loaded("openvino", "int4")
    bits = llm.engine.identity["weights"]["export"]["bits"]
    assert bits["u4"]["layers"] > 200
    # The width of the model, 576, is not a multiple of 128, so some layers fell back to groups of 64.
    assert set(bits["u4"]["group_sizes"]) == {"64", "128"}
    llm.close()


def test_ov_config_overrides_the_precision_hint() -> None:
    job = job_from_overrides(["backend=openvino", "precision=fp32", "+ov_config.INFERENCE_PRECISION_HINT=bf16"])
    assert ov.properties(job)["INFERENCE_PRECISION_HINT"] == "bf16"
    assert ov.properties(job_from_overrides(["precision=fp32"]))["INFERENCE_PRECISION_HINT"] == "f32"


def test_threads_are_the_same_setting_for_every_backend(tiny_gpt2: Path) -> None:
    for backend in ("pytorch", "openvino"):
        llm = load_llm("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", "runtime.threads=1")
        assert llm.engine.identity["threads"] == 1
        llm.close()
    import torch

    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))


@pytest.mark.parametrize(
    ("override", "path", "said"),
    [
        ("+ov_config.PERFORMANCE_HNT=LATENCY", "ov_config.PERFORMANCE_HNT", "Unsupported property PERFORMANCE_HNT"),
        ("+ov_config.PERFORMANCE_HINT=LATENC", "ov_config.PERFORMANCE_HINT", "Expected only"),
        ("+ov_config.NUM_STREAMS=x", "ov_config.NUM_STREAMS", "number of streams"),
        ("+ov_config.KV_CACHE_PRECISION=u3", "ov_config.KV_CACHE_PRECISION", "allowed: u8, u4"),
    ],
)
def test_an_invalid_ov_config_is_reported_before_loading(override: str, path: str, said: str) -> None:
    (mistake,) = ov.check(job_from_overrides(["backend=openvino", override]))
    assert mistake.path == path
    assert said in mistake.problem


def test_a_missing_device_is_rejected_and_available_ones_are_listed() -> None:
    (mistake,) = ov.check(job_from_overrides(["backend=openvino", "device=openvino", "device.name=GPU.7"]))
    assert mistake.path == "device.name"
    assert "GPU.7" in mistake.problem and "CPU" in str(mistake.hint)


def test_a_missing_gpu_is_rejected_before_loading() -> None:
    with FakeCuda(cards=[]).installed(), pytest.raises(ConfigError, match="torch found no usable GPU"):
        load_llm("device=gpu")
    with FakeCuda().installed(), pytest.raises(ConfigError, match="GPU 3 does not exist"):
        load_llm("device=gpu", "device.index=3")


def test_a_missing_extra_is_reported_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    absent = ("torchao", "bitsandbytes", "openvino", "optimum")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.split(".")[0] in absent else real(name))
    for overrides, command in (
        (["precision=int8"], "pip install 'hforch[quant]'"),
        (["precision=int4"], "pip install 'hforch[quant]'"),
        (["backend=openvino"], "pip install 'hforch[openvino]'"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_llm(*overrides)
        assert command in str(caught.value)


def test_syntax_warnings_of_torchao_do_not_fail_the_test_suite(tmp_path: Path) -> None:
    """torchao's docstrings have invalid escapes, for which the compiler warns; warnings are errors in tests."""
    source = '"""\\d"""'
    compile(source, str(tmp_path / "site-packages" / "torchao" / "ops.py"), "exec")
    with pytest.raises((SyntaxError, SyntaxWarning, DeprecationWarning), match="invalid escape"):
        compile(source, str(tmp_path / "other.py"), "exec")
