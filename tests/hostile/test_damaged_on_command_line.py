"""How commands report damaged model files: the file, the problem, and the exit code of an error."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import hforch

DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}))
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return path


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[str, Damage]] = {
    "a header of 2^63": ("model.safetensors", lambda file: file.write_bytes(struct.pack("<Q", 1 << 63))),
    "a header of 2^40": ("model.safetensors", lambda file: file.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")),
    "a list as header": ("model.safetensors", lambda file: file.write_bytes(struct.pack("<Q", 2) + b"[]")),
    "null": ("config.json", lambda file: file.write_text("null")),
    "nested": ("config.json", lambda file: file.write_bytes(DEEP)),
    "a generation config": ("generation_config.json", lambda file: file.write_text("[]")),
    "a tokenizer config": ("tokenizer_config.json", lambda file: file.write_text("null")),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_reported_when_loaded(name: str, damage: Damage, tmp_path: Path) -> None:
    model = folder(tmp_path / "model")
    damage(model / name)
    asked = ("model=local", f"model.path={model}", "runtime.display=none", "runtime.isolation=inline")
    done = hforch(*asked, code=2, cwd=tmp_path, timeout=60)
    assert f"{model / name} is damaged" in done.stderr


@pytest.mark.parametrize("name", ["a header of 2^40", "nested"])
def test_a_dry_run_reports_a_damaged_folder(name: str, tmp_path: Path) -> None:
    model = folder(tmp_path / "model")
    file, damage = DAMAGES[name]
    damage(model / file)
    asked = ("model=local", f"model.path={model}", "runtime.display=none", "--dry-run")
    for more in ((), ("--multirun", "runtime.seed=1,2")):
        assert "is damaged" in hforch(*asked, *more, code=2, cwd=tmp_path, timeout=60).stderr


@pytest.mark.parametrize("length", [1 << 60, (1 << 64) - 1])
def test_a_gguf_file_with_an_endless_array(length: int, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    field = struct.pack("<Q1sIIQ", 1, b"a", 9, 8, length)
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + field)
    asked = ("model=gguf", f"model.path={file}", "runtime.display=none")
    done = hforch(*asked, "runtime.isolation=inline", code=2, cwd=tmp_path, timeout=60)
    assert f"{file} is damaged or truncated" in done.stderr
    hforch(*asked, "--dry-run", code=2, cwd=tmp_path, timeout=60)
