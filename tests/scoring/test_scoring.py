"""Scoring as part of a run: values compared with closed forms, and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

from hforch.backends.base import load
from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError
from hforch.generation.completion import Vocabulary
from hforch.generation.logit_reader import is_recurrent
from hforch.records.record_files import read_record, read_samples
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher
from hforch.scoring.distributions import read_stored
from hforch.scoring.perplexity import _bytes_of_first, whole_characters, windows
from hforch.scoring.scorer import against_baseline
from hforch.scoring.token_reading import ScoringError
from hforch.utils.progress import Advance, Silent

pytestmark = pytest.mark.model

ASKED = ("inputs=numbers_in_french", "generation.max_new_tokens=24", "generation.ignore_eos=true", "runtime.warmup=0")


def do(
    directory: Path, *overrides: str, baseline: Path | None = None, code: int = 0, resume: bool = False
) -> dict[str, Any]:
    """Run one job in this process, and return its record."""
    job = job_from_overrides([*ASKED, *overrides, "runtime.isolation=inline"])
    assert run(job, directory, JobContext(overrides, baseline=baseline, resume=resume), NullWatcher()) == code
    return read_record(directory)


def local(folder: Path, backend: str = "pytorch") -> tuple[str, ...]:
    return "model=local", f"model.path={folder}", f"backend={backend}", *EXACT


def scores(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "scores.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------- against a baseline
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_against_itself_has_zero_divergence(backend: str, tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2, backend), "scoring=baseline", "scoring.chunk=5", "scoring.batch_size=3")
    base = do(tmp_path / "base", *words, baseline=tmp_path / "base")
    again = do(tmp_path / "again", *words, baseline=tmp_path / "base")
    for found in (base, again):
        metrics = found["scores"]["metrics"]
        assert (metrics["kl_mean"], metrics["kl_p99"], metrics["kl_max"]) == (0.0, 0.0, 0.0)
        assert (metrics["top1_agreement"], metrics["flips_early"]) == (1.0, 0.0)
        assert "absent" not in found["scores"]["against_baseline"]
    told = again["scores"]["against_baseline"]
    assert told == {"texts": 4, "positions": 96, "baseline": "../base", "of": told["of"], "contradicted": 0}
    assert all(one["flips"] == [] and one["kl_max"] == 0.0 for one in scores(tmp_path / "again"))
    library = base["scores"]["read_by"].partition(",")[0]
    assert library == {"pytorch": "transformers"}.get(backend, again["scores"]["read_by"].partition(",")[0])


class Counting(NullWatcher):
    """Stores the total and the reported units of each scoring stage."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int | None, list[int]]] = {}

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        units: list[int] = []
        if name == "score":
            self.seen[detail] = total, units
        yield units.append


def test_progress_counts_the_scored_answers_and_windows(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "scoring=both", "scoring.batch_size=3", "runtime.isolation=inline")
    (tmp_path / "text.txt").write_text("one two three four five six seven eight nine ten\n" * 10)
    short = (f"scoring.text.path={tmp_path / 'text.txt'}", "scoring.text.window=64")
    job = job_from_overrides([*ASKED, *words, *short])
    for name in ("base", "job"):
        watcher = Counting()
        assert run(job, tmp_path / name, JobContext(words, baseline=tmp_path / "base"), watcher) == 0
        (answers, (total, units)), (text, (windows_in_all, done)) = watcher.seen.items()
        assert (answers, total, units) == ("4 answers of the baseline", 4, [3, 1])
        assert text == f"{windows_in_all} windows of a text" and sum(done) == windows_in_all and len(done) > 2


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_exact_backends_agree(backend: str, tiny_gpt2: Path, tmp_path: Path) -> None:
    do(tmp_path / "torch", *local(tiny_gpt2), "scoring=baseline", baseline=tmp_path / "torch")
    other = do(tmp_path / "other", *local(tiny_gpt2, backend), "scoring=baseline", baseline=tmp_path / "torch")
    assert other["scores"]["metrics"]["kl_max"] < 1e-4
    assert other["scores"]["metrics"]["top1_agreement"] == 1.0


def test_a_constant_added_to_one_logit_gives_the_analytic_divergence(tmp_path: Path) -> None:
    token, added = 120, 3.5
    one, other = (
        tiny_models.save_gptj(tmp_path / name, more, token) for name, more in (("one", 0.0), ("other", added))
    )
    size = tiny_models.byte_level_tokenizer().vocab_size
    words = ("scoring=baseline", f"scoring.baseline.top_k={size}")
    do(tmp_path / "base", *local(one), *words, baseline=tmp_path / "base")
    record = do(tmp_path / "job", *local(other), *words, baseline=tmp_path / "base")
    kept = read_stored(tmp_path / "base")
    assert kept.ids.shape == (96, size)
    p = numpy.exp(kept.log_probabilities[kept.ids == token].astype(float))
    analytic = numpy.log(1 + p * (math.exp(added) - 1)) - p * added
    assert analytic.max() > 0.001
    assert record["scores"]["metrics"]["kl_mean"] == pytest.approx(analytic.mean(), rel=1e-3)
    assert record["scores"]["metrics"]["kl_max"] == pytest.approx(analytic.max(), rel=1e-3)
    for at, sample in enumerate(scores(tmp_path / "job")):
        assert sample["kl_mean"] == pytest.approx(analytic[24 * at : 24 * at + 24].mean(), rel=1e-2, abs=1e-6)


def test_fewer_bins_give_a_lower_bound_that_grows_with_them(tmp_path: Path) -> None:
    one = tiny_models.save_gptj(tmp_path / "one")
    other = tiny_models.save_gptj(tmp_path / "other", 6.0, 120)
    found = []
    for k in (1, 8, 64, 400):
        words = ("scoring=baseline", f"scoring.baseline.top_k={min(k, tiny_models.byte_level_tokenizer().vocab_size)}")
        do(tmp_path / f"base{k}", *local(one), *words, baseline=tmp_path / f"base{k}")
        record = do(tmp_path / f"job{k}", *local(other), *words, baseline=tmp_path / f"base{k}")
        found.append(record["scores"]["metrics"]["kl_mean"])
    assert found == sorted(found)
    assert 0 < found[0] < found[-1]


def test_stored_positions_have_the_largest_divergence(tmp_path: Path) -> None:
    one, other = tiny_models.save_gptj(tmp_path / "one"), tiny_models.save_gptj(tmp_path / "other", 9.0, 120)
    do(tmp_path / "base", *local(one), "scoring=baseline", baseline=tmp_path / "base")
    record = do(tmp_path / "job", *local(other), "scoring=baseline", baseline=tmp_path / "base")
    answers = {sample["input_id"]: sample for sample in read_samples(tmp_path / "base")}
    flipped = total = 0
    for sample in scores(tmp_path / "job"):
        worst = sample["worst"]
        assert [len(one["baseline"]) for one in worst] == [len(one["job"]) for one in worst] == [5, 5, 5]
        assert [one["kl"] for one in worst] == sorted((one["kl"] for one in worst), reverse=True)
        assert worst[0]["kl"] == sample["kl_max"]
        for place in worst:
            assert place["read"]["id"] == answers[sample["input_id"]]["output_ids"][place["position"]]
            assert place["baseline"][0]["id"] == place["read"]["id"]  # decoding was greedy
            assert place["before"] in answers[sample["input_id"]]["text"]
            for tokens in (place["baseline"], place["job"]):
                known = [each["log_probability"] for each in tokens]
                assert known == sorted(known, reverse=True) and all(each["text"] for each in tokens)
        flipped, total = flipped + len(sample["flips"]), total + sample["positions"]
    metrics = record["scores"]["metrics"]
    assert metrics["top1_agreement"] == pytest.approx(1 - flipped / total, abs=1e-7)
    assert flipped and metrics["top1_agreement_se"] is not None and metrics["kl_mean_se"] > 0
    early = [any(at < 16 for at in sample["flips"]) for sample in scores(tmp_path / "job")]
    assert metrics["flips_early"] == sum(early) / len(early)


def test_with_a_different_tokenizer_divergence_is_absent_with_the_reason(tiny_gpt2: Path, tmp_path: Path) -> None:
    other = tiny_models.save_gpt2(tmp_path / "other", chat_template="{{ messages }}")
    do(tmp_path / "base", *local(tiny_gpt2), "scoring=both", "scoring.text.window=64", baseline=tmp_path / "base")
    words = (*local(other), "scoring=both", "scoring.text.window=64")
    record = do(tmp_path / "job", *words, baseline=tmp_path / "base")
    absent = record["scores"]["against_baseline"]["absent"]
    assert set(absent.values()) == {"the baseline has a different tokenizer"}
    assert "absent" not in record["scores"]["on_text"]
    assert set(absent) == {"kl_mean", "kl_p99", "kl_max", "top1_agreement", "flips_early"}
    assert "kl_mean" not in record["scores"]["metrics"]
    assert record["scores"]["metrics"]["bits_per_byte"] > 0


# ---------------------------------------------------------------- on a text
def text_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "text.txt"
    path.write_text(text)
    return f"scoring.text.path={path}"


SHORT = "The number three in French is trois. What is the number 2 in french? " * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_perplexity_of_a_short_text_matches_a_single_forward_pass(
    backend: str, tiny_gpt2: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(tiny_gpt2)(SHORT, return_tensors="pt").input_ids
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(tiny_gpt2, dtype=torch.float32)
        expected = float(model(ids, labels=ids).loss)
    words = (*local(tiny_gpt2, backend), "scoring=text", text_file(tmp_path, SHORT))
    metrics = do(tmp_path / "one", *words, "scoring.text.window=128", "scoring.chunk=7")["scores"]["metrics"]
    assert math.log(metrics["ppl"]) == pytest.approx(expected, rel=1e-5)
    assert metrics["ppl_se"] is None  # one window has no spread
    size = len(SHORT.encode()) - len(tiny_models.byte_level_tokenizer().decode(ids[0, :1]))
    nats = expected * (ids.shape[1] - 1)
    assert metrics["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_first_tokens_of_a_longer_text_are_scored(backend: str, tiny_gpt2: Path, tmp_path: Path) -> None:
    encoded = tiny_models.byte_level_tokenizer()(SHORT).input_ids
    start = tiny_models.byte_level_tokenizer().decode(encoded[:20])
    assert SHORT.startswith(start) and len(encoded) > 20
    words = (*local(tiny_gpt2, backend), "scoring=text")
    found = {}
    for name, text, most in (("cut", SHORT, 20), ("short", start, 100)):
        (folder := tmp_path / name).mkdir()
        found[name] = do(folder / "job", *words, text_file(folder, text), f"scoring.text.max_tokens={most}")["scores"]
    assert found["cut"]["metrics"] == found["short"]["metrics"]
    assert found["cut"]["on_text"].pop("of_tokens") == len(encoded) - 1
    assert "of_tokens" not in found["short"]["on_text"]
    for one in found.values():
        del one["on_text"]["path"]
    assert found["cut"]["on_text"] == found["short"]["on_text"] and found["cut"]["on_text"]["tokens"] == 19


@pytest.mark.parametrize(("most", "kept"), [(2, 2), (3, 2), (4, 2), (5, 5), (6, 6), (9, 6)])
def test_a_text_is_truncated_between_characters(most: int, kept: int) -> None:
    pieces = [b"a", b"b", b"\xe2", b"\x82", b"\xac", b"c"]  # 'ab€c'

    def decode(ids: list[int]) -> str:
        return b"".join(pieces[one] for one in ids).decode(errors="replace")

    assert whole_characters(range(6), most, decode) == list(range(kept))


def added(before: list[str], after: list[str]) -> Any:
    """Return a tokenizer that adds these special tokens to a text."""
    from tokenizers import processors

    special = ("<g>", "<s>", "</s>")
    tokenizer = tiny_models.byte_level_tokenizer(special)
    ids = [(name, tokenizer.convert_tokens_to_ids(name)) for name in special]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join([*before, "$A", *after]), special_tokens=ids
    )
    return tokenizer


@pytest.mark.parametrize(
    ("backend", "before", "after"),
    [
        *(("pytorch", *added) for added in ((["<s>"], []), ([], ["</s>"]), ([], []))),
        *((backend, ["<g>", "<s>"], ["</s>"]) for backend in BACKENDS),
    ],
    ids=str,
)
def test_added_special_tokens_are_context_and_recorded(
    backend: str, before: list[str], after: list[str], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = added(before, after)
    folder = tiny_models.save_llama(tmp_path / "model", tokenizer=tokenizer)
    words = (*local(folder, backend), "scoring=text", text_file(tmp_path, SHORT))
    record = do(tmp_path / "job", *words, "scoring.text.window=128", "scoring.chunk=7")
    about, metrics = record["scores"]["on_text"], record["scores"]["metrics"]
    text = tokenizer(SHORT, add_special_tokens=False).input_ids
    context = tokenizer.convert_tokens_to_ids(before) or text[:1]
    scored = text if before else text[1:]
    assert (about["added_before"], about["added_after"], about["tokens"]) == (before, after, len(scored))
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([[*context, *scored]]))
    at = torch.log_softmax(logits.logits[0, len(context) - 1 : -1], dim=-1)
    nats = -at[range(len(scored)), scored].sum().item()
    assert math.log(metrics["ppl"]) == pytest.approx(nats / len(scored), rel=1e-5)
    size = len(SHORT.encode()) - (0 if before else len(tokenizer.decode(text[:1])))
    assert about["bytes"] == size
    assert metrics["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_windows_score_each_token_once_with_its_context(tiny_gpt2: Path, tmp_path: Path) -> None:
    found = list(windows(range(100), 30, 12))
    assert [token for one in found for token in one.ids] == list(range(1, 100))
    assert all(len(one.prompt) + len(one.ids) <= 30 for one in found)
    assert all(one.prompt[-1] + 1 == one.ids[0] for one in found)
    assert [one.ids for one in windows(range(30), 30, 12)] == [range(1, 30)]
    assert [(one.prompt, one.ids) for one in windows(range(40), 30, 12, 3)] == [
        (range(3), range(3, 30)),
        (range(12, 30), range(30, 40)),
    ]
    with pytest.raises(ScoringError, match="adds 3 tokens, which leaves none in a window of 3"):
        next(windows(range(40), 3, 1, 3))
    words = (*local(tiny_gpt2), "scoring=text", text_file(tmp_path, SHORT * 4))
    record = do(tmp_path / "one", *words, "scoring.text.window=64", "scoring.text.stride=16")
    about, metrics = record["scores"]["on_text"], record["scores"]["metrics"]
    assert sum(tokens for tokens, _ in about["windows"]) == about["tokens"]
    mean = sum(nats for _, nats in about["windows"]) / about["tokens"]
    assert metrics["ppl"] == pytest.approx(math.exp(mean), rel=1e-6)
    assert 0 < metrics["ppl_se"] < metrics["ppl"]


def test_the_shipped_text_is_read_in_windows_that_fit_the_model(tiny_gpt2: Path, tmp_path: Path) -> None:
    record = do(tmp_path, *local(tiny_gpt2), "scoring=text")
    about = record["scores"]["on_text"]
    assert about["path"] is None and about["window"] == 128 and about["tokens"] > 2000
    assert record["metrics"]["tokens_per_s"] > 0 and "against_baseline" not in record["scores"]


# ---------------------------------------------------------------- what cannot be scored
def test_a_missing_or_failed_baseline_does_not_affect_answers(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "scoring=baseline")
    record = do(tmp_path / "job", *words, baseline=tmp_path / "nowhere", code=1)
    assert record["status"] == "failed" and record["totals"]["samples"] == 4 and record["totals"]["failed"] == 0
    assert record["metrics"]["tokens_per_s"] > 0
    assert record["scores"]["metrics"] == {} and not record["scores"]["whole"]
    assert "the job was not run" in record["scores"]["against_baseline"]["absent"]["kl_mean"]
    assert record["error"]["message"].endswith("nowhere has no distributions to compare with: the job was not run")
    assert len(list(read_samples(tmp_path / "job"))) == 4
    failing = tmp_path / "failing"
    do(failing, "backend=fake", "backend.failures=[{match: number, error: out of ink, after: 0}]", code=1)
    record = do(tmp_path / "other", *words, baseline=failing, code=1)
    assert "has no distributions to compare with: " in record["error"]["message"]
    assert "4 of 4 samples failed" in record["error"]["message"] and record["totals"]["samples"] == 4


def test_new_answers_of_a_baseline_are_not_scored_with_old_distributions(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "scoring=baseline")
    do(tmp_path / "base", *words, baseline=tmp_path / "base")
    samples = (tmp_path / "base" / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "base" / "samples.jsonl").write_text("".join(samples[:-1]))
    record = do(tmp_path / "job", *words, baseline=tmp_path / "base", code=1)
    assert "do not match its answers" in record["error"]["message"]


def test_scores_are_computed_again_if_the_baseline_has_new_answers(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "scoring=baseline")
    do(tmp_path / "base", *words, baseline=tmp_path / "base")
    first = do(tmp_path / "job", *words, baseline=tmp_path / "base")["scores"]["against_baseline"]
    samples = (tmp_path / "base" / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "base" / "samples.jsonl").write_text("".join(samples[:-1]))
    do(tmp_path / "base", *words, baseline=tmp_path / "base", resume=True)
    same = do(tmp_path / "job", *words, baseline=tmp_path / "base", resume=True)["scores"]["against_baseline"]
    assert same == first  # the new answers are the same
    (tmp_path / "other").mkdir()
    do(tmp_path / "other", *words, "generation.max_new_tokens=8", baseline=tmp_path / "other")
    now = do(tmp_path / "job", *words, baseline=tmp_path / "other", resume=True)["scores"]["against_baseline"]
    assert (now["positions"], now["baseline"]) == (32, "../other") and now["of"] != first["of"]


def test_a_failed_part_of_scoring_does_not_affect_the_other(tiny_gpt2: Path, tmp_path: Path) -> None:
    record = do(tmp_path / "job", *local(tiny_gpt2), "scoring=both", baseline=tmp_path / "nowhere", code=1)
    assert record["scores"]["metrics"]["ppl"] > 1 and record["status"] == "failed"
    assert "absent" not in record["scores"]["on_text"]
    assert "the job was not run" in record["scores"]["against_baseline"]["absent"]["kl_mean"]
    again = do(tmp_path / "job", *local(tiny_gpt2), "scoring=both", baseline=tmp_path / "nowhere", code=1, resume=True)
    assert again["status"] == "failed" and again["memory"] == record["memory"]  # the other part is still missing


def test_nan_logits_are_an_error_and_give_no_metrics(tmp_path: Path) -> None:
    damaged = tiny_models.save_damaged(tmp_path / "model", ",")  # no prompt has a comma
    record = do(tmp_path / "job", *local(damaged), "scoring=text", "scoring.text.window=64", code=1)
    assert "NaN or infinite logits" in record["error"]["message"]
    assert record["scores"]["metrics"] == {} and "NaN" in record["scores"]["on_text"]["absent"]["ppl"]
    assert len(list(read_samples(tmp_path / "job"))) == 4


def test_perplexity_is_absent_if_the_text_is_too_unlikely(tmp_path: Path) -> None:
    sure = tiny_models.save_gptj(tmp_path / "model", 5000.0, 120)
    record = do(tmp_path / "job", *local(sure), "scoring=text", "scoring.text.window=64")
    assert "perplexity overflows" in record["scores"]["on_text"]["absent"]["ppl"] and record["status"] == "ok"


def test_answers_longer_than_the_context_are_not_scored(tiny_gpt2: Path, tmp_path: Path) -> None:
    do(tmp_path / "base", *local(tiny_gpt2), "scoring=baseline", baseline=tmp_path / "base")
    job = job_from_overrides([*ASKED, *local(tiny_gpt2), "scoring=baseline"])
    loaded = load(job, Silent())
    assert loaded.logit_reader is not None
    kept = read_stored(tmp_path / "base").about
    asked = (
        job,
        tmp_path,
        tmp_path / "base",
        loaded.logit_reader(),
        kept["tokenizer"],
        loaded.engine.vocabulary().decode,
    )
    found = against_baseline(*asked, 20)
    assert found.metrics == {} and "the context of this model is 20" in (found.part.absent or {})["kl_mean"]
    assert against_baseline(*asked, 128).metrics["kl_max"] == 0.0


@pytest.mark.parametrize(
    ("pieces", "size"),
    [(["The", " rest"], 3), (["\u00e9t", "e"], 3), (["\ufffd", "\u20ac", "x"], 1), (["<s>", "x"], 0)],
)
def test_bytes_of_a_first_token_within_a_character_are_counted_in_part(pieces: list[str], size: int) -> None:
    """A decoder returns U+FFFD for a part of a character, and the character once it is complete."""

    def decode(ids: Sequence[int]) -> str:
        text = "".join(pieces[one] for one in ids)
        return text.replace("\ufffd\u20ac", "\u20ac")

    special = {0: "<s>"} if pieces[0] == "<s>" else {}
    assert _bytes_of_first([*range(len(pieces))], Vocabulary(decode, special, [])) == size


@pytest.mark.parametrize(
    ("about", "is_one"),
    [
        ({"layer_types": ["full_attention", "sliding_attention"]}, False),
        ({"layer_types": ["linear_attention", "full_attention"]}, True),
        ({"layer_types": ["conv", "full_attention"]}, True),
        ({}, False),
    ],
)
def test_models_with_a_recurrent_state_are_read_token_by_token(about: dict[str, Any], is_one: bool) -> None:
    assert is_recurrent(SimpleNamespace(config=SimpleNamespace(**about))) is is_one
    assert is_recurrent(SimpleNamespace(config=SimpleNamespace(**about), _is_stateful=True))


def test_a_job_that_only_lacks_scores_is_scored_without_new_answers(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "scoring=baseline")
    do(tmp_path / "job", *words, baseline=tmp_path / "base", code=1)
    before = (tmp_path / "job" / "samples.jsonl").read_bytes()
    speed = read_record(tmp_path / "job")["metrics"]
    do(tmp_path / "base", *words, baseline=tmp_path / "base")
    record = do(tmp_path / "job", *words, baseline=tmp_path / "base", resume=True)
    assert record["status"] == "ok" and record["scores"]["metrics"]["kl_max"] == 0.0
    assert (tmp_path / "job" / "samples.jsonl").read_bytes() == before
    assert record["metrics"] == speed and record["error"] is None
    (tmp_path / "base" / "distributions.bin").unlink()
    do(tmp_path / "base", *words, baseline=tmp_path / "base", resume=True)
    assert read_stored(tmp_path / "base").ids.shape == (96, 256)


@pytest.mark.parametrize(
    ("words", "path", "said"),
    [
        (("scoring=baseline", "scoring.baseline.top_k=100000"), "scoring.baseline.top_k", "must be at most 3"),
        (("scoring=text", "scoring.text.path=-one-"), "scoring.text.path", "the text has only one token"),
        (("scoring=text", "scoring.text.path=nowhere.txt"), "scoring.text.path", "cannot read nowhere.txt"),
        (("scoring=text", "scoring.text.encoding=klingon"), "scoring.text.encoding", "unknown encoding 'klingon'"),
    ],
)
def test_invalid_scoring_settings_are_found_before_generation(
    words: tuple[str, ...], path: str, said: str, tiny_gpt2: Path, tmp_path: Path
) -> None:
    if words[-1] == "scoring.text.path=-one-":
        words = (*words[:-1], text_file(tmp_path, "a"))
    if path == "scoring.text.encoding":
        words = (*words, text_file(tmp_path, SHORT))
    with pytest.raises(ConfigError) as caught:
        do(tmp_path / "job", *local(tiny_gpt2), *words, baseline=tmp_path / "job")
    (mistake,) = caught.value.mistakes
    assert mistake.path == path and said in mistake.problem
    assert not list(read_samples(tmp_path / "job")) and read_record(tmp_path / "job")["exit_code"] == 2


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b" \n", "is empty"), (b"caf\xe9", "offset 3")])
def test_an_empty_text_or_a_wrong_encoding_is_an_error(
    content: bytes, said: str, tiny_gpt2: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    words = (*local(tiny_gpt2), "scoring=text", f"scoring.text.path={tmp_path / 'text.txt'}")
    with pytest.raises(ConfigError, match=said):
        do(tmp_path / "job", *words)
    do(tmp_path / "job", *words, "scoring.text.encoding=latin-1") if said == "offset 3" else None


def test_the_fake_backend_has_no_logits(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scoring"):
        do(tmp_path, "backend=fake", "scoring=text")


# ---------------------------------------------------------------- memory
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_more_than_a_chunk_of_logits_is_held(backend: str, tiny_gpt2: Path) -> None:
    loaded = load(job_from_overrides(local(tiny_gpt2, backend)), Silent())
    assert loaded.logit_reader is not None
    largest = max(logits.shape[1] for _, logits in loaded.logit_reader().read([[1]] * 3, [list(range(2, 90))] * 3, 8))
    assert largest == 8
