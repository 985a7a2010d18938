"""Freezing a run, and verifying the frozen recipe."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from shipped_options import needs

from hforch import cli
from hforch.comparison.entries import read_jobs
from hforch.comparison.freezing import freeze
from hforch.config.backends.registry import BACKENDS
from hforch.config.compose import compose
from hforch.config.frozen import digest_of
from hforch.errors import ConfigError
from hforch.records.record_files import read_record


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(directory: Path, *words: str) -> Path:
    assert cli.main([*words, f"hydra.run.dir={directory}", "runtime.display=none"]) == 0
    return directory


def frozen(directory: Path, to: Path) -> Path:
    assert cli.main(["freeze", str(directory), "-o", str(to)]) == 0
    return to


def verified(recipe: Path, *words: str, code: int) -> dict[str, Any]:
    from contextlib import redirect_stdout
    from io import StringIO

    said = StringIO()
    with redirect_stdout(said):
        assert cli.main(["verify", str(recipe), "--json", *words]) == code
    return json.loads(said.getvalue())  # type: ignore[no-any-return]


FAKE = ("backend=fake", "inputs=numbers_in_french")


# ---------------------------------------------------------------- bit for bit
@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
@pytest.mark.parametrize("generation", ["greedy", "sample"])
def test_a_frozen_run_verifies_bit_for_bit(tmp_path: Path, tiny_gpt2: Path, backend: str, generation: str) -> None:
    common = ["model=local", f"model.path={tiny_gpt2}", f"backend={backend}", f"generation={generation}"]
    run(tmp_path / "run", *common, "inputs=numbers_in_french", "generation.max_new_tokens=12")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    found = verified(recipe, code=0)
    assert (found["identical"], found["outputs"], found["differences"], found["changed"]) == (True, 4, [], [])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
def test_the_default_model_verifies_bit_for_bit(
    tmp_path: Path, backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run", f"backend={backend}", "inputs=facts", "prompt=chat", "generation.max_new_tokens=16")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    assert cli.main(["verify", str(recipe)]) == 0
    assert "identical: all 8 outputs match, token for token" in capfd.readouterr().out


# ---------------------------------------------------------------- contents of the recipe
def test_the_recipe_describes_the_same_job_and_contains_its_inputs(tmp_path: Path, tiny_gpt2: Path) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "a ${x} \\\\${y} 1e5", "expected": "no"}\n{"question": "2026-01-01: {b}"}\n')
    job = ["model=local", f"model.path={tiny_gpt2.name}", "inputs=file", "inputs.path=q.jsonl", "backend=pytorch"]
    shutil.copytree(tiny_gpt2, tmp_path / tiny_gpt2.name)
    more = ["stop.sequences=['\\${','1e5']", "precision=fp32", "runtime.seed=7", "generation.max_new_tokens=3"]
    run(tmp_path / "run", *job, *more)
    questions.unlink()
    recipe = frozen(tmp_path / "run", tmp_path / "deep" / "r.yaml")
    then, now = read_record(tmp_path / "run")["job"], compose([], recipe=recipe).job.model_dump(mode="json")
    assert now["inputs"]["items"] == [
        {"question": "a ${x} \\${y} 1e5", "expected": "no"},
        {"question": "2026-01-01: {b}"},
    ]
    assert now["model"]["path"] == str(tmp_path / tiny_gpt2.name)
    for group in then.keys() - {"inputs", "model"}:
        assert now[group] == then[group], group
    assert verified(recipe, code=0)["identical"]


def test_settings_that_a_recipe_must_not_contain_are_requested(
    tmp_path: Path, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["model=local", f"model.path={tiny_gpt2}", "backend=openvino", "generation.max_new_tokens=3"]
    run(tmp_path / "run", *common, f"+ov_config.CACHE_DIR={tmp_path / 'cache'}")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    assert "as a recipe must not contain them: " in recipe.read_text()
    assert cli.main(["verify", str(recipe)]) == 2
    hint = f'ov_config.CACHE_DIR="{tmp_path / "cache"}"'
    assert hint in capsys.readouterr().err
    assert verified(recipe, hint, code=0)["changed"] == []


def test_a_frozen_recipe_has_versions_machine_and_fingerprint(tmp_path: Path) -> None:
    run(tmp_path / "run", *FAKE)
    told = yaml.safe_load(frozen(tmp_path / "run", tmp_path / "r.yaml").read_text())["frozen"]
    record = read_record(tmp_path / "run")
    assert told["packages"] == record["environment"]["packages"]
    assert told["machine"]["cpu"] == record["environment"]["cpu"]["name"]
    assert told["model"]["fingerprint"] == record["model"]["fingerprint"]
    assert [one["input_id"] for one in told["outputs"]] == [id for batch in record["plan"] for id in batch]


def test_a_frozen_recipe_accepts_overrides(tmp_path: Path) -> None:
    run(tmp_path / "run", *FAKE, "generation.max_new_tokens=5")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    job = compose(["backend=openvino", "stop=newline"], recipe=recipe).job
    assert (job.backend.name, job.stop.sequences, job.generation.max_new_tokens) == ("openvino", ("\n",), 5)


# ---------------------------------------------------------------- differences
def changed_output(recipe: Path) -> None:
    data = yaml.safe_load(recipe.read_text())
    one = data["frozen"]["outputs"][2]
    ids = one["ids"].split()
    ids[2] = "77"
    one["ids"], one["sha256"], one["text"] = " ".join(ids), digest_of([int(id) for id in ids]), "something else"
    data["frozen"]["packages"]["torch"] = "1.0"
    data["frozen"]["machine"]["cpu"] = "an abacus"
    recipe.write_text(yaml.safe_dump(data))


def emptied(outputs: list[dict[str, Any]]) -> None:
    outputs.clear()


def lacking_one(outputs: list[dict[str, Any]]) -> None:
    del outputs[1]


def with_one_twice(outputs: list[dict[str, Any]]) -> None:
    outputs.append(dict(outputs[0]))


def with_other_ids(outputs: list[dict[str, Any]]) -> None:
    outputs[0]["ids"] = "1 2 3"


@pytest.mark.parametrize("spoil", [emptied, lacking_one, with_one_twice, with_other_ids])
def test_modified_frozen_outputs_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[list[dict[str, Any]]], None]
) -> None:
    run(tmp_path / "run", *FAKE)
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    data = yaml.safe_load(recipe.read_text())
    spoil(data["frozen"]["outputs"])
    recipe.write_text(yaml.safe_dump(data))
    assert cli.main(["verify", str(recipe)]) == 2
    assert "frozen.outputs" in capsys.readouterr().err


def test_verify_reports_first_differences_and_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *FAKE)
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    changed_output(recipe)
    found = verified(recipe, code=3)
    assert [(one["at"], one["frozen"]) for one in found["differences"]] == [(2, "something else")]
    assert [one["what"] for one in found["changed"]] == ["torch", "cpu"]
    capsys.readouterr()
    assert cli.main(["verify", str(recipe)]) == 3
    out = capsys.readouterr().out
    assert "not identical: 3 of 4 outputs match the frozen ones" in out
    assert re.search(r"  input 3 \([0-9a-f]{16}\) first differs at token 2\n", out)
    assert "changed: cpu: an abacus -> " in out


@pytest.mark.parametrize("display", ["plain", "none"])
def test_verify_prints_the_directory_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], display: str) -> None:
    run(tmp_path / "run", *FAKE)
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    capsys.readouterr()
    again = tmp_path / "again"
    assert cli.main(["verify", str(recipe), f"runtime.display={display}", "--output", str(again)]) == 0
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("results: ") == 1
    assert f"results: {again}\n" in shown.out


def test_inputs_and_repeats_are_numbered_from_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *FAKE, "runtime.repeat=2")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    data = yaml.safe_load(recipe.read_text())
    sample = json.loads((tmp_path / "run" / "samples.jsonl").read_text().splitlines()[0])
    assert sample["index"] == 0
    first = sample["input_id"]
    for one in data["frozen"]["outputs"]:
        if one["input_id"] == first:
            one |= {"ids": "1 2 3", "sha256": digest_of([1, 2, 3])}
    recipe.write_text(yaml.safe_dump(data))
    capsys.readouterr()
    assert cli.main(["verify", str(recipe)]) == 3
    out = capsys.readouterr().out
    assert f"  input 1 ({first}) " in out and f"  input 1 ({first}), repeat 2 " in out
    assert out.count("  input ") == 2


def test_an_override_is_reported_as_a_change(tmp_path: Path) -> None:
    run(tmp_path / "run", *FAKE, "generation.max_new_tokens=9")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    found = verified(recipe, "generation.max_new_tokens=4", code=3)
    assert {"what": "generation.max_new_tokens", "then": 9, "now": 4} in found["changed"]
    assert {one["at"] for one in found["differences"]} == {4}
    missing = verified(recipe, "inputs.limit=3", code=3)
    assert len(missing["missing"]) == 1


def test_a_changed_model_is_rejected_before_it_generates(
    tmp_path: Path, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_gpt2, folder)
    run(tmp_path / "run", "model=local", f"model.path={folder}", "generation.max_new_tokens=3")
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    weights = {name: torch.zeros_like(value) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert cli.main(["verify", str(recipe), "--output", str(tmp_path / "v")]) == 2
    assert "model: the model has changed" in capsys.readouterr().err
    assert not (tmp_path / "v" / "samples.jsonl").read_text()


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plan": None}, "plan is missing"),
        ({"started": ""}, "started is missing"),
        ({"environment": {}}, "environment.packages is missing"),
        ({"job": {"model": {"source": "hub"}}}, "job."),
        ({"totals": {"samples": 9}}, "has 4 samples; the record counts 9"),
    ],
)
def test_an_incomplete_record_is_not_frozen(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    run(tmp_path / "run", *FAKE)
    file = tmp_path / "run" / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ConfigError) as raised:
        freeze(read_jobs([tmp_path / "run"])[0])
    assert told in str(raised.value)


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_keys_that_were_added_later_are_keys_of_their_backend(name: str) -> None:
    backend = compose([f"backend={name}", *needs(f"backend={name}")]).job.backend
    assert BACKENDS[name].added.keys() <= backend.model_dump().keys()
    assert type(backend).model_validate({**backend.model_dump(), **BACKENDS[name].added})


def test_an_older_record_is_frozen_with_the_former_behavior_of_new_keys(tmp_path: Path) -> None:
    run(tmp_path / "run", *FAKE, "backend.cold_calls=3")
    file = tmp_path / "run" / "record.json"
    record = json.loads(file.read_text())
    for key in BACKENDS["fake"].added:
        del record["job"]["backend"][key]
    file.write_text(json.dumps(record))
    recipe = frozen(tmp_path / "run", tmp_path / "r.yaml")
    assert yaml.safe_load(recipe.read_text())["frozen"]["job"]["backend"]["cold_calls"] == 0
    found = verified(recipe, code=0)
    assert found["identical"] and found["changed"] == []
    older = yaml.safe_load(recipe.read_text())
    for key in BACKENDS["fake"].added:
        del older["frozen"]["job"]["backend"][key]
    recipe.write_text(yaml.safe_dump(older))
    assert verified(recipe, code=0)["changed"] == []


@pytest.mark.parametrize("status", ["failed", "interrupted", "partial"])
def test_only_complete_runs_are_frozen(tmp_path: Path, status: str) -> None:
    run(tmp_path / "run", *FAKE)
    file = tmp_path / "run" / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": status}))
    with pytest.raises(ConfigError, match=rf"incomplete \(status {status}\)"):
        freeze(read_jobs([tmp_path / "run"])[0])


def test_wrong_usage_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> str:
        assert cli.main(list(words)) == 2
        return capsys.readouterr().err

    assert "no records found in" in told("freeze", str(tmp_path))
    run(tmp_path / "runs" / "0", *FAKE)
    run(tmp_path / "runs" / "1", *FAKE)
    assert "contains 2 jobs; freeze one of them" in told("freeze", str(tmp_path / "runs"))
    recipe = frozen(tmp_path / "runs" / "0", tmp_path / "r.yaml")
    assert "already exists" in told("freeze", str(tmp_path / "runs" / "0"), "-o", str(recipe))
    assert cli.main(["freeze", str(tmp_path / "runs" / "0"), "-o", str(recipe), "--force"]) == 0
    (tmp_path / "plain.yaml").write_text("defaults: [{backend: fake}]\n")
    assert "hforch freeze" in told("verify", str(tmp_path / "plain.yaml"))
    assert "recipe not found" in told("verify", str(tmp_path / "none.yaml"))
    assert "frozen.schema_version" in told("verify", str(edited(recipe)))


def edited(recipe: Path) -> Path:
    other = recipe.with_name("newer.yaml")
    other.write_text(recipe.read_text().replace("  schema_version: 1", "  schema_version: 2"))
    return other


def test_freeze_without_an_output_file_prints_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *FAKE)
    capsys.readouterr()
    assert cli.main(["freeze", str(tmp_path / "run")]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["defaults"][1] == {"backend": "fake"}


@pytest.mark.parametrize(
    "chosen",
    [
        ["checks=contains_expected", "prompt=chat"],
        ["checks=close_to_expected", "checks.items.0.min_similarity=0.7", "generation=beam"],
        ["model=hub", "model.id=somebody/something", "ov_config=kv_u8", "backend=openvino", "precision=int8"],
        ["model=gpt2", "stop=blank_line", "checks=finished"],
    ],
)
def test_a_recipe_names_the_options_that_were_chosen(chosen: list[str]) -> None:
    from hforch.config.as_recipe import recipe_of
    from hforch.config.compose import compose

    items = "inputs.items=[{question: a, expected: b}]"
    job = compose([*chosen, items]).job.model_dump(mode="json")
    named = {group: option for one in recipe_of(job)["defaults"] for group, option in one.items()}
    assert named.items() >= {tuple(one.split("=")) for one in chosen if "." not in one.partition("=")[0]}


def test_options_of_equal_distance_are_replaced_by_the_default(tmp_path: Path) -> None:
    own = "checks.items=[{icontains: {column: expected}, negate: true}]"
    directory = run(
        tmp_path / "run", "backend=fake", "inputs=numbers_in_french", own.replace("{column: expected}", "x")
    )
    recipe = yaml.safe_load(frozen(directory, tmp_path / "winner.yaml").read_text())
    assert {"checks": "none"} in recipe["defaults"]
