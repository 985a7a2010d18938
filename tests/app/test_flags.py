"""Wrong values of Hydra's flags are usage errors: exit code 2, and nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import hforch, run

NOPE = "${nope}"
WRONG = {
    ("--cfg", "wrong"): "invalid choice: 'wrong'",
    ("--info", "wrong"): "invalid choice: 'wrong'",
    ("--cfg", "job", "--package", "nothere"): "package 'nothere' not found: the configuration has no key 'nothere'",
    ("--cfg", "job", "-p", "runtime.seeds"): "did you mean runtime.seed?",
    ("--cfg", "job", "-p", "runtime.seed.x"): "runtime.seed has no key 'x'",
    ("--cfg", "job", "-p", "stop.sequences.x"): "stop.sequences has no key 'x'",
    ("--cfg", "job", "-p", "hydra"): "use --cfg hydra or --cfg all",
    ("--cfg", "hydra", "-p", "runtime"): "package 'runtime' not found",
    ("--cfg", "job", "model=hub", "-p", "model.id"): "model.id: has no value",
    ("--cfg", "hydra", f"hydra.run.dir={NOPE}", "-p", "hydra.run.dir"): "hydra.run.dir: cannot be resolved",
    ("--cfg", "hydra", f"hydra.run.dir={NOPE}", "--resolve"): "hydra.run.dir: cannot be resolved",
    ("--cfg", "job", f"runtime.seed={NOPE}", "--resolve"): "runtime.seed: cannot be resolved",
    ("-p", "runtime", "backend=fake"): "--package requires --cfg",
    ("--resolve", "backend=fake"): "--resolve requires --cfg or --help",
    ("--config-name", "", "backend=fake"): "--config-name is empty",
    ("--config-dir", "", "backend=fake"): "--config-dir is empty",
    ("--config-path", "", "backend=fake"): "--config-path is empty",
    ("--experimental-rerun", "nothere"): "file not found: nothere",
    ("--experimental-rerun", "text"): "text is not a configuration saved by Hydra's PickleJobInfoCallback",
    ("-sc",): "requires one of install=SHELL, uninstall=SHELL, query=SHELL",
    ("-sc", "install=bash", "uninstall=bash"): "requires one of install=SHELL",
    ("-sc", "install=nope"): "unknown shell 'nope'; available: bash, fish, zsh",
    ("-sc", "query=bash"): "which sets COMP_LINE",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_value_is_reported(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a pickle")
    done = hforch(*words, cwd=tmp_path, code=2)
    assert WRONG[words] in done.stderr
    assert not done.stdout
    assert [one.name for one in tmp_path.iterdir()] == ["text"]


def test_all_values_that_cannot_be_resolved_are_reported() -> None:
    words = ("runtime.seed=${nope}", "inputs.limit=${oc.env:HFORCH_NOT_SET}")
    done = hforch("--cfg", "all", "--resolve", *words, code=2)
    assert "2 errors" in done.stderr and "inputs.limit: " in done.stderr and "runtime.seed: " in done.stderr


RIGHT = {
    ("-p", "runtime.threads"): "null\n",
    ("-p", "runtime.seed"): "0\n",
    ("-p", "runtime[seed]"): "0\n",
    ("-p", "stop.sequences"): "# @package stop.sequences\n[]\n",
    ("stop.sequences=[a,b]", "-p", "stop.sequences.1"): "b\n",
    ("stop.sequences=['${runtime.seed}']", "-p", "stop", "--resolve"): "# @package stop\nsequences:\n- 0\n",
}


@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_a_part_of_the_configuration_is_printed(words: tuple[str, ...]) -> None:
    assert hforch("--cfg", "job", *words).stdout == RIGHT[words]


def test_the_whole_configuration_is_a_package() -> None:
    assert hforch("--cfg", "job", "-p", "_global_").stdout == hforch("--cfg", "job").stdout


def test_completion_can_be_installed() -> None:
    assert "hydra_bash_completion" in run("-sc", "install=bash").stdout
