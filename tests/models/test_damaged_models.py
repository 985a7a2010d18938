"""Damaged and malicious model files: each is refused with its name, within seconds and with little memory."""

from __future__ import annotations

import json
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hforch.errors import ModelError
from hforch.models import fetch
from hforch.models.gguf_header import check_header
from hforch.models.ir import read_graph
from hforch.models.ir_precision import describe
from hforch.models.json_files import read_object
from hforch.models.safetensors_header import read_tensors

SECONDS, MEMORY = 20.0, 300_000_000


@pytest.fixture(autouse=True)
def in_seconds_and_little_memory() -> Iterator[None]:
    process = psutil.Process()
    before, start = process.memory_info().rss, time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS
    assert process.memory_info().rss - before < MEMORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory that looks like a complete checkpoint, without using a library."""
    made = tmp_path / "model"
    made.mkdir()
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 7, "n_layer": 2}
    texts = {"config.json": config, "tokenizer.json": {}, "tokenizer_config.json": {}, "generation_config.json": {}}
    for name, value in texts.items():
        (made / name).write_text(json.dumps(value))
    (made / "model.safetensors").write_bytes(safetensors({"a": entry(0, 8), "b": entry(8, 12), "__metadata__": {}}))
    return made


def entry(start: Any, end: Any, dtype: Any = "F32", shape: Any = None) -> dict[str, Any]:
    shape = [(end - start) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def safetensors(header: Any, data: bytes = bytes(12), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


A, B = entry(0, 8), entry(8, 12)
SAFETENSORS = {
    "length 2^63": safetensors({"a": A}, length=1 << 63),
    "length 2^64-1": safetensors({"a": A}, length=(1 << 64) - 1),
    "length 2^40": safetensors({"a": A}, length=1 << 40),
    "length one too many": safetensors({"a": A}, b"", length=len(json.dumps({"a": A})) + 1),
    "length 0": safetensors(b""),
    "seven bytes": b"1234567",
    "a list": safetensors([]),
    "null": safetensors(None),
    "a number": safetensors(5),
    "a text": safetensors("header"),
    "not UTF-8": safetensors(b'{"\xff": 1}'),
    "not JSON": safetensors(b'{"a":'),
    "nested 100,000 deep": safetensors(b'{"a":' * 100_000),
    "lists 100,000 deep": safetensors(b"[" * 100_000),
    "an entry that is a list": safetensors({"a": [1, 2]}),
    "an entry that is null": safetensors({"a": None}),
    "no offsets": safetensors({"a": {"dtype": "F32", "shape": [2]}}),
    "offsets that are text": safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]}}),
    "offsets that are floats": safetensors({"a": entry(0.0, 8.0, shape=[2])}),
    "one offset": safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}),
    "offsets reversed": safetensors({"a": entry(8, 0, shape=[2])}),
    "offsets below zero": safetensors({"a": entry(-8, 0, shape=[2])}),
    "offsets of 2^62": safetensors({"a": entry(1 << 62, (1 << 62) + 8, shape=[2])}),
    "offsets of 4,000 digits": safetensors(
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1%s]}}' % (b"0" * 4000)
    ),
    "offsets of 5,000 digits": safetensors(
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1%s]}}' % (b"0" * 5000)
    ),
    "overlapping": safetensors({"a": A, "b": entry(4, 12, shape=[2])}),
    "a gap": safetensors({"a": A}),
    "more than the file": safetensors({"a": A, "b": B}, bytes(11)),
    "less than the file": safetensors({"a": A, "b": B}, bytes(13)),
    "a shape that is text": safetensors({"a": entry(0, 12, shape="3")}),
    "a shape below zero": safetensors({"a": entry(0, 12, shape=[-1, -3])}),
    "a shape of 2^62 by 2^62": safetensors({"a": entry(0, 12, shape=[1 << 62, 1 << 62])}),
    "a shape of 1,000 dimensions": safetensors({"a": entry(0, 12, shape=[3] + [1] * 1000)}),
    "a shape of other size": safetensors({"a": entry(0, 12, shape=[4])}),
    "true as a shape": safetensors({"a": entry(0, 4, shape=[True])}, bytes(4)),
    "a dtype that is a list": safetensors({"a": entry(0, 12, dtype=["F32"])}),
    "another dtype": safetensors({"a": entry(0, 12, dtype="F64", shape=[3])}),
}


@pytest.mark.parametrize("data", SAFETENSORS.values(), ids=SAFETENSORS)
def test_a_damaged_safetensors_file_is_refused(data: bytes, folder: Path, make: Any, listener: Any) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        fetch(make.local(folder), listener)
    assert str(file) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_intact_safetensors_file_is_read(folder: Path) -> None:
    assert [(one.name, one.shape) for one in read_tensors(folder / "model.safetensors")] == [("a", (2,)), ("b", (1,))]


JSON_TEXTS = {
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "empty": b"",
    "cut": b'{"a": 1',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "binary": bytes(range(256)),
    "nested 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists 200,000 deep": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "10 million values": b'{"a": [' + b"0," * 10_000_000 + b"0]}",
    "a number of 5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", JSON_TEXTS.values(), ids=JSON_TEXTS)
def test_a_damaged_json_file_is_refused(text: bytes, name: str, folder: Path, make: Any, listener: Any) -> None:
    (folder / name).write_bytes(text)
    with pytest.raises(ModelError) as caught:
        fetch(make.local(folder), listener)
    assert f"{folder / name} is damaged" in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_huge_json_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ModelError, match="maximum"):
        read_object(tmp_path / "config.json")


CONFIGS: list[tuple[str, Any]] = [
    *(("vocab_size", value) for value in ("seven", 1e400, 1 << 62, -7, {}, True, 1.5)),
    *(("n_layer", value) for value in ("2", 1 << 31, 9_999, 0)),
    *(("num_attention_heads", value) for value in ("x", 1 << 40, {})),
    *(("hidden_size", value) for value in ("x", 1 << 40, float("nan"))),
    *(("max_position_embeddings", value) for value in ("x", 1 << 62, float("inf"))),
    *(("eos_token_id", value) for value in ("x", [1, "x"], 1e400, 1 << 62, {}, 1.5, [None])),
    ("model_type", ["gpt2"]),
    ("architectures", "GPT2LMHeadModel"),
    ("architectures", [None]),
    ("text_config", {"vocab_size": "seven"}),
    ("text_config", 5),
    *(("num_labels", value) for value in (1 << 40, float("inf"))),
    ("num_local_experts", 1 << 18),
    ("vision_config", {"num_layers": 0}),
]


@pytest.mark.parametrize(("name", "value"), CONFIGS)
def test_a_config_with_an_invalid_value_is_refused(
    name: str, value: Any, folder: Path, make: Any, listener: Any
) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    with pytest.raises(ModelError, match=r"config\.json (is damaged|sets n_layer)") as caught:
        fetch(make.local(folder), listener)
    assert name in str(caught.value) or name in ("text_config", "vision_config")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("eos_token_id", value) for value in ("x", [1, 2.5], 1 << 40)),
        *(("temperature", value) for value in ("hot", [1], 1e400, float("nan"), True)),
        *(("top_k", value) for value in ("x", 10**30)),
        ("num_beams", {}),
    ],
)
def test_a_generation_config_with_an_invalid_value_is_refused(
    name: str, value: Any, folder: Path, make: Any, listener: Any
) -> None:
    (folder / "generation_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(ModelError, match=rf"generation_config\.json is damaged: {name} must be "):
        fetch(make.local(folder), listener)


TOKENIZER_CONFIGS: list[tuple[str, Any]] = [
    *(("bos_token", value) for value in (5, [], {}, {"content": 5})),
    *(("padding_side", value) for value in (5, "middle")),
    *(("added_tokens_decoder", value) for value in (5, {"x": {}}, {"1": 5}, {"99999999999": {}})),
    *(("extra_special_tokens", value) for value in (5, {"a": 5}, [5])),
    *(("model_max_length", value) for value in ("x", {}, True)),
    *((name, 5) for name in ("tokenizer_class", "auto_map", "model_input_names", "split_special_tokens")),
]


@pytest.mark.parametrize(("name", "value"), TOKENIZER_CONFIGS)
def test_a_tokenizer_config_with_an_invalid_value_is_refused(
    name: str, value: Any, folder: Path, make: Any, listener: Any
) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(ModelError, match=rf"tokenizer_config\.json is damaged: {name} must be "):
        fetch(make.local(folder), listener)


def test_values_of_real_models_are_accepted(folder: Path, make: Any, listener: Any) -> None:
    config = {"model_type": "x", "architectures": ["XForCausalLM"], "text_config": None, "pad_token_id": -1}
    config |= {"num_key_value_heads": [1, 2], "head_dim": None, "time_step_limit": [0.0, float("inf")], "num_labels": 2}
    config |= {"eos_token_id": [1, 2], "n_layer": 2, "vision_config": {"num_heads": 16}, "n_positions": 1 << 20}
    tokens = {"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "</s>", "pad_token": None}
    tokens |= {"model_max_length": 1000000000000000019884624838656, "added_tokens_decoder": {"0": {"content": "<s>"}}}
    tokens |= {
        "chat_template": [{"name": "default", "template": "x"}],
        "padding_side": "left",
        "auto_map": {"a": ["b"]},
    }
    generation = {"eos_token_id": [1, 2], "temperature": 0.6, "top_k": None, "do_sample": True, "max_length": 20}
    for name, value in (("config", config), ("tokenizer_config", tokens), ("generation_config", generation)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert fetch(make.local(folder), listener).kind == "torch"


def test_a_chat_template_that_is_not_utf_8_is_refused(folder: Path, make: Any, listener: Any) -> None:
    (folder / "chat_template.jinja").write_bytes(b"{{ messages }}\xff")
    with pytest.raises(ModelError, match=r"chat_template\.jinja is damaged: byte 14"):
        fetch(make.local(folder), listener)


@pytest.mark.parametrize("template", [5, {}, ["x"], [{"name": "default"}], [{"name": 1, "template": "x"}]])
def test_a_chat_template_that_is_not_a_string_is_refused(template: Any, folder: Path, make: Any, listener: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is damaged: chat_template"):
        fetch(make.local(folder), listener)


@pytest.mark.parametrize(
    "index",
    [
        *(b"null", b"[]", b"{}", b"\xff", b'{"weight_map":' * 9_999, b'{"weight_map": []}', b'{"weight_map": {}}'),
        *(b'{"weight_map": {"a": 5}}', b'{"weight_map": {"a": null}}', b'{"weight_map": {"a": "../../etc/passwd"}}'),
    ],
)
def test_a_damaged_shard_index_is_refused(index: bytes, folder: Path, make: Any, listener: Any) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    file = folder / "model.safetensors.index.json"
    file.write_bytes(index)
    with pytest.raises(ModelError) as caught:
        fetch(make.local(folder), listener)
    assert f"{file} is damaged" in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "bomb", "no archive"])
def test_a_damaged_pytorch_archive_is_refused(damage: str, folder: Path, make: Any, listener: Any) -> None:
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if damage == "bomb" else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", bytes(1_000_000))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-50])
    elif damage == "no archive":
        file.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is damaged"):
        fetch(make.local(folder), listener)


# ---------------------------------------------------------------- GGUF
def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def gguf(*fields: bytes, tensors: bytes = b"", counts: tuple[int, int] | None = None, version: int = 3) -> bytes:
    found = counts or (int(bool(tensors)), len(fields))
    return b"GGUF" + struct.pack("<IQQ", version, *found) + b"".join(fields) + tensors


def field(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(kind: int, length: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, length) + data


def tensor(
    shape: list[int], kind: int = 0, offset: int = 0, data: bytes = bytes(64), dimensions: int | None = None
) -> bytes:
    number = len(shape) if dimensions is None else dimensions
    told = text(b"t") + struct.pack("<I", number) + struct.pack(f"<{len(shape)}Q", *shape)
    return told + struct.pack("<IQ", kind, offset) + data


MAX = (1 << 64) - 1  # -1 as an unsigned integer
GGUF = {
    "an array of 2^60": gguf(field(b"a", 9, array(4, 1 << 60))),
    "an array of -1": gguf(field(b"a", 9, array(4, MAX))),
    "an array of 2^60 texts": gguf(field(b"a", 9, array(8, 1 << 60))),
    "an array of -1 texts": gguf(field(b"a", 9, array(8, MAX))),
    "an array of -1 arrays": gguf(field(b"a", 9, array(9, MAX))),
    "an array of an unknown type": gguf(field(b"a", 9, array(99, 1))),
    "arrays 1,000 deep": gguf(field(b"a", 9, array(9, 1) * 1000)),
    "an array of 5 million": gguf(field(b"a", 9, array(0, 5_000_000, bytes(5_000_000)))),
    "texts longer than the file": gguf(field(b"a", 9, array(8, 2, text(b"x") + struct.pack("<Q", 1 << 40)))),
    "a text of 2^60": gguf(field(b"a", 8, struct.pack("<Q", 1 << 60))),
    "a text of -1": gguf(field(b"a", 8, struct.pack("<Q", MAX))),
    "a name of -1": gguf(struct.pack("<Q", MAX)),
    "an unknown type": gguf(field(b"a", 77, b"")),
    "2^60 fields": gguf(counts=(0, 1 << 60)),
    "-1 fields": gguf(counts=(0, MAX)),
    "2^60 tensors": gguf(counts=(1 << 60, 0)),
    "-1 tensors": gguf(counts=(MAX, 0)),
    "version 0": gguf(version=0),
    "version 99": gguf(version=99),
    "only the beginning": b"GGUF",
    "an alignment of 0": gguf(field(b"general.alignment", 4, struct.pack("<I", 0))),
    "an alignment of 3": gguf(field(b"general.alignment", 4, struct.pack("<I", 3))),
    "an alignment of 2^31": gguf(field(b"general.alignment", 4, struct.pack("<I", 1 << 31))),
    "an alignment that is a float": gguf(field(b"general.alignment", 6, struct.pack("<f", 32))),
    "2^31 layers": gguf(field(b"llama.block_count", 4, struct.pack("<I", 1 << 31)), tensors=tensor([4])),
    "a tensor of 2^60": gguf(tensors=tensor([1 << 60])),
    "a tensor of 2^32 by 2^32": gguf(tensors=tensor([1 << 32, 1 << 32])),
    "a tensor of 2^31 dimensions": gguf(tensors=tensor([4], dimensions=1 << 31)),
    "a tensor of an unknown type": gguf(tensors=tensor([4], kind=12345)),
    "a tensor beyond the end": gguf(tensors=tensor([4], offset=1 << 50)),
    "half a block": gguf(tensors=tensor([3], kind=2)),
    "tensors over each other": gguf(tensors=tensor([8], data=b"") + tensor([8], data=bytes(64)), counts=(2, 0)),
}


@pytest.mark.parametrize("data", GGUF.values(), ids=GGUF)
def test_a_damaged_gguf_file_is_refused(data: bytes, tmp_path: Path, make: Any, listener: Any) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        fetch(make.gguf(file), listener)
    assert f"{file} is damaged or truncated" in str(caught.value)
    assert caught.value.exit_code == 2


def test_truncated_and_changed_gguf_files_are_refused_or_read(tmp_path: Path) -> None:
    whole = gguf(
        field(b"general.alignment", 4, struct.pack("<I", 32)),
        field(b"a", 9, array(8, 2, text(b"x") + text(b"y"))),
        field(b"b", 9, array(6, 2, bytes(8))),
        tensors=tensor([4], data=bytes(32 + 16)),
    )
    file = tmp_path / "model.gguf"
    file.write_bytes(whole)
    check_header(file)
    for end in range(4, len(whole) - 47):
        file.write_bytes(whole[:end])
        with pytest.raises(ModelError, match="damaged or truncated"):
            check_header(file)
    for place in range(4, len(whole)):
        for other in (0, 255):
            file.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            try:
                check_header(file)
            except ModelError:
                continue


# ---------------------------------------------------------------- OpenVINO
LAYER = '<layer id="{}" name="x" type="{}" version="opset1"><data {}/></layer>'
CONST = 'element_type="f32" shape="2,2" offset="0" size="16"'


def ir(layers: str, edges: str = "") -> str:
    return f'<?xml version="1.0"?><net name="m" version="11"><layers>{layers}</layers><edges>{edges}</edges></net>'


def edge(start: int, end: int) -> str:
    return f'<edge from-layer="{start}" from-port="0" to-layer="{end}" to-port="0"/>'


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
CONVERTS = "".join(LAYER.format(n, "Convert", "") for n in range(1, 5000))
IRS: dict[str, str | bytes] = {
    "empty": "",
    "a text": "text",
    "cut": ir(LAYER.format(0, "Const", CONST))[:120],
    "no layers": ir(""),
    "another document": "<html><body/></html>",
    "not UTF-8": b"<net>\xff\xfe</net>",
    "a layer without an id": ir('<layer type="Const"/>'),
    "a layer without a type": ir('<layer id="0"/>'),
    "an edge to nowhere": ir(LAYER.format(0, "Const", CONST), edge(0, 7)),
    "an edge without an end": ir(LAYER.format(0, "Const", CONST), '<edge from-layer="0"/>'),
    "a circle": ir(LAYER.format(0, "Const", CONST) + LAYER.format(1, "Convert", ""), edge(0, 1) + edge(1, 1)),
    "a circle of two": ir(LAYER.format(1, "Convert", "") + LAYER.format(2, "Convert", ""), edge(1, 2) + edge(2, 1)),
    "5,000 conversions": ir(
        LAYER.format(0, "Const", CONST) + CONVERTS, "".join(edge(n, n + 1) for n in range(0, 4999))
    ),
    "weights beyond the end": ir(LAYER.format(0, "Const", CONST.replace('"0"', '"8"'))),
    "weights of 2^60 bytes": ir(LAYER.format(0, "Const", CONST.replace('"16"', f'"{1 << 60}"'))),
    "weights below zero": ir(LAYER.format(0, "Const", CONST.replace('"0"', '"-8"'))),
    "weights at a text": ir(LAYER.format(0, "Const", CONST.replace('"0"', '"x"'))),
    "a billion laughs": f'<!DOCTYPE net [<!ENTITY l0 "ha">{LAUGHS}]><net>&l11;</net>',
}


@pytest.mark.parametrize("text", IRS.values(), ids=IRS)
def test_a_damaged_ir_is_refused(text: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "openvino_model.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "openvino_model.bin").write_bytes(bytes(16))
    with pytest.raises(ModelError) as caught:
        describe(tmp_path)
    assert "openvino_model." in str(caught.value)


def test_an_intact_ir_is_read_and_one_with_truncated_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "openvino_model.xml"
    file.write_text(ir(LAYER.format(0, "Const", CONST) + LAYER.format(1, "Result", ""), edge(0, 1)))
    (tmp_path / "openvino_model.bin").write_bytes(bytes(16))
    assert list(read_graph(file).layers) == ["0", "1"]
    (tmp_path / "openvino_model.bin").write_bytes(bytes(15))
    with pytest.raises(ModelError, match=r"openvino_model\.bin is damaged or truncated"):
        read_graph(file)


# ---------------------------------------------------------------- estimates
@pytest.mark.parametrize("damage", ["length 2^63", "length 2^40", "a list", "an entry that is null"])
def test_an_estimate_of_a_damaged_model_has_the_reason_instead_of_a_size(damage: str, folder: Path, make: Any) -> None:
    from hforch.config.compose import job_from_overrides
    from hforch.models.estimate import Needs, estimate

    (folder / "model.safetensors").write_bytes(SAFETENSORS[damage])
    job = job_from_overrides(["model=local", f"model.path={folder}"])
    found = estimate(job, Needs("torch"), 10, 1)
    assert found.weights_mb is None
    assert found.why and "damaged" in found.why


def test_an_estimate_does_not_trust_the_lengths_in_a_gguf_file(tmp_path: Path) -> None:
    from hforch.config.compose import job_from_overrides
    from hforch.models.estimate import Needs, estimate

    (tmp_path / "model.gguf").write_bytes(GGUF["an array of -1 texts"])
    job = job_from_overrides(["model=gguf", f"model.path={tmp_path / 'model.gguf'}"])
    found = estimate(job, Needs("torch"), 10, 1)
    assert found.why and "damaged or truncated" in found.why
