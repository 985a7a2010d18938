"""`jobs:` in recipes: combinations of overrides in addition to the sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command_line import hforch

from hforch.config.config_dirs import find_config_dirs
from hforch.config.json_schema import schema_of
from hforch.config.listed_jobs import override_value
from hforch.config.recipes import opened
from hforch.config.schema import Job
from hforch.config.sweeps import Plan, plan
from hforch.errors import ConfigError

LISTED = """\
defaults:
  - backend: fake
generation:
  max_new_tokens: 4
jobs:
  - {stop: newline, precision: int8}
  - stop: none
    generation.max_new_tokens: 8
  - generation: {max_new_tokens: 6, do_sample: false}
    prompt: question
"""


def planned(recipe: Path, text: str, *words: str, multirun: bool = False, most: int = 100) -> Plan:
    recipe.write_text(text)
    with opened(recipe, find_config_dirs(), words) as places:
        return plan(words, places, multirun, most)


def told(job: Job) -> tuple[Any, ...]:
    return job.stop.sequences, job.precision.name, job.generation.max_new_tokens, job.prompt.kind


def errors(recipe: Path, text: str, *words: str) -> list[tuple[str, str, str | None]]:
    with pytest.raises(ConfigError) as caught:
        planned(recipe, text, *words)
    return [(one.path, one.problem, one.where) for one in caught.value.mistakes]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("r.yaml")


def test_each_listed_combination_is_a_job(recipe: Path) -> None:
    found = planned(recipe, LISTED)
    assert found.multirun and found.numbers == (0, 1, 2)
    assert [told(one.job)[:3] for one in found.jobs] == [(("\n",), "int8", 4), ((), "auto", 8), ((), "auto", 6)]


def test_listed_jobs_follow_those_of_the_grid(recipe: Path) -> None:
    text = f"{LISTED}hydra: {{sweeper: {{params: {{runtime.seed: '1,2', stop: blank_line}}}}}}\n"
    found = [(one.job.runtime.seed, one.job.stop.sequences) for one in planned(recipe, text).jobs]
    assert found == [(1, ("\n\n",)), (2, ("\n\n",)), (0, ("\n",)), (0, ()), (0, ())]


def test_listed_jobs_can_be_excluded(recipe: Path) -> None:
    found = planned(recipe, f"{LISTED}exclude:\n  - {{precision: int8}}\n")
    assert found.numbers == (1, 2)
    assert found.left_out == ("stop=newline precision=int8",)


def test_the_command_line_takes_precedence_and_may_sweep(recipe: Path) -> None:
    narrowed = planned(recipe, LISTED, "generation=sample", "stop=none")
    assert [(one.job.generation.max_new_tokens, one.job.precision.name) for one in narrowed.jobs] == [
        (64, "int8"),
        (64, "auto"),
        (64, "auto"),
    ]
    swept = planned(recipe, LISTED, "runtime.seed=1,2", multirun=True)
    assert [one.job.runtime.seed for one in swept.jobs] == [1, 2] * 3
    same = "defaults: [{backend: fake}]\njobs:\n  - {stop: none}\n  - {stop: newline}\n"
    assert len(planned(recipe, same, "stop=blank_line").jobs) == 1


def test_too_many_jobs_are_an_error(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="the sweep has 6 jobs; at most 5 are allowed"):
        planned(recipe, LISTED, "runtime.seed=1,2", multirun=True, most=5)
    assert len(planned(recipe, LISTED, "runtime.seed=1,2", multirun=True, most=6).jobs) == 6


def test_values_are_literal(recipe: Path) -> None:
    text = """\
defaults: [{backend: fake}, {prompt: chat}]
jobs:
  - stop.sequences: ["\\n", "a,b", "it's", "range(1,3)", "null", "\\\\"]
    prompt.system: "1,2: ${generation.max_new_tokens} it's"
    generation.temperature: null
    +ov_config.KV_CACHE_PRECISION: u8
    checks.items: [{contains: "a: b, {c}"}, {json_schema: {type: object, required: [a]}}]
  - runtime.seed: null
    runtime.fail_fast: true
    runtime.min_pass: 1e-1
"""
    one, other = (found.job for found in planned(recipe, text).jobs)
    assert one.stop.sequences == ("\n", "a,b", "it's", "range(1,3)", "null", "\\")
    assert one.prompt.system == "1,2: 64 it's"  # type: ignore[union-attr]
    assert one.ov_config == {"KV_CACHE_PRECISION": "u8"}
    assert [check.kind for check in one.checks.items] == ["contains", "json_schema"]
    assert (other.runtime.seed, other.runtime.fail_fast, other.runtime.min_pass) == (None, True, 0.1)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a.b/c-d", "a.b/c-d"), ("True", "'True'"), (1.5, "1.5"), ({"a": [None, False]}, "{a:[null,false]}")],
)
def test_values_become_overrides(value: Any, text: str) -> None:
    assert override_value(value) == text


# ---------------------------------------------------------------- errors
def test_all_errors_are_reported_with_their_lines(recipe: Path) -> None:
    text = """\
defaults: [{backend: fake}]
jobs:
  - {stop: newlin}
  - generation.max_new_tokens: lots
  - generation:
      max_tokens: 3
  - runtime.sed: 1
"""
    found = errors(recipe, text)
    assert [(path, where) for path, _, where in found] == [
        ("generation.max_new_tokens", "r.yaml:4"),
        ("generation.max_tokens", "r.yaml:6"),
        ("runtime.sed", "r.yaml:7"),
        ("stop", "r.yaml:3"),
    ]


@pytest.mark.parametrize(
    ("jobs", "path", "line"),
    [
        ("[]", "jobs", 1),
        ("{stop: none}", "jobs", 1),
        ("[{}]", "jobs.0", 1),
        ("[stop=none]", "jobs.0", 1),
        ("[{stop: 'none,newline'}]", "jobs.0.stop", 1),
        ("[{stop: [none, newline]}]", "jobs.0.stop", 1),
        ("[{stp: none}]", "jobs.0.stp", 1),
        ("[{hydra.run.dir: x}]", "jobs.0.hydra.run.dir", 1),
        ("[{model.trust_remote_code: true}]", "model.trust_remote_code", 1),
        ("[{model: {trust_remote_code: true}}]", "model.trust_remote_code", 1),
        ("[{+ov_config.CACHE_DIR: /tmp/x}]", "ov_config.CACHE_DIR", 1),
        ("[{prompt.system: '${oc.env:HOME}'}]", "prompt.system", 1),
        ("[{stop: none, stop: newline}]", "jobs.0.stop", 1),
    ],
)
def test_a_wrong_list_is_an_error(recipe: Path, jobs: str, path: str, line: int) -> None:
    found = errors(recipe, f"jobs: {jobs}\n")
    assert [(one, where) for one, _, where in found] == [(path, f"r.yaml:{line}")]


def test_the_schema_accepts_listed_jobs_and_rejects_unknown_keys() -> None:
    schema = schema_of("recipe")
    jsonschema.validate(yaml.safe_load(LISTED), schema)
    for wrong in ("jobs: [{stp: none}]", "jobs: []", "jobs: [{}]", "jobs: [{runtime.sed: 1}]"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(wrong), schema)


# ---------------------------------------------------------------- run, compare, freeze, resume
def test_listed_jobs_are_run_compared_frozen_and_resumed(recipe: Path) -> None:
    recipe.write_text(LISTED)
    assert "stop=newline precision=int8" in hforch("run", "r.yaml", "--dry-run").stdout
    hforch("run", "r.yaml", "hydra.sweep.dir=sweep")
    rows = json.loads(hforch("compare", "sweep", "--format", "json").stdout)["rows"]
    assert [row["axes"]["generation.max_new_tokens"] for row in rows] == ["4", "8", "6"]
    assert [row["axes"]["precision"] for row in rows] == ["int8", "auto", "auto"]
    assert "max_new_tokens: 8" in hforch("freeze", "sweep/1").stdout
    Path("sweep/2/record.json").unlink()
    Path("sweep/2/samples.jsonl").unlink()
    hforch("resume", "sweep")
    assert json.loads(Path("sweep/2/record.json").read_text())["status"] == "ok"
    recipe.write_text(LISTED.replace("max_new_tokens: 6", "max_new_tokens: 7"))
    assert "changed from 6 to 7" in hforch("resume", "sweep", code=2).stderr
