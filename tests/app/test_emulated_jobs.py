"""Jobs whose compute precision the CPU emulates: warnings, and sweeps without these jobs. The CPU is simulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hforch import cli
from hforch.config.compose import job_from_overrides
from hforch.machine import processor
from hforch.runs.emulation import emulated

ROOT = Path(__file__).parents[2]
AVX2, AVX512_BF16, ARM = "fpu avx2", "fpu avx2 avx512f avx512_bf16", "fp asimd asimdhp"
Cpu = Callable[[str], None]


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cpu:
    """A function that sets the features of the CPU."""

    def set_features(flags: str) -> None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")

    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.chdir(tmp_path)
    return set_features


@pytest.mark.parametrize(
    ("flags", "slow"),
    [
        (AVX2, {"bf16", "fp16", "int8", "int4"}),
        (AVX512_BF16, {"fp16"}),
        (f"{AVX2} amx_bf16 amx_fp16", set()),
        (ARM, {"bf16", "int8", "int4"}),
        ("", set()),
    ],
)
def test_the_features_of_the_cpu_decide_which_precisions_are_emulated(cpu: Cpu, flags: str, slow: set[str]) -> None:
    cpu(flags)
    names = ("auto", "fp32", "bf16", "fp16", "int8", "int4")
    assert {name for name in names if emulated(job_from_overrides([f"precision={name}"]))} == slow
    assert not any(emulated(job_from_overrides([f"precision={name}", "backend=openvino"])) for name in names)
    assert not emulated(job_from_overrides(["precision=bf16", "device=gpu"]))


def test_the_hint_avoids_the_emulation(cpu: Cpu) -> None:
    cpu(AVX2)
    for words in (["precision=bf16"], ["precision=int8"]):
        warning = emulated(job_from_overrides(words))
        assert warning is not None and warning.hint is not None
        key, _, value = warning.hint.removeprefix("use ").partition("=")
        assert not emulated(job_from_overrides([*(one for one in words if not one.startswith(key)), f"{key}={value}"]))


def planned(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert cli.main([*words, "--dry-run", "runtime.isolation=inline"]) == code
    shown = capsys.readouterr()
    return shown.out + shown.err


@pytest.mark.model
def test_a_sweep_warns_before_it_starts_and_can_leave_the_jobs_out(
    cpu: Cpu, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("-m", "model=local", f"model.path={tiny_gpt2}", "precision=fp32,bf16,fp16")
    cpu(AVX2)
    out = planned(capsys, *words)
    assert "warning: precision=bf16: the job computes in bfloat16, which this CPU emulates" in out
    assert "warning: precision=fp16: the job computes in float16, which this CPU emulates" in out
    out = planned(capsys, *words, "runtime.emulated=skip")
    line = "left out, as this CPU emulates their compute precision (runtime.emulated=warn runs them): "
    assert f"{line}precision=bf16; precision=fp16" in out and "warning" not in out
    cpu(AVX512_BF16)
    assert f"{line}precision=fp16" in planned(capsys, *words, "runtime.emulated=skip")
    out = planned(capsys, *words[:3], "precision=bf16,fp32", "runtime.emulated=skip")
    assert "emulates" not in out and "precision=bf16" in out


@pytest.mark.model
def test_leaving_out_all_jobs_is_an_error(cpu: Cpu, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cpu(AVX2)
    words = ("model=local", f"model.path={tiny_gpt2}", "precision=bf16", "runtime.emulated=skip")
    out = planned(capsys, *words, code=2)
    assert "runtime.emulated: leaves out the job, as this CPU emulates the compute precision" in out
    assert "set in runtime.emulated=skip" in out and "set runtime.emulated=warn" in out


@pytest.mark.model
def test_a_run_warns_before_it_loads_the_model(
    cpu: Cpu, tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu(AVX2)
    words = ("model=local", f"model.path={tiny_gpt2}", "precision=bf16", "generation.max_new_tokens=2")
    assert cli.main([*words, "runtime.warmup=0", "runtime.isolation=inline", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    out = capsys.readouterr().out
    assert 0 <= out.find("the job computes in bfloat16, which this CPU emulates") < out.find("load: ")
    warnings = json.loads((tmp_path / "run/record.json").read_text())["warnings"]
    assert any("this CPU emulates" in str(one) for one in warnings)


def test_the_recipe_for_precisions_leaves_emulated_ones_out(cpu: Cpu) -> None:
    from hforch.app.emulated_jobs import without_emulated
    from hforch.config.config_dirs import find_config_dirs
    from hforch.config.recipes import opened
    from hforch.config.sweeps import plan
    from hforch.launchers.base import Launcher
    from hforch.launchers.registry import launcher_named

    recipe = ROOT / "recipes/precision_cost.yaml"
    for flags, words, number in ((AVX2, [], 3), (AVX2, ["runtime.emulated=warn"], 4), (AVX512_BF16, [], 4)):
        cpu(flags)
        with opened(recipe, find_config_dirs(), words) as config_dirs:
            jobs = plan(words, config_dirs, multirun=False)
            left, told = without_emulated(jobs, launcher_named("basic"))
            assert (len(left.jobs), len(told)) == (number, 4 - number)
            assert len(left.numbers) == number and {*left.numbers} <= {*jobs.numbers}
            if told:
                assert "precision=bf16 backend=pytorch" in told[0]
            assert without_emulated(jobs, Launcher()) == (jobs, [])
