"""`hforch ask`: one question, with only the answer on stdout."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest
from at_terminal import python_at_terminal
from command_line import hforch, start

FAKE = ("backend=fake", "prompt=question", "backend.replies=[{match: Paris, text: '  In France.'}]")
TEMPLATE = ("prompt=step_by_step",)
ASK = ("ask", "Where is Paris?", *FAKE)


def answered(*words: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    return json.loads(hforch(*words, "--json", cwd=cwd, code=code).stdout)  # type: ignore[no-any-return]


def test_only_the_answer_is_on_stdout_and_nothing_is_written(tmp_path: Path) -> None:
    done = hforch(*ASK, cwd=tmp_path)
    assert done.stdout == "In France.\n"
    assert "load: fake" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_words_may_be_in_any_order_and_the_question_may_contain_an_equals_sign(tmp_path: Path) -> None:
    done = answered("ask", *FAKE, "If x=1 in Paris, what is ${x}?", cwd=tmp_path)
    assert done["question"] == "If x=1 in Paris, what is ${x}?"
    assert "what is ${x}?" in done["prompt"]


def test_json_has_the_answer_its_finish_reason_usage_and_timings(tmp_path: Path) -> None:
    found = answered(*ASK, "generation.max_new_tokens=2", cwd=tmp_path)
    assert found["answer"] == "  In France."[: len(found["answer"])]
    assert found["finish_reason"] in ("length", "eos")
    assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"]
    assert found["usage"]["completion_tokens"] <= 2
    assert found["timings"]["latency_ms"] > 0 and found["timings"]["load_s"] >= 0
    assert found["error"] is None


def test_a_cut_answer_is_reported_on_stderr(tmp_path: Path) -> None:
    done = hforch("ask", "hi", "backend=fake", "generation.max_new_tokens=1", cwd=tmp_path)
    assert len(done.stdout.split()) == 1
    assert "it reached max_new_tokens" in done.stderr


def test_the_question_can_come_from_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hforch", "ask", "-", *FAKE, "--json"]
    done = subprocess.run(
        command, input="Paris?\n", capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    assert json.loads(done.stdout)["question"] == "Paris?"


def test_checks_and_inputs_of_the_primary_config_do_not_apply(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    config = "defaults: [config, override checks: contains_expected, _self_]\ninputs: {items: [{question: a}]}\n"
    (tmp_path / "conf" / "mine.yaml").write_text(config.replace("{question: a}", "{question: a, expected: b}"))
    assert hforch(*ASK, "--config-dir", "conf", "--config-name", "mine", cwd=tmp_path).stdout == "In France.\n"


def test_a_failure_is_on_stderr_with_exit_code_1(tmp_path: Path) -> None:
    fails = "backend.failures=[{match: Paris, error: no power, after: 1}]"
    done = hforch(*ASK, fails, cwd=tmp_path, code=1)
    assert done.stdout == "" and done.stderr.rstrip().endswith("no power")
    assert answered(*ASK, fails, cwd=tmp_path, code=1)["error"]["message"] == "no power"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backend=fake",), "hforch ask requires a question"),
        (("what", "is", "it", "backend=fake"), "quote the question"),
        (("  ", "backend=fake"), "the question is empty"),
        (("hi", "backend=fake", "checks=json"), "checks: has no effect on an answer"),
        (("hi", "backend=fake", "hydra.run.dir=x"), "hydra.run.dir: has no effect on an answer"),
        (("hi", "backend=fake", "runtime.repeat=2"), "runtime.repeat: has no effect on an answer"),
        (("hi", "backend=fake,pytorch"), "pass a single value; hforch ask gives one answer"),
        (("hi", "modle=gpt2", "backend=fake"), "did you mean model?"),
        (("hi", "backend=fake", *TEMPLATE, "prompt.template='{a} {b}'"), "prompt: has several variables"),
        (("hi", "backend=fake", *TEMPLATE, "prompt.template=hello"), "contains no variable"),
        (("hi", "--jsn", "backend=fake"), "did you mean --json?"),
    ],
)
def test_a_wrong_command_line_is_an_error(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = hforch("ask", *words, cwd=tmp_path, code=2)
    assert message in done.stderr and done.stdout == ""


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    process = start(*ASK, "backend.load_s=60", cwd=tmp_path)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == "" and stderr.count("interrupted") == 1


def test_the_answer_is_streamed_to_a_terminal(tmp_path: Path) -> None:
    slow = ("backend.token_s=0.2", "backend.replies=[{match: Paris, text: one two three four}]")
    with python_at_terminal(["-m", "hforch", *ASK[:-1], *slow], tmp_path) as child:
        child.screen.expect("one")
        assert "four" not in child.screen.before + (child.screen.buffer or "")
        child.screen.expect("four")
        child.screen.expect(pexpect.EOF)
        assert child.exit_code() == 0
