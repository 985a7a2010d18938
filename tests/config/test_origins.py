"""Places of values: the command line, built-in YAML, a user's YAML, and the other end of an interpolation."""

from __future__ import annotations

from pathlib import Path

import pytest

from hforch.config.compose import Composed, compose
from hforch.config.config_dirs import conf_dir


def line(file: str, text: str) -> str:
    lines = (conf_dir() / file).read_text().splitlines()
    return f"{file}:{1 + next(n for n, written in enumerate(lines) if written.startswith(text))}"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    return tmp_path / "my"


def with_config(mine: Path, text: str, *overrides: str) -> Composed:
    (mine / "exp.yaml").write_text(text)
    return compose(overrides, config_dir="my", config_name="exp")


def test_the_command_line() -> None:
    composed = compose(["generation.max_new_tokens=3", "generation.max_new_tokens=4"])
    assert composed.where("generation.max_new_tokens") == "generation.max_new_tokens=4"


def test_a_value_in_a_mapping_or_a_list_on_the_command_line() -> None:
    composed = compose(["generation={max_new_tokens: 3}", "inputs.items=[a,b]"])
    assert composed.where("generation.max_new_tokens") == "generation={max_new_tokens: 3}"
    assert composed.where("generation.top_k") == "conf/" + line("generation/greedy.yaml", "top_k")
    assert composed.where("inputs.items.1") == "inputs.items=[a,b]"


def test_built_in_yaml(mine: Path) -> None:
    assert compose([]).where("generation.max_new_tokens") == "conf/" + line("generation/greedy.yaml", "max_new_tokens")
    place = "conf/" + line("generation/beam.yaml", "num_beams")
    assert compose(["generation=beam"]).where("generation.num_beams") == f"{place}, selected by generation=beam"
    assert compose([]).where("inputs.items.0.question") == "conf/inputs/capital.yaml:4"


def test_a_users_yaml(mine: Path) -> None:
    composed = with_config(mine, "defaults:\n  - config\n  - _self_\ngeneration:\n  max_new_tokens: 7\n")
    assert composed.where("generation.max_new_tokens") == "my/exp.yaml:5"
    assert composed.where("generation.top_k") == "conf/" + line("generation/greedy.yaml", "top_k")


def test_the_order_of_the_defaults_list_is_respected(mine: Path) -> None:
    composed = with_config(mine, "defaults:\n  - _self_\n  - config\ngeneration:\n  max_new_tokens: 7\n")
    assert composed.job.generation.max_new_tokens == 64
    assert composed.where("generation.max_new_tokens") == "conf/" + line("generation/greedy.yaml", "max_new_tokens")


def test_a_file_with_a_package_directive(mine: Path) -> None:
    (mine / "experiment").mkdir()
    (mine / "experiment" / "a.yaml").write_text("# @package _global_\nruntime:\n  seed: 5\n")
    composed = compose(["+experiment=a"], config_dir="my")
    assert composed.where("runtime.seed") == "my/experiment/a.yaml:3, selected by +experiment=a"


def test_both_ends_of_an_interpolation(mine: Path) -> None:
    text = "defaults:\n  - config\n  - _self_\ngeneration:\n  min_new_tokens: ${runtime.batch_size}\n"
    composed = with_config(mine, text)
    there = "conf/" + line("runtime/default.yaml", "batch_size")
    assert composed.job.generation.min_new_tokens == 4
    assert composed.where("generation.min_new_tokens") == (
        f"my/exp.yaml:5, where ${{runtime.batch_size}} comes from {there}"
    )


def test_both_ends_of_an_interpolation_on_the_command_line() -> None:
    composed = compose(["generation.min_new_tokens=${.max_new_tokens}", "generation.max_new_tokens=5"])
    assert composed.where("generation.min_new_tokens") == (
        "generation.min_new_tokens=${.max_new_tokens}, where ${.max_new_tokens} comes from generation.max_new_tokens=5"
    )


def test_a_value_in_an_interpolated_mapping(mine: Path) -> None:
    text = "defaults:\n  - config\n  - _self_\n  - override ov_config: default\nov_config:\n  A: ${runtime.seed}\n"
    composed = with_config(mine, text)
    assert "runtime/default.yaml" in (composed.where("ov_config.A") or "")


def test_a_value_that_was_set_nowhere_has_no_place() -> None:
    assert compose([]).where("nowhere.at.all") is None
