"""The displays of a run: plain lines in a pipe, rich on a terminal, JSON, and none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from at_terminal import python_at_terminal
from command_line import run

from hforch.report import plain_watcher
from hforch.report.plain_watcher import PlainWatcher, shown
from hforch.report.wording import failure, item_line, summary_lines

FAKE = ("backend=fake",)


def hforch(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(*words, cwd=cwd)


def test_plain_lines_show_header_answer_and_summary(tmp_path: Path) -> None:
    done = run(*FAKE, cwd=tmp_path, cold=True)
    lines = [
        line for line in done.stdout.splitlines() if not line.startswith("import: ")
    ]  # printed if importing takes long
    assert lines[0] == "backend fake"
    assert "> What is the capital of France?" in lines
    assert "31 tokens, ended with EOS · " in lines[-2]
    assert " tokens/s · TTFT " in lines[-2] and " ms · peak memory " in lines[-2]
    record = Path(lines[-1].removeprefix("results: "))
    assert (tmp_path / record / "record.json").is_file()
    assert "\x1b" not in done.stdout and done.stderr == ""


def test_each_of_many_inputs_is_shown_with_its_answer(tmp_path: Path) -> None:
    done = hforch(*FAKE, "inputs=numbers_in_french", cwd=tmp_path)
    assert "[1/4] What is the number 0 in french?" in done.stdout
    assert "[4/4] What is the number 3 in french?" in done.stdout
    assert "4 of 4 samples succeeded" in done.stdout


def test_json_prints_only_the_record(tmp_path: Path) -> None:
    done = hforch(*FAKE, "runtime.display=json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["status"] == "ok"
    assert json.loads((tmp_path / record["directory"] / "record.json").read_text()) == {
        name: value for name, value in record.items() if name != "directory"
    }


def test_a_sweep_prints_a_line_of_json_for_each_job(tmp_path: Path) -> None:
    done = hforch("-m", *FAKE, "runtime.display=json", "runtime.seed=1,2", cwd=tmp_path)
    jobs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["status"], one["job"]["runtime"]["seed"]) for one in jobs] == [("ok", 1), ("ok", 2)]
    assert done.stderr == ""


UNMET = ("inputs=facts", "prompt=question", "checks=contains_expected", "runtime.min_pass=0.5")


@pytest.mark.parametrize("display", ["plain", "json", "none"])
def test_exit_code_3_has_a_reason_on_stderr(tmp_path: Path, display: str) -> None:
    words = (*FAKE, *UNMET, f"runtime.display={display}")
    done = hforch(*words, cwd=tmp_path)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert " checks passed (0%); runtime.min_pass requires 50%; the first that failed: input 1: " in line
    done = hforch("-m", *words, "runtime.seed=1,2", cwd=tmp_path)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert [line.partition(": 0 of ")[0] for line in lines] == ["job 0 (runtime.seed=1)", "job 1 (runtime.seed=2)"]
    done = hforch(*words[:-2], "runtime.min_pass=0", words[-1], cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""


def test_none_prints_nothing_and_writes_the_record(tmp_path: Path) -> None:
    done = hforch(*FAKE, "runtime.display=none", cwd=tmp_path)
    assert done.stdout == done.stderr == ""
    assert list(tmp_path.rglob("record.json"))


def test_a_failed_sample_is_reported_immediately_and_in_the_summary(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 2, error: out of ink, after: 0}]"
    done = hforch(*FAKE, "inputs=numbers_in_french", failing, "runtime.batch_size=1", "runtime.warmup=0", cwd=tmp_path)
    assert done.returncode == 1
    assert "failed: input 3: out of ink" in done.stdout
    assert "failed · 3 of 4 samples succeeded" in done.stdout


def test_a_terminal_shows_the_answer_as_it_is_generated(tmp_path: Path) -> None:
    words = ["-m", "hforch", *FAKE, "backend.token_s=0.05", "backend.replies=[{match: '', text: 'one two three'}]"]
    with python_at_terminal(words, tmp_path) as child:
        child.screen.expect("What is the capital of France")
        child.screen.expect("one")
        assert "three" not in child.screen.before + (child.screen.buffer or "")
        child.screen.expect("three")
        child.screen.expect("tokens/s")
        child.screen.expect(pexpect.EOF)
        assert child.exit_code() == 0


def test_a_models_output_cannot_move_the_cursor() -> None:
    assert shown("a\x1b[2Jb\r\x07c\n\td") == "a[2Jbc\n\td"


def test_a_long_item_becomes_one_short_line() -> None:
    assert item_line({"question": "what\nnow"}) == "what now"
    assert item_line({"a": 1, "b": "x"}) == "a: 1, b: x"
    assert item_line({"question": "what?", "expected": "that"}) == "what?"  # `expected` is for checks
    assert item_line({"expected": "that"}) == "that"
    assert item_line({"question": "what?", "answer": "that"}, columns=["question"]) == "what?"
    assert item_line({"text": "what?", "expected": "that"}, columns=["question"]) == "what?"  # `text` stands in
    assert len(item_line("x" * 500)) == 200


def record(**more: Any) -> dict[str, Any]:
    return {
        "status": "ok",
        "totals": {"planned": 1, "samples": 1, "failed": 0, "output_tokens": 5, "finish_reasons": {"length": 1}},
        "metrics": {},
        "error": None,
    } | more


def test_the_summary_omits_unknown_values() -> None:
    assert summary_lines(record(), "outputs/x") == ("5 tokens, reached max_new_tokens", "results: outputs/x")
    assert failure(record(), "outputs/x") is None


def test_the_summary_shows_the_memory_of_each_gpu() -> None:
    cards = [{"device": f"cuda:{index}", "allocated_mb": 10.0 * (index + 1), "reserved_mb": 50.0} for index in (0, 1)]
    one = {"peak_accelerator_mb": 10.0, "accelerators": cards[:1]}
    both = {"peak_accelerator_mb": 30.0, "accelerators": cards}
    assert "accelerator 10 MB" in summary_lines(record() | {"memory": one}, "x")[0]
    assert "accelerator 30 (10 + 20) MB" in summary_lines(record() | {"memory": both}, "x")[0]


def test_a_failure_shows_the_path_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    PlainWatcher(sys.stdout).finished(
        record(status="failed", error={"type": "ModelError", "message": "no such model"}), "outputs/x"
    )
    assert capsys.readouterr().err == "no such model\n    log: outputs/x/hforch.log\n"


def test_plain_text_shows_the_progress_of_long_stages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plain_watcher, "PERIOD_S", 0.0)
    with PlainWatcher(sys.stdout).stage("score", "8 answers", 8) as advance:
        advance(3)
        advance(5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["score: 8 answers ...", "score: 3/8"] and lines[2].startswith("score: 8 answers (")
    assert len(lines) == 3


def test_an_unfinished_stage_is_reported_as_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), PlainWatcher(sys.stdout).stage("export", "a model"):
        raise KeyboardInterrupt
    assert "export: a model: stopped after 0.0 s" in capsys.readouterr().out


def test_an_empty_answer_is_shown_with_its_finish_reason(tmp_path: Path) -> None:
    words = ("stop.sequences=['a']", "backend.replies=[{match: '', text: 'a b'}]")
    done = hforch(*FAKE, *words, cwd=tmp_path)
    assert "(empty answer, stopped at a stop sequence)" in done.stdout
