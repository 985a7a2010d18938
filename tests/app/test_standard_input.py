"""Inputs from standard input: `inputs.path=-`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, hforch

WORDS = ("backend=fake", "prompt=question", "inputs=file", "inputs.path=-", "runtime.warmup=0")


def piped(text: str, *words: str, code: int = 0) -> str:
    """Run hforch with a text as standard input, and return its stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hforch", *words],
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def record(run: Path) -> Any:
    return json.loads((run / "record.json").read_text())


def test_lines_are_inputs_which_the_record_keeps_for_resume_freeze_and_verify(tmp_path: Path) -> None:
    run = tmp_path / "run"
    piped("one\n\ntwo\n", *WORDS, f"hydra.run.dir={run}")
    assert record(run)["job"]["inputs"]["items"] == ["one", "two"]
    samples = (run / "samples.jsonl").read_text().splitlines()
    (run / "samples.jsonl").write_text(samples[0] + "\n")
    hforch("resume", str(run))
    assert len((run / "samples.jsonl").read_text().splitlines()) == 2
    hforch("freeze", str(run), "-o", str(tmp_path / "frozen.yaml"))
    done = hforch("verify", str(tmp_path / "frozen.yaml"), "--output", str(tmp_path / "again"))
    assert "identical: all 2" in done.stdout


def test_the_format_is_configured_and_all_jobs_of_a_sweep_share_the_inputs(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    words = ("-m", *WORDS, "inputs.format=csv", "runtime.seed=1,2", f"hydra.sweep.dir={sweep}")
    said = piped("question;expected\nwhy?;x\n", *words)
    assert said.count("standard input: the values are separated by semicolons") == 1
    for number in "01":
        assert record(sweep / number)["job"]["inputs"]["items"] == [{"question": "why?", "expected": "x"}]
    (sweep / "1" / "record.json").unlink()
    hforch("resume", str(sweep))
    assert record(sweep / "1")["status"] == "ok"


def test_errors_name_the_line_of_standard_input(tmp_path: Path) -> None:
    words = (*WORDS, f"hydra.run.dir={tmp_path / 'run'}")
    assert "at standard input:2" in piped('{"question": "a"}\n[1]\n', *words, "inputs.format=jsonl", code=2)
    said = piped('{"question": "a"}\n\n{"question": null}\n', *words, "inputs.format=jsonl", code=2)
    assert "input 2: column 'question' is null" in said and "at standard input:3" in said
    assert "no inputs found in standard input" in piped("", *words, code=2)
    assert not (tmp_path / "run").exists()


def test_inputs_with_a_credential_are_not_recorded_and_cannot_be_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    piped("my password: hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n", *WORDS, f"hydra.run.dir={run}")
    assert "hf_abcdef" not in (run / "record.json").read_text()
    said = hforch("resume", str(run), code=2).stderr
    assert "contained a credential" in said and "save the inputs to a file" in said


def test_only_the_command_that_starts_a_run_reads_standard_input() -> None:
    from hforch.config.compose import job_from_overrides
    from hforch.errors import ConfigError
    from hforch.inputs import load_inputs

    with pytest.raises(ConfigError, match="only by the command that starts a run"):
        load_inputs(job_from_overrides(WORDS).inputs)
