from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hforch.config.models.local import LocalModel
from hforch.errors import ModelError
from hforch.models import fetch, fingerprint
from hforch.utils.progress import Silent


def test_a_torch_folder_is_used_in_place(tiny_gpt2: Path, make: Any, listener: Any) -> None:
    found = fetch(make.local(tiny_gpt2), listener)
    assert (found.kind, found.path) == ("torch", tiny_gpt2)
    assert found.source == {"source": "local", "path": str(tiny_gpt2)}
    assert found.disk_mb == pytest.approx((tiny_gpt2 / "model.safetensors").stat().st_size / 1e6, abs=0.001)
    assert found.download_s is None
    assert found.convert_s is None


def test_the_fingerprint_depends_on_contents_and_not_on_the_folder(
    tiny_gpt2: Path, gpt2_copy: Path, make: Any, listener: Any
) -> None:
    first, second = fetch(make.local(tiny_gpt2), listener), fetch(make.local(gpt2_copy), listener)
    assert first.fingerprint == second.fingerprint
    (gpt2_copy / "README.md").write_text("a note changes nothing")
    assert fetch(make.local(gpt2_copy), listener).fingerprint == first.fingerprint
    config = json.loads((gpt2_copy / "config.json").read_text())
    (gpt2_copy / "config.json").write_text(json.dumps(config | {"eos_token_id": 7}))
    assert fetch(make.local(gpt2_copy), listener).fingerprint != first.fingerprint


def test_a_file_is_read_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, read = tmp_path / "weights", []
    digest = fingerprint.of_content
    monkeypatch.setattr(fingerprint, "of_content", lambda file: read.append(file) or digest(file))
    file.write_bytes(b"one")
    assert fingerprint.of_file(file) == fingerprint.of_file(file)
    assert len(read) == 1
    before = fingerprint.of_file(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert fingerprint.of_file(file) != before


def test_home_and_relative_paths_are_resolved(
    gpt2_copy: Path, monkeypatch: pytest.MonkeyPatch, make: Any, listener: Any
) -> None:
    monkeypatch.chdir(gpt2_copy.parent)
    monkeypatch.setenv("HOME", str(gpt2_copy.parent))
    assert fetch(make.local(Path("gpt2")), listener).path == gpt2_copy
    assert fetch(make.local(Path("~/gpt2")), listener).path == gpt2_copy


def test_fetching_imports_neither_torch_nor_transformers(tiny_gpt2: Path, python_env: dict[str, str]) -> None:
    code = (
        "import sys; from hforch.models import fetch; from hforch.utils.progress import Silent;"
        "from hforch.config.models.local import LocalModel;"
        f"fetch(LocalModel(source='local', path={str(tiny_gpt2)!r}, trust_remote_code=False, attn_implementation=None),"
        "Silent()); print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=python_env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_directory_or_a_file_is_refused(tmp_path: Path, make: Any, listener: Any) -> None:
    with pytest.raises(ModelError, match="directory not found"):
        fetch(make.local(tmp_path / "nowhere"), listener)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"is a file.*model=gguf"):
        fetch(make.local(tmp_path / "model.gguf"), listener)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.safetensors", r"contains no weights.*model\.safetensors or pytorch_model\.bin"),
        ("config.json", r"no config\.json"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_the_missing_file_is_named(gpt2_copy: Path, name: str, message: str, make: Any, listener: Any) -> None:
    (gpt2_copy / name).unlink()
    with pytest.raises(ModelError, match=message):
        fetch(make.local(gpt2_copy), listener)


def test_shards_in_the_index_must_exist(gpt2_copy: Path, make: Any, listener: Any) -> None:
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    (gpt2_copy / "model.safetensors").rename(gpt2_copy / first)
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json is missing"):
        fetch(make.local(gpt2_copy), listener)
    index = {"weight_map": {"a": first, "b": second}}
    (gpt2_copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=f"{second} is missing"):
        fetch(make.local(gpt2_copy), listener)
    shutil.copy(gpt2_copy / first, gpt2_copy / second)
    assert fetch(make.local(gpt2_copy), listener).kind == "torch"


def test_truncated_weights_and_git_lfs_pointers_are_refused(gpt2_copy: Path, make: Any, listener: Any) -> None:
    weights = gpt2_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged or truncated"):
        fetch(make.local(gpt2_copy), listener)
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        fetch(make.local(gpt2_copy), listener)


def test_the_error_names_other_formats_in_the_folder(gpt2_copy: Path, make: Any, listener: Any) -> None:
    (gpt2_copy / "model.safetensors").rename(gpt2_copy / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="PEFT adapter"):
        fetch(make.local(gpt2_copy), listener)
    (gpt2_copy / "model.Q4_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"GGUF files \(model\.Q4_0\.gguf.*model=gguf"):
        fetch(make.local(gpt2_copy), listener)


def test_an_ir_without_its_weights_is_incomplete(gpt2_copy: Path, make: Any, listener: Any) -> None:
    (gpt2_copy / "model.safetensors").unlink()
    (gpt2_copy / "openvino_model.xml").write_text("<net/>")
    with pytest.raises(ModelError, match=r"openvino_model\.bin is missing"):
        fetch(make.local(gpt2_copy), listener)
    (gpt2_copy / "openvino_model.bin").write_bytes(b"1")
    assert fetch(make.local(gpt2_copy), listener).kind == "openvino"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder-decoder"),
        ({"architectures": ["BertForMaskedLM"]}, "not a causal language model"),
    ],
)
def test_a_model_that_is_not_a_causal_language_model_is_refused(
    tiny_gpt2: Path, tmp_path: Path, config: dict[str, object], said: str
) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "other"))
    described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(described | config), encoding="utf-8")
    model = LocalModel(source="local", path=str(folder), trust_remote_code=False, attn_implementation=None)
    with pytest.raises(ModelError, match=said):
        fetch(model, Silent())
