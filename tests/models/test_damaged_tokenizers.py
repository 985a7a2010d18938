"""Damaged tokenizer files: errors name the file, and a panic in the Rust library is handled like any other error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_ggufs

from hforch.errors import ModelError, PromptError
from hforch.generation.file_tokenizer import FileTokenizer
from hforch.models.tokenizers import check_ids, loading_tokenizer, open_tokenizer, tokenizing


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    from hforch.models.gguf_tokenizer import build

    found: dict[str, Any] = json.loads(build(tiny_ggufs.fields()).backend_tokenizer.to_str())
    return found


def changed(whole: dict[str, Any], **model: Any) -> str:
    return json.dumps(whole | {"model": whole["model"] | model})


PANIC = {"continuing_subword_prefix": "xxxxxxxxxx"}
TEXTS = ["", "null", "[]", "{}", '{"version": "1.0"}', "[" * 100_000, '{"model": {"type": "BPE"}}', "\x00"]
MODELS: list[dict[str, Any]] = [
    PANIC,
    {"vocab": {"a": -1}},
    {"vocab": {"a": 1 << 40}},
    {"merges": [["a"]]},
    {"type": 5},
]


@pytest.mark.parametrize("text", [*TEXTS, *MODELS], ids=lambda text: str(text)[:30])
def test_a_damaged_tokenizer_file_is_refused(text: Any, whole: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(text if isinstance(text, str) else changed(whole, **text))
    with pytest.raises(ModelError) as caught:
        open_tokenizer(file)
    assert f"{file} is damaged" in str(caught.value)
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        FileTokenizer(tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"), loading_tokenizer(tmp_path):
        raise AttributeError("'NoneType' object has no attribute 'get'")


@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_damaged_file_next_to_tokenizer_json_is_refused(name: str, whole: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    FileTokenizer(tmp_path)
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        FileTokenizer(tmp_path)


@pytest.mark.parametrize("value", [5, [], {}, {"content": 5}, True])
def test_an_invalid_special_token_is_ignored(value: Any, whole: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": value, "eos_token": "<|eos|>"}))
    found = FileTokenizer(tmp_path)
    assert (found.id_of("bos_token"), found.id_of("eos_token")) == (None, 2)
    assert found.encode("a")


def test_only_errors_of_a_tokenizer_become_prompt_errors() -> None:
    class PanicException(BaseException):
        pass

    for error in (OverflowError("out of range"), PanicException("index out of bounds"), RecursionError()):
        with pytest.raises(PromptError, match=type(error).__name__), tokenizing():
            raise error
    with pytest.raises(ModelError, match="ours"), tokenizing():
        raise ModelError("ours")
    with pytest.raises(KeyboardInterrupt), tokenizing():
        raise KeyboardInterrupt


def test_tokens_without_embeddings_are_refused() -> None:
    check_ids([0, 6], 7)
    check_ids([], 7)
    check_ids([1 << 40], None)
    with pytest.raises(PromptError, match="and the weights do not match"):
        check_ids([0, 7], 7)


def test_a_regular_expression_with_endless_backtracking_fails_the_text(whole: dict[str, Any], tmp_path: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole | {"pre_tokenizer": split}))
    found = FileTokenizer(tmp_path)
    assert found.encode("a short text")
    with pytest.raises(PromptError, match="the model's tokenizer fails on this text"):
        found.encode("a" * 100 + "b")
