from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hforch.errors import ModelError
from hforch.models import cache, fetch
from hforch.models.gguf_process import _tokenizer
from hforch.models.gguf_tokenizer import CUTTINGS, ROUND_TRIP, build, check_round_trips
from hforch.models.likelihood import MARGIN, Likelihood

Write = Callable[..., Path]


@pytest.mark.parametrize("pre", sorted(CUTTINGS))
def test_every_known_pre_tokenizer_restores_texts(pre: str, gguf_fields: Any) -> None:
    tokenizer = build(gguf_fields(pre))
    check_round_trips(tokenizer)
    ids = tokenizer("2024 <|eos|><tool>", add_special_tokens=False)["input_ids"]
    assert ids[-2:] == [2, 3]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "2024 <tool>"


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("gpt-2", ["I", "'m", "ĠHERE", "Ġ1234", "Ċ"]),
        ("smollm", ["I", "'m", "ĠHERE", "Ġ", "1", "2", "3", "4", "Ċ"]),
        ("llama-bpe", ["I", "'m", "ĠHERE", "Ġ", "123", "4", "Ċ"]),
        ("qwen2", ["I", "'m", "ĠHERE", "Ġ", "1", "2", "3", "4", "Ċ"]),
    ],
)
def test_text_is_split_by_the_pre_tokenizer_of_the_file(pre: str, pieces: list[str], gguf_fields: Any) -> None:
    cutter = build(gguf_fields(pre)).backend_tokenizer.pre_tokenizer
    assert [piece for piece, _ in cutter.pre_tokenize_str("I'm HERE 1234\n")] == pieces


def test_bos_and_eos_are_added_if_the_file_requests_it(gguf_fields: Any) -> None:
    assert build(gguf_fields())("a")["input_ids"][0] != 1
    tokenizer = build(gguf_fields(add_bos_token=True, add_eos_token=True))
    ids = tokenizer("a")["input_ids"]
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer("a", add_special_tokens=False)["input_ids"] == ids[1:-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, r"SentencePiece.*model=local"),
        ({"model": "rwkv"}, r"a rwkv tokenizer.*model=local"),
        ({"pre": "deepseek-coder"}, r"uses the pre-tokenizer 'deepseek-coder'.*model=local"),
        ({"pre": "default"}, "does not name its pre-tokenizer"),
        ({"merges": ["no such"]}, "is inconsistent"),
        ({"tokens": ["a", "a"]}, "2 tokens, of which 1 are distinct"),
    ],
)
def test_unknown_tokenizers_are_refused(changes: dict[str, Any], message: str, gguf_fields: Any) -> None:
    with pytest.raises(ModelError, match=message):
        build(gguf_fields(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        *({"tokens": value} for value in (5, None, [1, 2], [["a"]], "text")),
        *({"merges": value} for value in (5, None, [1, 2], ["nothing"])),
        *({"token_type": value} for value in (5, None)),
        *({"bos_token_id": value} for value in ("x", [], float("inf"))),
        {"model": ["gpt2"]},
        {"pre": ["smollm"]},
    ],
    ids=str,
)
def test_tokenizer_metadata_of_the_wrong_type_is_refused(changes: dict[str, Any], gguf_fields: Any) -> None:
    with pytest.raises(ModelError):
        _tokenizer(Path("model.gguf"), gguf_fields(**changes))


def test_a_special_token_with_a_negative_id_is_ignored(gguf_fields: Any) -> None:
    assert build(gguf_fields(bos_token_id=-3)).bos_token is None


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2"])
def test_a_file_is_converted_once_with_its_tokenizer_and_ids(
    pre: str, write_gguf: Write, make: Any, listener: Any
) -> None:
    from transformers import AutoTokenizer

    path = write_gguf("tiny", pre, add_bos_token=True)
    first, second = fetch(make.gguf(path), listener), fetch(make.gguf(path), listener)
    assert first.convert_s is not None
    assert second.convert_s is None
    assert (second.path, second.fingerprint) == (first.path, first.fingerprint)
    assert first.source["quantization"] == "F32"
    config = json.loads((first.path / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 0)
    assert not [key for key in config if "name_or_path" in key]
    tokenizer = AutoTokenizer.from_pretrained(first.path)
    assert tokenizer(ROUND_TRIP[0])["input_ids"][0] == 1
    check_round_trips(tokenizer)
    found = first.source["likelihood"]
    assert found["plain"] > found["shuffled"] + 3


def shuffled_rows(name: str, array: Any) -> Any:
    return np.random.default_rng(0).permutation(array)


def test_a_model_that_generates_nonsense_is_refused_with_its_likelihoods(
    write_gguf: Write, make: Any, listener: Any
) -> None:
    path = write_gguf("nonsense", change=shuffled_rows)
    with pytest.raises(
        ModelError, match=rf"makes no sense.*-\d+\.\d\d vs. -\d+\.\d\d nats per token.*at least {MARGIN}"
    ):
        fetch(make.gguf(path), listener)
    assert cache.entries() == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Likelihood(-3.0, -8.3, -10.8, -2.8, -2.2), None),
        (Likelihood(-10.9, -10.9, -10.8, -10.9, -10.9), "tokens shuffled: -10.90 vs. -10.90"),
        (Likelihood(-18.3, -25.7, -10.8, -18.0, -18.0), "than random tokens: -18.30 vs. -10.80"),
        (Likelihood(-3.8, -8.4, -10.8, -3.3, -4.4), "less likely with more context: -4.40 vs. -3.30"),
        (Likelihood(-0.1, -8.4, -6.0, -0.3, -4.4), None),
        (Likelihood(float("nan"), -8.4, -6.0, -0.3, -4.4), "tokens shuffled: nan"),
    ],
)
def test_the_likelihood_check_detects_the_measured_damages(found: Likelihood, problem: str | None) -> None:
    said = found.problem()
    assert (problem in said) if problem and said else said is problem


def test_a_file_that_lacks_tensors_is_refused(write_gguf: Write, make: Any, listener: Any, tmp_path: Path) -> None:
    path = write_gguf("whole")
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(path.read_bytes().replace(b"blk.1.ffn_down", b"blk.1.ffn_odd_"))
    with pytest.raises(ModelError, match="lacks 1 of the model's tensors"):
        fetch(make.gguf(renamed), listener)


def test_a_sentencepiece_file_is_refused(write_gguf: Write, make: Any, listener: Any) -> None:
    with pytest.raises(ModelError, match="SentencePiece"):
        fetch(make.gguf(write_gguf("spm", model="llama")), listener)


def test_an_architecture_that_transformers_does_not_support_is_refused(
    write_gguf: Write, make: Any, listener: Any
) -> None:
    with pytest.raises(ModelError, match=r"'rwkv9'.*cannot read from GGUF.*model=hub"):
        fetch(make.gguf(write_gguf("odd", architecture="rwkv9")), listener)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused(kept: float, write_gguf: Write, tmp_path: Path, make: Any, listener: Any) -> None:
    whole = write_gguf("whole").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ModelError, match="damaged or truncated"):
        fetch(make.gguf(tmp_path / "cut.gguf"), listener)


def test_other_files_and_folders_are_refused_before_conversion(tmp_path: Path, make: Any, listener: Any) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(ModelError, match="not a GGUF file: it starts with 'no m'"):
        fetch(make.gguf(tmp_path / "text.gguf"), listener)
    with pytest.raises(ModelError, match="file not found"):
        fetch(make.gguf(tmp_path / "nothing.gguf"), listener)
    with pytest.raises(ModelError, match=r"is a directory.*model=local"):
        fetch(make.gguf(tmp_path), listener)


@pytest.mark.own_process
def test_the_error_of_a_killed_converter_names_its_log(
    write_gguf: Write, make: Any, listener: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if any('gguf_process' in argument for argument in sys.orig_argv):\n"
        "    print('last words', flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = write_gguf("killed")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(ModelError, match=r"was killed.*\.log") as caught:
            fetch(make.gguf(path), listener)
    assert "last log lines: last words." in str(caught.value)
    assert Path(str(caught.value).split(" is in ")[1].rstrip(".")).read_text() == "last words\n"
    assert fetch(make.gguf(path), listener).convert_s


@pytest.mark.slow
def test_the_default_model_is_fetched_once_and_generates_sense(default_model: Any, listener: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fetch(default_model, listener)
    found = fetch(default_model, listener)
    assert (found.download_s, found.convert_s) == (None, None)
    assert found.source["weights"] == "dequantized Q4_1"
    tokenizer = AutoTokenizer.from_pretrained(found.path)
    check_round_trips(tokenizer)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert (
        tokenizer("Hello world 12")["input_ids"] == tokenizer("Hello world 12", add_special_tokens=False)["input_ids"]
    )
    model = AutoModelForCausalLM.from_pretrained(found.path)
    config = model.generation_config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 2)
    ids = tokenizer("The capital of France is", return_tensors="pt")
    answer = tokenizer.decode(model.generate(**ids, max_new_tokens=5, do_sample=False)[0])
    assert answer.startswith("The capital of France is Paris")
