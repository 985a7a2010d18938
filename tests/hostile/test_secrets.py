"""No credential passed to a run occurs in any byte that the run writes or prints."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from command_line import run

from hforch.records.record_files import read_record

MADE_UP = "a1B2c3D4e5F6g7H8i9J0k1L2"
TYPED = f"sk-{MADE_UP}"
KEY = f"ghp_{MADE_UP}"
HUB = "correct-horse-battery"
VARIABLES = {
    "OPENAI_API_KEY": "sesame-of-openai",
    "DB_PASSWORD": "hunter2",
    "QUESTION": "What do walruses want?",
    "KWARGS": "{note: xoxb-123456789012-walrus, deep: [glpat-0123456789abcdefghij]}",
    "FAILURE": "401 Unauthorized: https://me:sesame-of-hub@hub.example/api",
}
LITERAL = "sesame-of-hydra"
PLANTED = (
    *(TYPED, KEY, HUB, LITERAL, *VARIABLES.values(), "sesame-of-hub"),
    *("xoxb-123456789012-walrus", "glpat-0123456789abcdefghij"),
)
ENVIRONMENT = {**os.environ, **VARIABLES, "HF_TOKEN": HUB}
ITEMS = f"""inputs.items=["${{oc.env:QUESTION}}",{{question: "is {TYPED} mine?"}},{{question: x, {KEY}: 1}},"{HUB}"]"""
GIVEN = (
    "backend=fake",
    ITEMS,
    "stop.sequences=['${oc.env:DB_PASSWORD} ','the end']",
    "+ov_config.SERVICE_TOKEN=${oc.env:OPENAI_API_KEY}",
    f"backend.replies=[{{match: mine, text: 'no, {TYPED}'}},{{match: walrus, text: '${{oc.env:QUESTION}} Fish.'}}]",
)
NAMED = "hydra.sweep.subdir=${hydra.job.num}-${hydra.job.override_dirname}"
SWEPT = tuple(one for one in GIVEN if not one.startswith("backend."))  # file names have a length limit
HYDRA = (f"+hydra.job.env_set.SERVICE_PASSWORD={LITERAL}", "hydra.job.env_copy=[OPENAI_API_KEY]")


@dataclass
class Written:
    """A folder that commands write to, and what they printed."""

    folder: Path
    printed: list[str] = field(default_factory=list)

    def hforch(self, *words: str, code: int = 0, **variables: str | None) -> str:
        environment = {name: value for name, value in (ENVIRONMENT | variables).items() if value is not None}
        environment["HFORCH_CACHE"] = str(self.folder / "cache")
        done = run(*words, cwd=self.folder, env=environment)
        self.printed.append(done.stdout + done.stderr)
        assert done.returncode == code, self.printed[-1]
        assert "Traceback" not in self.printed[-1] and "internal error" not in self.printed[-1]
        return self.printed[-1]

    def leaks(self, planted: tuple[str, ...] = PLANTED) -> list[tuple[str, str]]:
        """Return the planted credentials found anywhere: in names, bytes, packed data, and printed output."""
        places = [(f"command {number}", text.encode()) for number, text in enumerate(self.printed)]
        for path in self.folder.rglob("*"):
            places.append((f"name {path.name}", str(path.relative_to(self.folder)).encode()))
            if path.is_file():
                places += ((str(path), piece) for piece in pieces(path.read_bytes()))
        assert len(places) > len(self.printed)
        return [(place, one) for place, content in places for one in planted if one.encode() in content]


def pieces(content: bytes) -> Iterator[bytes]:
    """Yield the bytes of a file, and its unpacked contents."""
    yield content
    yield content.replace(b"\\", b"")  # quotes in JSON
    for packed in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content):
        with suppress(OSError, EOFError, ValueError):
            yield gzip.decompress(base64.b64decode(packed))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_a_run_and_its_outputs_contain_no_credentials(written: Written) -> None:
    written.hforch(*GIVEN, *HYDRA, "hydra.run.dir=run", "--report")
    record = read_record(written.folder / "run")
    assert record["job"]["ov_config"] == {"SERVICE_TOKEN": "${oc.env:OPENAI_API_KEY}"}
    assert record["from_env"]["stop.sequences.0"] == "${oc.env:DB_PASSWORD} "
    assert set(record["redacted"]) == {"inputs.items.1.question", "inputs.items.2", "inputs.items.3"} | {
        "backend.replies.0.text"
    }
    for name in ("config", "hydra", "overrides"):
        assert "***" in (written.folder / f"run/.hydra/{name}.yaml").read_text()
    whole = yaml.safe_load((written.folder / "run/.hydra/config.yaml").read_text())
    assert whole["ov_config"] == {"SERVICE_TOKEN": "${oc.env:OPENAI_API_KEY}"}
    for form in ("table", "markdown", "csv", "json"):
        written.hforch("compare", "run", "--format", form)
    written.hforch("compare", "run", "--junit", "checks.xml")
    written.hforch("report", "run", "-o", "page.html")
    assert "inputs.items.1.question=${oc.env:NAME}" in written.hforch("freeze", "run", "-o", "recipe.yaml", code=2)
    assert not written.leaks()


def test_a_streamed_answer_shows_no_credentials(written: Written) -> None:
    reply = "backend.replies=[{match: '', text: 'it is ${oc.env:OPENAI_API_KEY} , what else'}]"
    shown = written.hforch("backend=fake", reply, "inputs.items=[a]", "hydra.run.dir=run", "prompt=question")
    assert "it is ${oc.env:OPENAI_API_KEY} , what else" in shown
    assert not written.leaks()


def test_a_resumed_run_requires_the_redacted_values_again(written: Written) -> None:
    written.hforch(*GIVEN, "hydra.run.dir=run")
    samples = written.folder / "run/samples.jsonl"
    before = samples.read_text()
    samples.write_text(before.splitlines(keepends=True)[0])
    told = written.hforch("resume", "run", code=2)
    assert "contained a credential, which the record stores as ***" in told and "hforch resume run" in told
    missing = written.hforch("resume", "run", *GIVEN[1:], code=2, DB_PASSWORD=None)
    assert "reads the environment variable DB_PASSWORD, which is not set" in missing
    other = written.hforch("resume", "run", *GIVEN[1:], code=2, QUESTION="What do seals want?")
    assert "have changed since the run started" in other
    written.hforch("resume", "run", ITEMS.replace("mine?", "yours?"), *GIVEN[2:], code=2)
    written.hforch("resume", "run", *GIVEN[1:])
    assert len(samples.read_text().splitlines()) == len(before.splitlines())
    assert not written.leaks((*PLANTED, "seals want"))


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_contains_no_credentials(written: Written, launcher: str) -> None:
    sweep = (
        "-m",
        *SWEPT,
        *HYDRA,
        "generation.max_new_tokens=4,5",
        f"hydra/launcher={launcher}",
        "hydra.sweep.dir=sweep",
    )
    written.hforch("--dry-run", *sweep)
    written.hforch(*sweep, NAMED, "--report")
    assert len(list(written.folder.glob("sweep/*/record.json"))) == 2
    written.hforch("compare", "sweep", "--format", "json")
    next(written.folder.glob("sweep/0*/record.json")).unlink()
    again = (*SWEPT[1:], *HYDRA, NAMED)
    written.hforch("resume", "sweep", *again)
    assert len(list(written.folder.glob("sweep/*/record.json"))) == 2
    assert not written.leaks()


FROM_ENV = (
    *("backend=fake", "inputs.items=[a,'${oc.env:QUESTION}']", "prompt=question"),
    *("stop.sequences=['${oc.env:DB_PASSWORD}']", "+ov_config.SERVICE_TOKEN=${oc.env:OPENAI_API_KEY}"),
)
AGAIN = (
    *("ov_config.SERVICE_TOKEN=${oc.env:OPENAI_API_KEY}", "stop.sequences.0=${oc.env:DB_PASSWORD}"),
    "inputs.items.1=${oc.env:QUESTION}",
)


def test_a_frozen_recipe_reads_the_environment_again(written: Written) -> None:
    written.hforch(*FROM_ENV, "hydra.run.dir=run")
    written.hforch("freeze", "run", "-o", "recipe.yaml")
    recipe = yaml.safe_load((written.folder / "recipe.yaml").read_text())
    assert recipe["ov_config"] == {"SERVICE_TOKEN": "???"} and set(recipe["frozen"]["needs"]) == set(AGAIN)
    told = written.hforch("verify", "recipe.yaml", code=2)
    assert "'ov_config.SERVICE_TOKEN=${oc.env:OPENAI_API_KEY}'" in told
    assert "is not set" in written.hforch("verify", "recipe.yaml", *AGAIN, code=2, OPENAI_API_KEY=None)
    written.hforch("verify", "recipe.yaml", *AGAIN, "--output", "again")
    written.hforch("verify", "recipe.yaml", *AGAIN, "--json", "--output", "json")
    assert "ov_config.SERVICE_TOKEN: required" in written.hforch("run", "recipe.yaml", code=2)
    assert "is not set" in written.hforch("freeze", "run", code=2, QUESTION=None)
    assert not written.leaks()


def test_values_decoded_from_a_variable_contain_no_credentials(written: Written) -> None:
    config = written.folder / "conf"
    config.mkdir()
    (config / "mine.yaml").write_text(
        "defaults: [config, {override prompt: chat}, _self_]\n"
        "prompt:\n  chat_template_kwargs:\n    more: ${oc.decode:${oc.env:KWARGS}}\n"
    )
    written.hforch("backend=fake", "--config-dir", "conf", "--config-name", "mine", "hydra.run.dir=run")
    kwargs = read_record(written.folder / "run")["job"]["prompt"]["chat_template_kwargs"]
    assert kwargs == {"more": "${oc.decode:${oc.env:KWARGS}}"}
    assert not written.leaks()


@pytest.mark.parametrize("isolation", ["process", "inline"])
def test_an_error_that_quotes_a_credential_is_redacted(written: Written, isolation: str) -> None:
    failures = "backend.failures=[{match: '', error: '${oc.env:FAILURE}', after: 0}]"
    for number, full in enumerate((None, "1")):
        words = ("backend=fake", failures, "runtime.warmup=0", f"runtime.isolation={isolation}")
        environment = {name: value for name, value in {**ENVIRONMENT, "HYDRA_FULL_ERROR": full}.items() if value}
        done = run(*words, f"hydra.run.dir=run{number}", "hydra.verbose=true", cwd=written.folder, env=environment)
        written.printed.append(done.stdout + done.stderr)
        assert done.returncode == 1
    written.hforch("compare", "run0", "run1")
    assert not written.leaks()


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ((f"+ov_config.SERVICE={TYPED}",), "ov_config.SERVICE"),
        (("+ov_config.API_KEY=sesame-of-openai",), "ov_config.API_KEY"),
        ((f"+ov_config.{KEY}=1",), "the key looks like a credential"),
        (
            ("prompt=chat", f"+prompt.chat_template_kwargs.deep=[{{x: {TYPED}}}]"),
            "prompt.chat_template_kwargs.deep.0.x",
        ),
        (("prompt=chat", "+prompt.chat_template_kwargs.password=hunter2"), "prompt.chat_template_kwargs.password"),
        (("model=hub", "model.id=https://me:sesame-of-hub@hub.example/x"), "model.id"),
        (("model=local", f"model.path={TYPED}"), "model.path"),
        (("+model.api_key=sesame-of-openai",), "model.api_key"),
        ((f"backend={TYPED}",), "backend"),
        ((TYPED,), "not an override"),
        (("-m", f"+ov_config.SERVICE={TYPED},{KEY}"), "ov_config.SERVICE"),
        ((f"hydra.run.dir=out/{TYPED}",), "hydra.run.dir"),
        (("hydra.run.dir=out/${oc.env:OPENAI_API_KEY}",), "hydra.run.dir"),
        (("-m", f"hydra.sweep.dir={TYPED}", "generation.max_new_tokens=1,2"), "hydra.sweep.dir"),
    ],
    ids=str,
)
def test_a_setting_that_a_record_cannot_contain_is_refused(written: Written, words: tuple[str, ...], path: str) -> None:
    told = written.hforch("backend=fake", *words, code=2)
    assert path in told
    if "looks like a credential, which" in told:
        assert f"{path}=${{oc.env:NAME}}" in told
    (written.folder / "something").touch()
    assert not written.leaks()


def test_a_credential_in_a_recipe_is_redacted(written: Written) -> None:
    (written.folder / "own").mkdir()
    recipe = written.folder / "own/recipe.yaml"
    recipe.write_text(f"defaults: [{{backend: fake}}]\nov_config:\n  SERVICE: {TYPED}\n")
    assert "ov_config.SERVICE: looks like a credential" in written.hforch("run", "own/recipe.yaml", code=2)
    recipe.write_text(f"defaults: [{{backend: fake}}]\ninputs:\n  items: ['is {TYPED} mine?']\n")
    written.hforch("run", "own/recipe.yaml", "hydra.run.dir=run", "--report")
    assert read_record(written.folder / "run")["redacted"] == ["inputs.items.0"]
    recipe.unlink()
    assert not written.leaks()


@pytest.mark.parametrize(
    "words", [("--cfg", "all"), ("--cfg", "job", "--resolve"), ("--info", "config"), ("--dry-run",)]
)
def test_commands_that_only_show_a_run_print_no_credentials(written: Written, words: tuple[str, ...]) -> None:
    written.hforch(*words, *GIVEN, *HYDRA)
    (written.folder / "something").touch()
    assert not written.leaks()


def test_foreign_records_are_shown_without_credentials(written: Written) -> None:
    written.hforch("backend=fake", "hydra.run.dir=run")
    path = written.folder / "run/record.json"
    record = read_record(path.parent) | {"overrides": ["backend=fake", f"+ov_config.SERVICE={TYPED}"]}
    path.write_text(json.dumps(record | {"status": "failed", "error": {"type": "X", "message": f"not {TYPED}"}}))
    for words in (("compare", "run", "--output", "x.json", "--format", "json"), ("report", "run", "-o", "page.html")):
        written.hforch(*words)
    written.hforch("resume", "run", code=2)
    assert "not ***" in written.hforch("compare", "run")
    path.unlink()
    assert not written.leaks()


def test_ordinary_values_are_written_unchanged(written: Written) -> None:
    template = "prompt.template='Password: {question} token: secret=x *** sk-learn'"
    items = ["me:you@example", "5de6cc91e07fb9d1", "tokens", "api_key=abc"]
    words = (
        *("backend=fake", "prompt=step_by_step", template, f"inputs.items={items}", "stop.sequences=['token: ','***']"),
        *("generation.max_new_tokens=3", "+ov_config.CACHE_DIR=${oc.env:PLACE}", "hydra.run.dir=out/${oc.env:RUN}"),
    )
    written.hforch(*words, PLACE="/some/place", RUN="my-run-2026")
    directory = written.folder / "out/my-run-2026"
    record = read_record(directory)
    assert "redacted" not in record
    assert [one.partition(":")[0] for one in record["warnings"]] == ["ov_config"], "the fake backend ignores it"
    assert record["job"]["prompt"]["template"] == "Password: {question} token: secret=x *** sk-learn"
    assert record["job"]["generation"]["max_new_tokens"] == 3
    assert record["job"]["inputs"]["items"] == items
    assert [one for one in record["overrides"] if one.startswith("prompt.template")] == [template]
    assert "+ov_config.CACHE_DIR=${oc.env:PLACE}" in record["overrides"]
    assert record["job"]["ov_config"]["CACHE_DIR"] == "${oc.env:PLACE}"
    assert re.fullmatch("[0-9a-f]{16}", record["job_id"]) and re.fullmatch("[0-9a-f]{16}", record["load_key"])
    assert record["cwd"] == str(written.folder)
    typed = yaml.safe_load((directory / ".hydra/overrides.yaml").read_text())
    assert template in typed
    (directory / "samples.jsonl").write_text("")
    written.hforch("resume", str(directory), "+ov_config.CACHE_DIR=${oc.env:PLACE}", PLACE="/some/place")


def test_a_worker_that_dies_leaves_a_log_without_credentials(written: Written) -> None:
    """Native code bypasses Python's streams."""
    program = f"""
import os
from pathlib import Path
from hforch.config.compose import job_from_overrides
from hforch.utils.redaction import remember
from hforch.runs import JobContext, run, runner
from hforch.runs.watcher import NullWatcher

def die(*_):
    os.write(2, b"key {TYPED} of {LITERAL}\\n")
    os._exit(7)

if __name__ == "__main__":
    remember("{LITERAL}")
    runner._work = die
    code = run(job_from_overrides(["backend=fake"]), Path("run"), JobContext(), NullWatcher())
    raise SystemExit(code)
"""
    (written.folder / "program").mkdir()
    file = written.folder / "program/main.py"
    file.write_text(program)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, file]
    done = subprocess.run(command, cwd=written.folder, env=environment, capture_output=True, text=True, check=False)
    file.unlink()
    written.printed.append(done.stdout + done.stderr)
    assert done.returncode == 1, done.stderr
    assert (written.folder / "run/hforch.log").read_text() == "key *** of ***\n"
    assert not written.leaks()
