from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hforch.errors import BackendError, ModelError
from hforch.models import cache, exports, fetch
from hforch.models.exports import describe, export

CASES = [
    ("auto", None, None, "fp16", {"f16"}),
    pytest.param("fp32", None, None, "fp32", {"f32"}, marks=pytest.mark.slow),
    ("int8", None, None, "int8", {"u8"}),
    ("int4", 64, "adjust", "int4", {"u4", "u8"}),
]


@pytest.mark.parametrize(("name", "group_size", "fallback", "weight_format", "elements"), CASES)
def test_the_bit_widths_are_read_from_the_ir(
    name: str,
    group_size: int | None,
    fallback: Any,
    weight_format: str,
    elements: set[str],
    tiny_gpt2: Path,
    make: Any,
    listener: Any,
) -> None:
    checkpoint = fetch(make.local(tiny_gpt2), listener)
    made = export(checkpoint, make.precision(name, group_size, fallback), False, listener)
    assert made.weight_format == weight_format
    assert set(made.bits) == elements
    assert made.export_s is not None
    assert describe(made.path) == {"weight_format": weight_format, "bits": made.bits}
    assert made.disk_mb == pytest.approx((made.path / "openvino_model.bin").stat().st_size / 1e6, abs=0.001)
    if name == "int4":
        assert made.bits["u4"]["group_sizes"] == {"64": 8}
    again = export(checkpoint, make.precision(name, group_size, fallback), False, listener)
    assert again.export_s is None
    assert (again.path, again.key, again.bits) == (made.path, made.key, made.bits)
    ir = fetch(make.local(made.path), listener)
    assert ir.kind == "openvino"
    with pytest.raises(ModelError, match="already an OpenVINO IR"):
        export(ir, make.precision(name, group_size, fallback), False, listener)


@pytest.mark.slow
def test_an_export_has_a_tokenizer_and_records_its_inputs(tiny_gpt2: Path, make: Any, listener: Any) -> None:
    made = export(fetch(make.local(tiny_gpt2), listener), make.precision("bf16"), False, listener)
    there = {path.name for path in made.path.iterdir()}
    assert there >= {"config.json", "generation_config.json", "tokenizer.json", "openvino_tokenizer.xml"}
    record = json.loads((made.path / "entry.json").read_text())
    assert record["key"] == made.key
    assert set(record["versions"]) >= {"optimum-intel", "openvino", "nncf", "transformers", "torch"}
    assert record["weight_format"] == "fp16"
    assert record["bits"] == made.bits
    other_folder = made.path.parents[2] / "copy"
    shutil.copytree(tiny_gpt2, other_folder)
    assert export(fetch(make.local(other_folder), listener), make.precision("fp16"), False, listener).export_s is None


@pytest.mark.slow
@pytest.mark.openvino
def test_a_group_size_that_does_not_fit_is_refused_or_noted(tiny_gpt2: Path, make: Any, listener: Any) -> None:
    checkpoint = fetch(make.local(tiny_gpt2), listener)
    with pytest.raises(ModelError, match=r"groups of 48 weights[\s\S]*group_size_fallback=adjust") as caught:
        export(checkpoint, make.precision("int4", 48, "error"), False, listener)
    assert "Traceback" not in str(caught.value)
    made = export(checkpoint, make.precision("int4", 48, "ignore"), False, listener)
    assert made.weight_format != "int4"
    assert any("requested int4 weights" in note for note in listener.notes)


def test_an_architecture_that_the_exporter_does_not_support_is_refused(
    gpt2_copy: Path, make: Any, listener: Any
) -> None:
    config = json.loads((gpt2_copy / "config.json").read_text())
    (gpt2_copy / "config.json").write_text(json.dumps(config | {"model_type": "rwkv", "architectures": None}))
    with pytest.raises(ModelError, match="'rwkv', which the OpenVINO exporter"):
        export(fetch(make.local(gpt2_copy), listener), make.precision("fp16"), False, listener)
    assert cache.entries() == []


@pytest.mark.openvino
def test_an_architecture_that_needs_an_older_transformers_is_refused_before_its_weights_are_loaded(
    tiny_gpt2: Path, tmp_path: Path, make: Any, listener: Any
) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "gemma"))
    config = {"model_type": "gemma", "architectures": ["GemmaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 32}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"'gemma'.* only with transformers 5\.0 and earlier.*Use backend=pytorch"):
        export(fetch(make.local(folder), listener), make.precision("fp32"), False, listener)


def test_without_the_exporter_the_error_has_the_install_command(
    tiny_gpt2: Path, make: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = fetch(make.local(tiny_gpt2), listener)
    monkeypatch.setattr(exports, "installed", lambda name: None if name == "optimum-intel" else "1")
    with pytest.raises(BackendError, match=r"pip install 'hforch\[openvino\]'"):
        export(checkpoint, make.precision("fp16"), False, listener)


EXPORT = """
import sys
from hforch.models import fetch
from hforch.models.exports import export
from hforch.utils.progress import Silent
from hforch.config.models.local import LocalModel
from hforch.config.schema import Precision
model = LocalModel(source="local", path=sys.argv[1], trust_remote_code=False, attn_implementation=None)
export(fetch(model, Silent()), Precision(name="fp16", group_size=None, group_size_fallback=None), False, Silent())
"""


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.openvino
def test_a_killed_export_leaves_only_an_incomplete_entry(
    tiny_gpt2: Path, make: Any, listener: Any, python_env: dict[str, str]
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", EXPORT, str(tiny_gpt2)], env=python_env)
    deadline = time.monotonic() + 60
    while not list((cache.cache_home() / "exports").glob(".*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert [entry.complete for entry in cache.entries()] == [False]
    made = export(fetch(make.local(tiny_gpt2), listener), make.precision("fp16"), False, listener)
    assert made.export_s is not None
    assert [entry.complete for entry in cache.entries()] == [True]


@pytest.mark.slow
def test_a_local_folder_is_exported_without_a_hub(
    tiny_gpt2: Path, make: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = export(fetch(make.local(tiny_gpt2), listener), make.precision("fp16"), False, listener)
    assert (made.path / "openvino_model.bin").stat().st_size > 0


@pytest.mark.parametrize("text", [None, "", "<net><layers>", "text"])
def test_a_folder_without_a_valid_ir_is_refused(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "openvino_model.xml").write_text(text)
    with pytest.raises(ModelError, match="IR"):
        describe(tmp_path)


@pytest.mark.slow
@pytest.mark.openvino
def test_the_default_model_in_int4_has_groups_of_64_and_128(default_model: Any, make: Any, listener: Any) -> None:
    made = export(fetch(default_model, listener), make.precision("int4", 128, "adjust"), False, listener)
    assert made.bits["u4"]["group_sizes"] == {"64": 180, "128": 30}
    assert made.bits["u8"]["layers"] == 1
