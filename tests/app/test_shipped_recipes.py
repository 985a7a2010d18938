"""Each recipe that hforch ships is run, and shows what its first lines promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hforch.runs.records import read_record, read_samples

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
ALONE = {"step_by_step", "french_numbers"}
SWEEPS = {
    "backends": ("backend", ["pytorch", "openvino"]),
    "continuous_batching": ("backend", ["openvino", "openvino_genai"]),
    "precision_cost": ("precision", ["fp32", "bf16", "int8", "int4"]),
    "prompt_styles": ("prompt", ["step_by_step", "chat", "question"]),
    "stop_sequences": ("stop", ["none", "blank_line", "newline"]),
    "kv_cache_precision": ("ov_config.KV_CACHE_PRECISION", ["f32", "f16", "u8"]),
}


def run(name: str, directory: Path) -> str:
    kind = "run" if name in ALONE else "sweep"
    command = [sys.executable, "-m", "hforch", "run", str(ROOT / "recipes" / f"{name}.yaml")]
    done = subprocess.run(
        [*command, f"hydra.{kind}.dir={directory}"], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compared(directory: Path) -> list[dict[str, Any]]:
    return json.loads((directory / "comparison.json").read_text())["rows"]  # type: ignore[no-any-return]


def test_every_recipe_is_run_here() -> None:
    assert {file.stem for file in RECIPES} == ALONE | SWEEPS.keys()


@pytest.mark.parametrize("file", RECIPES, ids=[file.stem for file in RECIPES])
def test_every_recipe_fits_the_schema_on_its_first_line_and_explains_itself(file: Path) -> None:
    first, *others = file.read_text().splitlines()
    schema = json.loads((file.parent / first.removeprefix("# yaml-language-server: $schema=")).read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    comments = [line for line in others if line.startswith("#")]
    assert others[: len(comments)] == comments
    assert f"#   hforch run recipes/{file.name}" in comments


@pytest.mark.slow
def test_step_by_step(tmp_path: Path) -> None:
    assert "64 tokens" in run("step_by_step", tmp_path)
    (sample,) = read_samples(tmp_path)
    assert sample["prompt"].endswith("Let's think step by step.")


@pytest.mark.slow
def test_french_numbers(tmp_path: Path) -> None:
    run("french_numbers", tmp_path)
    samples = list(read_samples(tmp_path))
    assert [one["batch"]["size"] for one in samples] == [4] * 4
    assert not any("\n\n" in one["text"] for one in samples)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep(name: str, tmp_path: Path) -> None:
    axis, values = SWEEPS[name]
    run(name, tmp_path)
    rows = compared(tmp_path)
    assert [row["axes"][axis] for row in rows] == values
    assert all(set(row["axes"]) <= {axis, "backend"} for row in rows)
    assert all(row["status"] == "ok" and row["metrics"]["tokens_per_s"] > 0 for row in rows)
    found = {value: row["metrics"] for value, row in zip(values, rows, strict=True)}
    texts = {
        value: [one["text"] for one in read_samples(tmp_path / row["job"])]
        for value, row in zip(values, rows, strict=True)
    }
    if name == "backends":
        assert found["openvino"]["identical"] >= 0.5
    elif name == "continuous_batching":
        assert found["openvino"]["disk_mb"] == found["openvino_genai"]["disk_mb"]
        assert found["openvino_genai"]["similarity"] > 0.5
    elif name == "precision_cost":
        assert found["fp32"]["disk_mb"] > 3 * found["int8"]["disk_mb"]
        assert found["int8"]["disk_mb"] > found["int4"]["disk_mb"]
        assert found["fp32"]["identical"] == 1.0 > found["int8"]["identical"] >= found["int4"]["identical"]
        divergences = [found[value]["kl_mean"] for value in values]
        assert divergences == sorted(divergences) and divergences[0] == 0.0 < divergences[1]
        assert found["int4"]["kl_mean"] - 3 * found["int4"]["kl_mean_se"] > found["int8"]["kl_mean"]
        assert all(one["ppl"] > 1 and one["top1_agreement"] > 0.5 for one in found.values())
    elif name == "prompt_styles":
        assert {row["load_key"] for row in rows} == {rows[0]["load_key"]}
        assert read_record(tmp_path / "1")["shared_load"] is True
        assert len({tuple(one) for one in texts.values()}) == 3
    elif name == "stop_sequences":
        for whole, blank, line in zip(*texts.values(), strict=True):
            assert whole.startswith(blank)
            assert blank.startswith(line)
            assert "\n\n" not in blank
            assert "\n" not in line
    else:
        effective = {
            value: read_record(tmp_path / row["job"])["effective"] for value, row in zip(values, rows, strict=True)
        }
        assert {value: one["precision"]["kv_cache"] for value, one in effective.items()} == {v: v for v in values}
