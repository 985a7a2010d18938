"""A record that is older than a config key implies a value for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hforch import cli
from hforch.commands import resume
from hforch.comparison.entries import read_jobs
from hforch.comparison.freezing import freeze
from hforch.config import added_keys
from hforch.config.added_keys import with_added_keys, without_added_keys
from hforch.config.compose import job_from_overrides
from hforch.config.models.hub import HubModel
from hforch.config.schema import Job, Runtime, Scoring, TextScoring
from hforch.errors import ConfigError

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "generation.max_new_tokens=4")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that marks keys of a class as added later."""

    def to(model: type, values: Mapping[str, Any]) -> None:
        monkeypatch.setattr(model, "added", values)
        for one in (added_keys._parts, added_keys._has_added):
            one.cache_clear()

    yield to
    monkeypatch.undo()
    for one in (added_keys._parts, added_keys._has_added):
        one.cache_clear()


def dumped(*overrides: str) -> dict[str, Any]:
    tree: dict[str, Any] = job_from_overrides(overrides).model_dump(mode="json")
    return tree


def test_any_part_of_a_job_and_the_job_itself_can_have_later_keys(added: Any) -> None:
    added(Runtime, {"memory_check": "off"})
    added(HubModel, {"revision": "then"})
    added(TextScoring, {"stride": 7})
    added(Job, {"tracker": {"kind": "none"}})
    tree = dumped("model=hub", "model.id=a/b", "scoring=both")
    older = json.loads(json.dumps(tree))
    for path in ("runtime.memory_check", "model.revision", "scoring.text.stride", "prompt.column", "tracker"):
        *groups, key = path.split(".")
        part = older
        for group in groups:
            part = part[group]
        del part[key]
    tree["runtime"]["memory_check"], tree["model"]["revision"], tree["scoring"]["text"]["stride"] = "off", "then", 7
    assert with_added_keys(older) == tree
    assert with_added_keys(tree) == tree
    assert without_added_keys(tree) == older
    tree["runtime"]["memory_check"] = "warn"
    assert without_added_keys(tree)["runtime"] == tree["runtime"]


def test_a_later_key_is_added_only_to_its_option(added: Any) -> None:
    added(HubModel, {"revision": "then"})
    local = dumped("model=local", "model.path=x")
    assert with_added_keys(local) == local


@pytest.mark.parametrize(
    "job", [{}, {"runtime": 3}, {"model": {"source": []}}, {"backend": None, "checks": {"items": 1}}]
)
def test_values_that_do_not_match_the_types_are_unchanged(job: dict[str, Any], added: Any) -> None:
    added(HubModel, {"revision": "then"})
    added(Scoring, {"chunk": 1})
    assert with_added_keys(job) == job


@pytest.fixture
def older_run(tmp_path: Path, added: Any) -> Path:
    """A run without `runtime.memory_check` (affects nothing), `repeat` (samples) and `threads` (loading)."""
    added(Runtime, {"memory_check": "off", "repeat": 1, "threads": None})
    assert cli.main([*FAKE, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    file = tmp_path / "run" / "record.json"
    record = json.loads(file.read_text())
    for key in Runtime.added:
        del record["job"]["runtime"][key]
    file.write_text(json.dumps(record))
    return tmp_path / "run"


def test_an_older_run_can_be_frozen_and_verified(older_run: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(freeze(read_jobs([older_run])[0]))
    assert yaml.safe_load(recipe.read_text())["frozen"]["job"]["runtime"]["memory_check"] == "off"
    assert cli.main(["verify", str(recipe), "--output", str(tmp_path / "again")]) == 0


def test_an_older_run_can_be_resumed(older_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (older_run / "samples.jsonl").read_text().splitlines(keepends=True)
    (older_run / "samples.jsonl").write_text("".join(lines[:-1]))
    assert cli.main(["resume", str(older_run)]) == 0
    assert len((older_run / "samples.jsonl").read_text().splitlines()) == len(lines)


def test_an_older_run_is_not_resumed_if_the_implied_value_differs(older_run: Path, added: Any) -> None:
    added(Runtime, {"memory_check": "off", "repeat": 2, "threads": None})
    with pytest.raises(ConfigError, match=r"runtime\.repeat: changed from 2 to 1 since the run started"):
        resume.main([str(older_run)])


def test_an_older_run_is_refused_if_no_value_is_implied(older_run: Path, added: Any) -> None:
    added(Runtime, {})
    with pytest.raises(ConfigError, match=r"job\.runtime\.memory_check: field required"):
        freeze(read_jobs([older_run])[0])
