"""Tokenizers give the same token ids on every backend: those of the model's own tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

from hforch.config.compose import job_from_overrides
from hforch.errors import ModelError
from hforch.models.transformers_tokenizer import PROBES, load_tokenizer, refuse_other_ids
from hforch.records.record_files import read_samples
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

pytestmark = pytest.mark.model
TEXTS = ("a quick fox", "  two  spaces", "Hi </s>there 12 brown", "the brain, dont 😀 中文")
KINDS = {
    "sentencepiece, legacy": lambda: (tiny_models.sentencepiece_tokenizer(True), {"legacy": True}),
    "sentencepiece": lambda: (tiny_models.sentencepiece_tokenizer(False), {"legacy": False}),
    "byte-level, in a class for sentencepiece": lambda: (
        tiny_models.byte_level_tokenizer(("<s>", "</s>"), adds_bos=True)._tokenizer,
        {},
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer, config = KINDS[request.param]()
    directory = tmp_path_factory.mktemp("tokenizer") / "model"
    return tiny_models.save_with_tokenizer(directory, tokenizer, tokenizer_class="LlamaTokenizer", **config)


def own(folder: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_backends_send_the_token_ids_of_tokenizer_json(backend: str, folder: Path, tmp_path: Path) -> None:
    words = (f"inputs.items={json.dumps(TEXTS, ensure_ascii=False)}", "prompt=raw", "generation.max_new_tokens=12")
    job = job_from_overrides(["model=local", f"model.path={folder}", f"backend={backend}", *words, *EXACT])
    run(job, tmp_path, JobContext(), NullWatcher())
    samples = list(read_samples(tmp_path))
    assert [one["error"] for one in samples] == [None] * len(TEXTS)
    assert [one["prompt_ids"] for one in samples] == [own(folder).encode(text).ids for text in TEXTS]
    texts = [own(folder).decode(one["output_ids"]).strip() for one in samples]
    assert [one["text"].strip() for one in samples] == texts


def test_a_tokenizer_that_was_saved_and_loaded_again_gives_the_same_ids(folder: Path, tmp_path: Path) -> None:
    loaded = load_tokenizer(folder, False)
    loaded.tokenizer.save_pretrained(tmp_path)
    refuse_other_ids(tmp_path, load_tokenizer(tmp_path, False).probe_ids(), loaded.probe_ids())
    for text in (*PROBES, *TEXTS):
        assert loaded.tokenizer(text).input_ids == own(folder).encode(text).ids


def test_other_ids_than_the_checkpoints_are_refused_with_both(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has the token ids \[1, 2, 9\] instead of \[1, 2, 3\]"):
        refuse_other_ids(tmp_path, [[7], [1, 2, 9]], [[7], [1, 2, 3]])


def test_a_sentencepiece_model_without_sentencepiece_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hforch.models.transformers_tokenizer.find_spec", lambda name: None)
    tiny_models.save_llama(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(b"x")
    with pytest.raises(ModelError, match="pip install sentencepiece"):
        load_tokenizer(tmp_path, False)


def test_a_placeholder_vocabulary_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tiny_models.save_llama(tmp_path)
    small = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "a": 2}, unk_token="<s>"))
    PreTrainedTokenizerFast(tokenizer_object=small, bos_token="<s>", eos_token="</s>").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has 3 tokens, but the model has 391"):
        load_tokenizer(tmp_path, False)
