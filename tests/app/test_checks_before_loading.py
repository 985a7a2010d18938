"""A model that cannot be loaded is refused before anything is written, in a run and in a dry run alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import hforch

from hforch.backends.base import check
from hforch.config.compose import job_from_overrides


def told(*words: str) -> list[str]:
    return [f"{one.path}: {one.problem}" for one in check(job_from_overrides(words))]


@pytest.mark.parametrize("words", [(), ("--dry-run",), ("-m", "generation.max_new_tokens=2,3")])
def test_a_missing_directory_is_refused_without_a_record(words: tuple[str, ...], tmp_path: Path) -> None:
    done = hforch("model=./none", *words, "hydra.run.dir=run", "hydra.sweep.dir=run", code=2, cwd=tmp_path)
    assert "model.path: directory not found: ./none\n    set in model=./none" in done.stderr
    assert "\n    log:" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_errors_of_all_models_are_reported_together(tmp_path: Path) -> None:
    done = hforch("-m", "model=./none,./nothing,x.gguf", "--dry-run", code=2, cwd=tmp_path)
    for path in ("./none", "./nothing", "x.gguf"):
        assert f"not found: {path}" in done.stderr


def test_each_source_is_checked(tmp_path: Path) -> None:
    (tmp_path / "file.gguf").write_bytes(b"GGML")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\0\0\0")
    local, gguf = ("model=local", "model.path={}"), ("model=gguf", "model.path={}")
    cases = {
        (*local, str(tmp_path)): f"model: The directory {tmp_path} contains no weights",
        (*local, str(tmp_path / "file.gguf")): f"model.path: {tmp_path / 'file.gguf'} is a file",
        (*gguf, str(tmp_path)): f"model.path: {tmp_path} is a directory",
        (*gguf, str(tmp_path / "file.gguf")): f"model.path: {tmp_path / 'file.gguf'} is not a GGUF file",
        (*gguf, str(tmp_path / "cut.gguf")): f"model: {tmp_path / 'cut.gguf'} is damaged or truncated",
        ("model=hub", "model.id='{}'", "a b"): "model.id: 'a b' is not a valid Hub model ID",
        ("model.file={}", "model.bin"): "model.file: model.bin: must be a .gguf file",
    }
    for (*words, name), problem in cases.items():
        (found,) = told(*(word.format(name) for word in words))
        assert found.startswith(problem)


def test_a_backend_without_weights_does_not_check_the_model() -> None:
    assert told("backend=fake", "model=./none") == []


@pytest.mark.model
def test_an_ir_is_checked_against_the_backend_and_the_precision(tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ir"
    hforch("export", "-o", str(folder), f"model={tiny_gpt2}")
    words = (f"model={folder}", "backend=openvino", "precision=int8")
    done = hforch(*words, "--dry-run", code=2)
    assert "precision.name: precision=int8: the model in" in done.stderr
    (found,) = told(f"model={folder}")
    assert "contains an OpenVINO IR, which pytorch cannot run; use backend=openvino" in found
    assert told(f"model={folder}", "backend=openvino") == []
