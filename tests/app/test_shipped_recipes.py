"""The recipes of the repository: each is run, and its result matches its description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from finished import ALONE, recipe

from hforch.machine.processor import emulates
from hforch.records.record_files import read_record, read_samples

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SWEEPS = {
    "backends": ("backend", ["pytorch", "openvino"]),
    "continuous_batching": ("backend", ["openvino", "openvino_genai"]),
    "precision_cost": ("precision", ["fp32", "bf16", "int8", "int4"]),
    "prompt_styles": ("prompt", ["step_by_step", "chat", "question"]),
    "stop_sequences": ("stop", ["none", "blank_line", "newline"]),
    "kv_cache_precision": ("ov_config.KV_CACHE_PRECISION", ["f32", "f16", "u8"]),
}


def compared(directory: Path) -> list[dict[str, Any]]:
    return json.loads((directory / "comparison.json").read_text())["rows"]  # type: ignore[no-any-return]


def test_every_recipe_is_tested() -> None:
    assert {file.stem for file in RECIPES} == ALONE | SWEEPS.keys()


@pytest.mark.parametrize("file", RECIPES, ids=[file.stem for file in RECIPES])
def test_every_recipe_matches_its_schema_and_has_a_description(file: Path) -> None:
    first, *others = file.read_text().splitlines()
    schema = json.loads((file.parent / first.removeprefix("# yaml-language-server: $schema=")).read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    comments = [line for line in others if line.startswith("#")]
    assert others[: len(comments)] == comments
    assert f"#   hforch run recipes/{file.name}" in comments


@pytest.mark.slow
def test_step_by_step(shared: Path) -> None:
    done = recipe("step_by_step", shared)
    assert "64 tokens" in done.printed
    (sample,) = read_samples(done.directory)
    assert sample["prompt"].endswith("Let's think step by step.")


@pytest.mark.slow
def test_french_numbers(shared: Path) -> None:
    samples = list(read_samples(recipe("french_numbers", shared).directory))
    assert [one["batch"]["size"] for one in samples] == [4] * 4
    assert not any("\n\n" in one["text"] for one in samples)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep(name: str, shared: Path) -> None:
    axis, values = SWEEPS[name]
    if name == "precision_cost" and emulates("bf16"):  # the recipe leaves it out
        values = [one for one in values if one != "bf16"]
    directory = recipe(name, shared).directory
    rows = compared(directory)
    assert [row["axes"][axis] for row in rows] == values
    assert all(set(row["axes"]) <= {axis, "backend"} for row in rows)
    assert all(row["status"] == "ok" and row["metrics"]["tokens_per_s"] > 0 for row in rows)
    found = {value: row["metrics"] for value, row in zip(values, rows, strict=True)}
    texts = {
        value: [one["text"] for one in read_samples(directory / row["job"])]
        for value, row in zip(values, rows, strict=True)
    }
    if name == "backends":
        assert found["openvino"]["exact_match"] >= 0.5
    elif name == "continuous_batching":
        assert found["openvino"]["disk_mb"] == found["openvino_genai"]["disk_mb"]
        assert found["openvino_genai"]["similarity"] > 0.4
    elif name == "precision_cost":
        assert found["fp32"]["disk_mb"] > 3 * found["int8"]["disk_mb"]
        assert found["int8"]["disk_mb"] > found["int4"]["disk_mb"]
        assert found["fp32"]["exact_match"] == 1.0 > found["int8"]["exact_match"] >= found["int4"]["exact_match"]
        divergences = [found[value]["kl_mean"] for value in values]
        assert divergences == sorted(divergences) and divergences[0] == 0.0 < divergences[1]
        assert found["int4"]["kl_mean"] - 3 * found["int4"]["kl_mean_se"] > found["int8"]["kl_mean"]
        assert all(one["ppl"] > 1 and one["top1_agreement"] > 0.5 for one in found.values())
    elif name == "prompt_styles":
        assert {row["load_key"] for row in rows} == {rows[0]["load_key"]}
        assert read_record(directory / "1")["shared_load"] is True
        assert len({tuple(one) for one in texts.values()}) == 3
    elif name == "stop_sequences":
        for whole, blank, line in zip(*texts.values(), strict=True):
            assert whole.startswith(blank)
            assert blank.startswith(line)
            assert "\n\n" not in blank
            assert "\n" not in line
    else:
        effective = {
            value: read_record(directory / row["job"])["effective"] for value, row in zip(values, rows, strict=True)
        }
        assert {value: one["precision"]["kv_cache"] for value, one in effective.items()} == {v: v for v in values}
