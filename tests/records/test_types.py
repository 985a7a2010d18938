"""The types of records: validation on writing and reading, JSON Schemas and tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from written import sample

from hforch.app.hydra_app import run_app
from hforch.backends.huggingface import torch_device
from hforch.config.compose import job_from_overrides
from hforch.machine.nvidia_cards import NOW, WHAT
from hforch.records import docs, machine, measured, record, sweep
from hforch.records.damage import record_flaws, sample_flaw, sweep_flaws
from hforch.records.fields import Error, Part
from hforch.records.record import SCHEMA_VERSION, Record, Stage
from hforch.records.record_files import known_record, read_samples
from hforch.records.sample import Sample
from hforch.records.schemas import schema_of
from hforch.records.sweep import SweepRecord
from hforch.records.versions import to_current
from hforch.runs import JobContext, continuing, run
from hforch.runs.run_state import KEPT_FIELDS
from hforch.runs.watcher import NullWatcher

RECORDED = Path(__file__).parents[1] / "comparison" / "recorded"
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(name))


def parts_in(part: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel], str]]:
    """Yield the dotted path, part and name of every key of a part, including nested parts."""
    for name, info in part.model_fields.items():
        here = f"{path}.{name}".lstrip(".")
        yield here, part, name
        for inner in _parts_of(info.annotation):
            yield from parts_in(inner, here)


def _parts_of(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for argument in get_args(kind):
        yield from _parts_of(argument)


# ---------------------------------------------------------------- writing
def test_an_unknown_key_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="statsu"):
        Record(statsu="ok")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="statsu"):
        Record().statsu = "ok"  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match="nmae"):
        Record(process={"start": "fork", "nmae": 1})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="tpot"):
        Sample(**sample(0, "a", [1], timings={"tpot": 1.0}))


def test_a_value_of_the_wrong_type_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="status"):
        Record(status="done")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="disk_mb"):
        Record().disk_mb = float("nan")
    with pytest.raises(ValidationError, match="64-bit"):
        Sample(**sample(0, "a", [2**63]))


def test_only_set_fields_are_written() -> None:
    whole = Record(status="ok", same_as=None, stages=[Stage(name="load", detail="x", seconds=None, finished=False)])
    assert whole.dump() == {
        "status": "ok",
        "same_as": None,
        "stages": [{"name": "load", "detail": "x", "seconds": None, "finished": False}],
    }
    whole.unset("same_as")
    whole.error = Error(type="X", message="no")
    assert "same_as" not in whole.dump() and whole.dump()["error"] == {"type": "X", "message": "no"}


def test_every_property_read_from_a_gpu_has_a_key() -> None:
    assert WHAT.keys() <= machine.AcceleratorInfo.model_fields.keys()
    assert NOW.keys() <= machine.CardState.model_fields.keys()


def test_a_model_on_several_devices_is_recorded_with_its_modules() -> None:
    modules = {"model.embed": 0, "model.layers.0": 0, "model.layers.1": 1, "lm_head": "cpu"}
    placement = torch_device.placed(SimpleNamespace(hf_device_map=modules))
    assert len(placement) == 3
    assert Record(effective=machine.Effective(device=["cpu"], device_map=placement)).dump()["effective"] == {
        "device": ["cpu"],
        "device_map": placement,
    }


# ---------------------------------------------------------------- reading
def test_any_key_of_a_record_except_status_may_be_missing_or_null() -> None:
    assert record_flaws({"status": "ok"}) == []
    for name in Record.model_fields.keys() - {"status"}:
        assert record_flaws({"status": "ok", name: None}) == [], name
    assert record_flaws({"started": "x"}) == ["status is missing"]


def test_an_invalid_value_is_found_anywhere() -> None:
    """Replace each key of a recorded job in turn: values by a mapping, mappings and lists by a string."""
    whole = to_current(json.loads((RECORDED / "1" / "record.json").read_text()))
    assert record_flaws(whole) == []
    seen = 0
    for path in _paths(whole):
        if path.startswith(("job.", "effective.", "model.")):  # backends and sources may add keys there
            continue
        flaws = record_flaws(_with(whole, path.split(".")))
        assert flaws and flaws[0].startswith(path), path
        seen += 1
    assert seen > 60


def _paths(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    known = {path for path, _, _ in parts_in(Record)}
    for name, value in tree.items():
        path = f"{above}.{name}".lstrip(".")
        if path in known and value is not None:
            yield path
            if isinstance(value, dict):
                yield from _paths(value, path)


def _with(tree: Any, steps: list[str]) -> Any:
    """Return a copy of a tree with a value of the wrong type at a path."""
    if not steps:
        return "x" if isinstance(tree, dict | list) else {"x": 1}
    return {**tree, steps[0]: _with(tree[steps[0]], steps[1:])}


def test_keys_and_values_of_later_versions_are_accepted() -> None:
    assert record_flaws({"status": "paused", "mood": "good", "totals": {"bright": 3}}) == []
    assert sample_flaw(sample(0, "a", [1], finish_reason="tool_call", mood={})) is None


def test_a_sample_must_have_the_keys_that_readers_need() -> None:
    good = sample(0, "a", [1])
    for name in good:
        left = {key: value for key, value in good.items() if key != name}
        needed = name in Sample.needed or name in ("input", "text", "output_ids")
        assert (sample_flaw(left) is not None) == needed, name


def test_jobs_of_a_sweep_must_have_the_keys_that_a_resume_needs() -> None:
    job: dict[str, Any] = {"number": 0, "directory": "0", "label": "", "load_key": "k", "job_id": "j", "overrides": []}
    whole = {"asked": {}, "jobs": [job | {"job": {}}]}
    assert sweep_flaws(whole) == []
    assert sweep_flaws(whole | {"jobs": [job]}) == ["jobs.0.job is missing"]
    assert sweep_flaws({"jobs": []}) == ["asked is missing"]


def test_every_needed_key_is_a_field() -> None:
    parts = {part for top in (Record, Sample, SweepRecord) for _, part, _ in parts_in(top)}
    assert len(parts) > 25
    for part in parts:
        assert issubclass(part, Part) and part.needed <= part.model_fields.keys(), part


# ---------------------------------------------------------------- earlier versions
def test_reasons_of_version_1_are_split_into_parts() -> None:
    absent = {"kl_mean": "another tokenizer", "ppl": "one character"}
    old = {"schema_version": 1, "status": "ok", "scores": {"on_text": {"path": None}, "absent": absent, "chunk": 8}}
    assert record_flaws(old) == []
    assert to_current(old) == {
        "schema_version": SCHEMA_VERSION,
        "status": "ok",
        "scores": {
            "on_text": {"path": None, "absent": {"ppl": "one character"}},
            "chunk": 8,
            "against_baseline": {"absent": {"kl_mean": "another tokenizer"}},
        },
    }
    assert to_current(to_current(old)) == to_current(old) and "absent" in old["scores"]


def test_invalid_reasons_of_version_1_are_reported() -> None:
    assert record_flaws({"schema_version": 1, "status": "ok", "scores": {"absent": {"ppl": 1}}})[0].startswith(
        "scores.absent.ppl"
    )


def test_a_recorded_job_of_version_1_fits_the_current_schema() -> None:
    found = known_record(RECORDED / "1")
    assert found["schema_version"] == SCHEMA_VERSION and found["scores"]["metrics"]["kl_mean"] > 0
    assert not list(validator("record").iter_errors(found))


# ---------------------------------------------------------------- schemas and tables
def test_the_files_of_a_run_fit_the_schemas(tmp_path: Path) -> None:
    words = (
        "backend=fake",
        "inputs=numbers_in_french",
        "runtime.isolation=inline",
        "checks=finished",
        "runtime.repeat=2",
    )
    assert run(job_from_overrides(words), tmp_path, JobContext(words), NullWatcher()) == 0
    written = json.loads((tmp_path / "record.json").read_text())
    assert not list(validator("record").iter_errors(written))
    samples = list(read_samples(tmp_path))
    assert len(samples) == 8
    assert not [error for one in samples for error in validator("sample").iter_errors(one)]
    assert list(validator("record").iter_errors(written | {"mood": "good"}))


def test_the_files_of_a_sweep_fit_the_schemas(tmp_path: Path) -> None:
    words = ["-m", "backend=fake", "inputs=facts", "runtime.seed=1,2", "runtime.isolation=inline"]
    assert run_app([*words, "runtime.display=none", f"hydra.sweep.dir={tmp_path / 's'}"]) == 0
    written = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert not list(validator("sweep").iter_errors(written))
    assert len(written["jobs"]) == 2 and len(written["noise"]) == 1
    assert sweep_flaws(written) == []


def test_every_part_has_a_docstring() -> None:
    for module in (machine, measured, record, sweep):
        for name, part in vars(module).items():
            if isinstance(part, type) and issubclass(part, Part) and part.__module__ == module.__name__:
                assert part.__doc__ or len(part.model_fields) < 4, name


@pytest.mark.parametrize("top", [Record, Sample, SweepRecord])
def test_every_key_has_a_description(top: type[Part]) -> None:
    assert [path for path, part, name in parts_in(top) if not part.model_fields[name].description] == []


def test_the_keys_that_a_resumed_run_names_exist() -> None:
    named = {*continuing.NEW_IN_A_RESUMED, *continuing.NEW_IN_A_PART, *continuing.OF_THE_FIRST_LOAD}
    named |= {*continuing.MEASURED, *continuing.PLANNED}
    assert named <= Record.model_fields.keys() and set(KEPT_FIELDS) <= Sample.model_fields.keys()


def test_the_tables_of_keys_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert docs.rewritten(text) == text, "run `make schema`"
    assert set(re.findall(r"<!-- keys: (\w+) -->", text)) == set(docs.tables())
