"""Shorthands work wherever an option can be set, and messages explain them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from hforch.config import sweeps
from hforch.config.compose import compose, job_from_overrides
from hforch.config.config_dirs import find_config_dirs
from hforch.config.recipes import opened
from hforch.errors import ConfigError


def device(*overrides: str, **more: Any) -> tuple[str, int | None]:
    found = compose(overrides, **more).job.device
    return found.kind, found.index


@pytest.mark.parametrize(
    ("word", "kind", "index"),
    [
        ("cuda", "gpu", 0),
        ("cuda:1", "gpu", 1),
        ("xpu:0", "gpu", 0),
        ("gpu:3", "gpu", 3),
        ("0", "gpu", 0),
        ("12", "gpu", 12),
        ("'1'", "gpu", 1),
        ("-1", "cpu", None),
    ],
)
def test_device_names_of_torch_and_transformers_are_accepted(word: str, kind: str, index: int | None) -> None:
    composed = compose([f"device={word}"])
    assert (composed.job.device.kind, composed.job.device.index) == (kind, index)
    where = "device=gpu device.index=" if kind == "gpu" else "device=cpu"
    (note,) = composed.notes
    assert f"is short for {where}{'' if index is None else index}" in note


@pytest.mark.parametrize("word", ["cuda:", "cuda:x", "cuda:-1", "cuda:01", "-2", "1.5", "true", "cuda:99999", "tpu:0"])
def test_an_invalid_device_is_refused_with_a_list_of_valid_ones(word: str) -> None:
    with pytest.raises(ConfigError, match="npu, openvino, or a GPU index, such as cuda:1, xpu:1, gpu:1 or 1"):
        compose([f"device={word}"])


@pytest.mark.parametrize("backend", ["openvino", "openvino_genai"])
def test_torch_device_names_are_refused_on_openvino_with_a_hint(backend: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["device=cuda:1", f"backend={backend}"])
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.where) == ("device", "device=cuda:1")
    assert "device=cpu" in str(mistake.hint)
    assert device("device=1", f"backend={backend}") == ("gpu", 1)


def test_an_option_of_the_same_name_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "device").mkdir()
    (tmp_path / "device/cuda.yaml").write_text("kind: cpu\nindex: null\nname: null\ndevice_map: null\n")
    composed = compose(["device=cuda"], config_dir=tmp_path)
    assert composed.job.device.kind == "cpu" and composed.notes == ()
    assert "cuda.yaml" in str(composed.where("device.kind"))
    assert device("device=cuda:1", config_dir=tmp_path) == ("gpu", 1)


def test_an_option_that_is_created_later_is_found(tmp_path: Path) -> None:
    (tmp_path / "device").mkdir()
    assert device("device=cuda", config_dir=tmp_path) == ("gpu", 0)
    (tmp_path / "device/cuda.yaml").write_text("kind: cpu\nindex: null\nname: null\ndevice_map: null\n")
    assert device("device=cuda", config_dir=tmp_path) == ("cpu", None)


def test_value_overrides_take_precedence_and_errors_name_the_shorthand() -> None:
    assert device("device=cuda:1", "device.index=2") == ("gpu", 2)
    with pytest.raises(ConfigError) as caught:
        compose(["device=cuda:1", "device.device_map=auto"])
    assert {mistake.where for mistake in caught.value.mistakes} == {"device=cuda:1"}


# ---------------------------------------------------------------- in files
@pytest.mark.parametrize("word", ["cuda:1", "1", "'1'"])
def test_a_users_primary_config_can_use_a_shorthand(word: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"defaults:\n  - config\n  - override device: {word}\n  - _self_\n")
    assert device(config_dir=tmp_path, config_name="mine") == ("gpu", 1)


@pytest.mark.parametrize("word", ["cuda:1", "1"])
def test_a_users_option_can_extend_a_shorthand(word: str, tmp_path: Path) -> None:
    (tmp_path / "device").mkdir()
    (tmp_path / "device/spread.yaml").write_text(f"defaults: [{word}]\n")
    if word == "1":  # as for any option, a bare number in a defaults list is not a name
        with pytest.raises(ConfigError):
            device("device=spread", config_dir=tmp_path)
        return
    assert device("device=spread", config_dir=tmp_path) == ("gpu", 1)


@pytest.mark.parametrize("word", ["cuda:1", "1", "-1"])
def test_a_recipe_can_use_a_shorthand(word: str, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"defaults:\n  - device: {word}\n")
    assert device(recipe=file) == (("cpu", None) if word == "-1" else ("gpu", 1))


# ---------------------------------------------------------------- in sweeps
def jobs(overrides: Sequence[str], recipe: Path | None = None) -> sweeps.Plan:
    with opened(recipe, find_config_dirs()) as places:
        return sweeps.plan(overrides, places, multirun=recipe is None)


@pytest.mark.parametrize(("words", "indices"), [("cpu,cuda:1", [None, 1]), ("0,1", [0, 1]), ("range(0,2)", [0, 1])])
def test_a_sweep_can_use_shorthands(words: str, indices: list[int | None]) -> None:
    plan = jobs([f"device={words}"])
    assert [one.job.device.index for one in plan.jobs] == indices
    assert all("\\" not in text for one in plan.jobs for text in one.overrides)


def test_a_recipe_can_sweep_over_shorthands_and_exclude_some(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    params = "hydra: {sweeper: {params: {device: 'cpu, cuda:0, cuda:1', precision: 'fp32, bf16'}}}\n"

    def kept(excluded: str) -> list[tuple[int | None, str]]:
        file.write_text(f"{params}exclude:\n  - {excluded}\n")
        return [(one.job.device.index, one.job.precision.name) for one in jobs([], file).jobs]

    assert kept("{device: 'cuda:1', precision: bf16}") == [
        *((None, "fp32"), (None, "bf16"), (0, "fp32"), (0, "bf16"), (1, "fp32")),
    ]
    assert kept("{device: gpu}") == [(None, "fp32"), (None, "bf16")]


def test_a_recipe_can_only_use_valid_shorthands(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    for word in ("'cuda:1,cpu'", "'../x'", "'cuda:${oc.env:HOME}'"):
        file.write_text(f"defaults:\n  - device: {word}\n")
        with pytest.raises(ConfigError, match=r"must be the name of one option(.|\n)*cuda:1"):
            compose([], recipe=file)


# ---------------------------------------------------------------- on the command line
def test_a_note_on_the_command_line_explains_a_shorthand(tmp_path: Path) -> None:
    def hforch(*words: str) -> subprocess.CompletedProcess[str]:
        return run("backend=fake", *words, cwd=tmp_path)

    done = hforch("device=1", "hydra.run.dir=r")
    assert done.returncode == 0, done.stderr
    assert "note: device=1 is short for device=gpu device.index=1" in done.stderr
    done = hforch("-m", "device=cpu,cuda:1", "hydra.sweep.dir=s")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: device=cuda:1 is short for") == 1
    assert "index: 1" in hforch("device=cuda:1", "--cfg", "job").stdout


def test_langchain_arguments_accept_torch_device_names() -> None:
    from hforch.backends.huggingface.from_model_id import job_of
    from hforch.errors import UnknownArgument

    for given, expected in ((0, 0), (2, 2), ("cuda:1", 1), (-1, None), ("cpu", None)):
        assert job_of("gpt2", device=given).device.index == expected
    with pytest.raises(UnknownArgument, match="device='tpu:0'"):
        job_of("gpt2", device="tpu:0")
    assert job_from_overrides([]).device.kind == "cpu"
