"""Warm-up: its shapes, its rounds, its part of the record, and its exclusion from measurements."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models

from hforch.backends import fake
from hforch.backends.fake import FakeEngine
from hforch.config.compose import job_from_overrides
from hforch.generation.completion import Answer
from hforch.generation.engine import FixedCache, Request
from hforch.inputs import Input
from hforch.load_profiles.base import Batch
from hforch.records.record_files import known_record, read_record, read_samples
from hforch.runs import JobContext, run
from hforch.runs.model_slot import ModelSlot
from hforch.runs.runner import run_job
from hforch.runs.warmup import NO_SHAPE, Shape, _rotated, shapes, warm_up
from hforch.runs.warmup_rounds import MOST, STEPS
from hforch.runs.watcher import NullWatcher
from hforch.utils.progress import Silent

FRENCH = ("backend=fake", "inputs=numbers_in_french")
SLOW = ("backend.prefill_s=0.05", "backend.token_s=0.01")
COLD = ("backend.cold_s=0.8", "backend.cold_calls=3")  # 0.8, 0.4 and 0.2 s longer, for each batch size


def do(
    directory: Path, *overrides: str, model_slot: ModelSlot | None = None, code: int = 0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    job = job_from_overrides([*overrides, "runtime.isolation=inline"])
    assert run_job(job, directory, JobContext(overrides), NullWatcher(), model_slot) == code
    return known_record(directory), list(read_samples(directory))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests that the fake engine has received."""
    asked: list[Request] = []
    generate = FakeEngine.generate

    def noted(self: FakeEngine, completions: Any, request: Request) -> None:
        asked.append(request)
        generate(self, completions, request)

    monkeypatch.setattr(FakeEngine, "generate", noted)
    return asked


def answer(**timings: float) -> Answer:
    return Answer("a", (1,), (2,), "length", timings)


class Stub:
    """A sampler with given timings (prefill and step, in seconds); the last pair repeats."""

    def __init__(self, *overrides: str, times: Sequence[tuple[float, float]] = ((1.0, 0.1),)) -> None:
        self.job = job_from_overrides(["backend=fake", *overrides])
        engine = FakeEngine(self.job.backend)  # type: ignore[arg-type]
        self.llm = SimpleNamespace(engine=engine, generation=self.job.generation)
        self.prompt_tokens: dict[int, int] = {}
        self.asked: list[tuple[int, int]] = []
        self._times: Iterator[tuple[float, float]] = chain(times, repeat(times[-1]))

    def batch(self, *lengths: int) -> Batch:
        first = len(self.prompt_tokens)
        self.prompt_tokens |= dict(enumerate(lengths, first))
        return Batch(0, 0, [Input(first + number, "", "some words") for number in range(len(lengths))])

    def generate_short(self, items: Sequence[Any], token_limit: int) -> list[Answer]:
        self.asked.append((len(items), token_limit))
        prefill_s, step_s = next(self._times)
        return [answer(ttft_ms=1e3 * prefill_s, tpot_ms=1e3 * step_s) for _ in items]


# ---------------------------------------------------------------- measurements after warm-up
def test_slow_first_calls_are_not_measured(tmp_path: Path) -> None:
    words = (*FRENCH, *SLOW, *COLD, "runtime.batch_size=2", "generation.max_new_tokens=12")
    cold, samples = do(tmp_path / "cold", *words, "runtime.warmup=0")
    assert [one["timings"]["ttft_ms"] > 400 for one in samples] == [True] * 4
    assert "warmup" not in cold

    record, samples = do(tmp_path / "warm", *words)
    (warmed,) = record["warmup"]
    assert warmed["rounds"] >= 5  # three slow rounds, and two that agree
    assert warmed["steady"] == (warmed["deviation"] <= 0.1) and warmed["deviation"] < 0.5  # the machine may be busy
    assert warmed["ended_by"] in ("agreement", "share")
    assert (warmed["batch_size"], warmed["prompt_tokens"], warmed["num_beams"]) == (2, 16, 1)
    assert record["timings"]["warmup_s"] >= warmed["seconds"] - 0.01 >= 1.4
    assert warmed["prefill_ms"] >= 50 and warmed["step_ms"] >= 10
    assert [50 <= one["timings"]["ttft_ms"] < 400 for one in samples] == [True] * 4
    assert record["metrics"]["tokens_per_s"] > 2 * cold["metrics"]["tokens_per_s"]
    assert [stage["finished"] for stage in record["stages"] if stage["name"] == "warm-up"] == [True]


def test_one_short_generation_is_not_enough_for_slow_first_calls(tmp_path: Path) -> None:
    words = (*FRENCH, *SLOW, *COLD, "runtime.batch_size=2", "generation.max_new_tokens=12", "runtime.warmup=1")
    record, samples = do(tmp_path, *words)
    (warmed,) = record["warmup"]
    assert (warmed["rounds"], warmed["steady"], warmed["batch_size"]) == (1, None, 2)
    assert samples[0]["timings"]["ttft_ms"] > 400


def test_a_slow_first_repeat_without_warm_up_is_reported(tmp_path: Path) -> None:
    words = (*FRENCH, *SLOW, "backend.cold_s=0.8", "runtime.batch_size=4", "generation.max_new_tokens=8")
    record, _ = do(tmp_path, *words, "runtime.repeat=6", "runtime.warmup=0")
    (warning,) = record["warnings"]
    assert "runtime.repeat: the first repeat was" in warning and "slower than the later ones" in warning


# ---------------------------------------------------------------- requests to the model
def test_a_round_uses_the_batch_and_settings_of_the_job_but_few_tokens(tmp_path: Path, requests: list[Request]) -> None:
    words = ("backend=fake", "inputs.items=[a, bb, a longer one, c, d]", "backend.replies=[{match: a, text: yes}]")
    more = ("stop.sequences=[yes]", "generation.min_new_tokens=2", "runtime.batch_size=2")
    record, samples = do(tmp_path, *words, *more)
    rounds = [one for one in requests if one.token_limit is not None]
    assert {one.token_limit for one in rounds} == {1 + STEPS}
    assert {one.generation.max_new_tokens for one in rounds} == {64}
    assert all(one.generation.ignore_eos and not one.stop for one in rounds)
    asked = {len(one.prompts): one.prompts for one in rounds}
    assert set(asked) == {1, 2}  # the last batch is smaller
    assert any("a longer one" in prompt for prompt in asked[2])
    assert [one["batch_size"] for one in record["warmup"]] == [2, 1]
    measured = [one for one in requests if one.token_limit is None]
    assert [len(one.prompts) for one in measured] == [2, 2, 1]
    assert not any(one.generation.ignore_eos for one in measured)
    assert len(samples) == 5


def test_a_number_means_that_many_generations_of_two_tokens(tmp_path: Path, requests: list[Request]) -> None:
    record, _ = do(tmp_path / "3", *FRENCH, "runtime.warmup=3")
    assert [one.token_limit for one in requests] == [2, 2, 2, None]
    assert record["warmup"][0]["rounds"] == 3
    requests.clear()
    record, _ = do(tmp_path / "0", *FRENCH, "runtime.warmup=0")
    assert [one.token_limit for one in requests] == [None]
    assert "warmup" not in record and "warmup_s" not in record["timings"]


# ---------------------------------------------------------------- once per model and shape
def test_jobs_that_share_a_model_warm_up_each_shape_once(tmp_path: Path) -> None:
    model_slot = ModelSlot()
    sizes = ("4", "4", "2", "4")
    done = [
        do(tmp_path / str(n), *FRENCH, f"runtime.batch_size={s}", model_slot=model_slot)[0] for n, s in enumerate(sizes)
    ]
    assert [record["shared_load"] for record in done] == [False, True, True, True]
    assert [[one["batch_size"] for one in record.get("warmup", [])] for record in done] == [[4], [], [2], []]
    assert ["warmup_s" in record["timings"] for record in done] == [True, False, True, False]
    assert {shape.batch_size for shape in model_slot.warm} == {2, 4}
    model_slot.drop()
    assert not model_slot.warm


def test_on_a_cpu_one_shape_is_enough_unless_the_cache_size_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Stub()
    batches = [sampler.batch(10, 12), sampler.batch(70)]
    warm: set[Shape] = {NO_SHAPE}
    assert [one.batch_size for one in warm_up(sampler, batches, warm, True, Silent())] == [2]  # type: ignore[arg-type]
    assert warm_up(sampler, batches, warm, True, Silent()) == []  # type: ignore[arg-type]
    assert [one.batch_size for one in warm_up(sampler, batches, warm, False, Silent())] == [1]  # type: ignore[arg-type]
    monkeypatch.setattr(FakeEngine, "fixed_cache", lambda self, rows, tokens, generation: FixedCache(rows, 128))
    assert [one.batch_size for one in warm_up(sampler, batches, warm, True, Silent())] == [2, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("devices", "sizes"),
    [(["CPU"], [2]), (["cpu"], [2]), (["GPU.0"], [2, 1]), (["cpu", "cuda:0"], [2, 1])],
)
def test_accelerators_are_warmed_up_for_each_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: list[str], sizes: list[int]
) -> None:
    load = fake.load
    monkeypatch.setattr(
        fake,
        "load",
        lambda *job_context: replace(loaded := load(*job_context), effective=loaded.effective | {"device": devices}),
    )
    record, _ = do(tmp_path, "backend=fake", "inputs.items=[a, b, c]", "runtime.batch_size=2")
    assert [one["batch_size"] for one in record["warmup"]] == sizes


def test_a_number_of_generations_is_done_once_per_model(tmp_path: Path) -> None:
    model_slot = ModelSlot()
    first, _ = do(tmp_path / "1", *FRENCH, "runtime.warmup=1", model_slot=model_slot)
    second, _ = do(tmp_path / "2", *FRENCH, "runtime.warmup=1", "runtime.batch_size=1", model_slot=model_slot)
    third, _ = do(tmp_path / "3", *FRENCH, model_slot=model_slot)
    assert ["warmup" in record for record in (first, second, third)] == [True, False, True]
    assert NO_SHAPE in model_slot.warm and len(model_slot.warm) == 2


def test_a_resumed_job_warms_up_for_its_remaining_batches(tmp_path: Path) -> None:
    words = (*FRENCH, "runtime.batch_size=1", "runtime.isolation=inline")
    do(tmp_path, *words)
    file = tmp_path / "samples.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(job_from_overrides(words), tmp_path, JobContext(words, resume=True), NullWatcher()) == 0
    assert [one["batch_size"] for one in read_record(tmp_path)["warmup"]] == [1]
    assert (
        run(job_from_overrides(words), tmp_path, JobContext(words, resume=True), NullWatcher()) == 0
    )  # all batches are complete
    assert [one["batch_size"] for one in read_record(tmp_path)["warmup"]] == [1]


def test_settings_that_change_the_computation_are_part_of_the_shape() -> None:
    def shape(*overrides: str) -> Shape:
        sampler = Stub(*overrides)
        ((found, _),) = shapes(sampler, [sampler.batch(20, 33)])  # type: ignore[arg-type]
        return found

    plain = shape()
    assert plain == Shape(2, 64)
    assert shape("generation.max_new_tokens=7") == plain
    assert shape("generation=beam").num_beams > 1
    assert shape("generation.repetition_penalty=1.2") == shape("generation.repetition_penalty=1.3") != plain
    assert shape("generation=sample") != plain
    assert shape("generation=sample", "generation.temperature=0.3") == shape("generation=sample")


def test_a_cache_of_fixed_size_is_part_of_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FixedCache(4, 128)
    monkeypatch.setattr(FakeEngine, "fixed_cache", lambda self, rows, tokens, generation: cache)
    sampler = Stub()
    ((found, _),) = shapes(sampler, [sampler.batch(20, 33)])  # type: ignore[arg-type]
    assert found == Shape(4, 64, cache=cache) != Shape(4, 64, cache=FixedCache(4, 128, 1))
    assert found.record().dump() == {"batch_size": 4, "prompt_tokens": 64, "num_beams": 1, "cache_length": 128}


def test_each_size_of_a_fixed_cache_is_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed(self: Any, rows: int, tokens: int, generation: Any) -> FixedCache:
        return FixedCache(2, 128 if tokens < 64 else 256)

    monkeypatch.setattr(FakeEngine, "fixed_cache", fixed)
    sampler = Stub()
    batches = [
        sampler.batch(20, 33),
        sampler.batch(90, 1),
        sampler.batch(100, 2),
        sampler.batch(7),
    ]  # the last is padded
    found = [(shape.record().cache_length, shape.prompt_tokens) for shape, _ in shapes(sampler, batches)]  # type: ignore[arg-type]
    assert found == [(256, 128), (128, 64)]


def test_each_batch_size_has_the_batch_with_its_longest_prompt() -> None:
    sampler = Stub()
    batches = [sampler.batch(5, 9), sampler.batch(5, 30), sampler.batch(6, 6), sampler.batch(100)]
    found = [(shape.batch_size, shape.prompt_tokens, len(inputs)) for shape, inputs in shapes(sampler, batches)]  # type: ignore[arg-type]
    assert found == [(2, 32, 2), (1, 128, 1)]


def test_continuous_batching_has_one_shape_of_the_concurrent_prompts() -> None:
    sampler = Stub("backend=openvino_genai", "backend.max_num_seqs=3")
    sampler.llm.engine = FakeEngine(job_from_overrides(["backend=fake"]).backend)  # type: ignore[arg-type]
    batches = [sampler.batch(5, 9, 40, 12, 3), sampler.batch(7)]
    ((shape, inputs),) = shapes(sampler, batches)  # type: ignore[arg-type]
    assert (shape.batch_size, shape.prompt_tokens) == (3, 64)
    assert [sampler.prompt_tokens[each.index] for each in inputs] == [40, 12, 9]


# ---------------------------------------------------------------- end of a warm-up
def test_warm_up_continues_until_rounds_agree() -> None:
    sampler = Stub(times=[(9.0, 0.2), (2.0, 0.1), (1.2, 0.1), (1.0, 0.1), (1.05, 0.1), (1.0, 0.104)])
    warm: set[Shape] = set()
    (told,) = warm_up(sampler, [sampler.batch(10, 12)], warm, False, Silent())  # type: ignore[arg-type]
    assert (told.rounds, told.ended_by, told.steady) == (6, "agreement", True)
    assert told.deviation == pytest.approx(0.05, abs=1e-3)
    assert (told.prefill_ms, told.step_ms) == (1000.0, 104.0)
    assert warm == {Shape(2, 16)}


def test_timings_that_never_agree_stop_at_a_limit_and_are_not_steady() -> None:
    sampler = Stub(times=[(1.0, 0.1), (1.0, 0.2)] * MOST)
    warm: set[Shape] = set()
    (told,) = warm_up(sampler, [sampler.batch(10)], warm, False, Silent())  # type: ignore[arg-type]
    assert (told.rounds, told.ended_by, told.steady) == (MOST, "rounds", False)
    assert told.deviation == 1.0
    assert len(sampler.asked) == MOST and set(sampler.asked) == {(1, 1 + STEPS)}
    assert warm == {Shape(1, 16)}  # more rounds would not help the next job either


def test_wall_times_are_compared_for_beam_search(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Stub("generation=beam")
    walls = chain([0.3], repeat(0.1))

    def generate_short(items: Sequence[Any], token_limit: int) -> list[Answer]:
        time.sleep(next(walls))
        return [answer() for _ in items]

    monkeypatch.setattr(sampler, "generate_short", generate_short)
    (told,) = warm_up(sampler, [sampler.batch(10)] * 100, set(), False, Silent())  # type: ignore[arg-type]
    assert (told.ended_by, told.steady) == ("agreement", True)
    assert told.rounds >= 4
    assert "prefill_ms" not in told.dump() and (told.wall_ms or 0) >= 100


def test_a_failed_warm_up_is_logged_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing = "backend.failures=[{match: number, error: CUDA out of memory, after: 1}]"
    model_slot = ModelSlot()
    with caplog.at_level(logging.WARNING, "hforch"):
        record, samples = do(tmp_path, *FRENCH, failing, code=1, model_slot=model_slot)
    (told,) = record["warmup"]
    assert told["error"] == "CUDA out of memory" and told["steady"] is False and told["rounds"] == 0
    assert "ended_by" not in told
    assert {sample["error"]["message"] for sample in samples} == {"CUDA out of memory"}
    (logged,) = [one for one in caplog.records if one.message == "warm-up failed"]
    assert logged.exc_info and "CUDA out of memory" in str(logged.exc_info[1])
    assert not model_slot.warm


def test_out_of_memory_has_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(self: FakeEngine, completions: Any, request: Request) -> None:
        raise MemoryError

    monkeypatch.setattr(FakeEngine, "generate", exhausted)
    record, _ = do(tmp_path, *FRENCH, code=1)
    assert "memory" in record["warmup"][0]["error"]


# ---------------------------------------------------------------- prompts, loading, old records
def test_prompts_are_rotated_if_the_engine_caches_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = "backend.enable_prefix_caching=true"
    sampler = Stub("backend=openvino_genai", prefixes)
    sampler.llm.engine = FakeEngine(job_from_overrides(["backend=fake"]).backend)  # type: ignore[arg-type]
    seen: list[Any] = []
    generate_short = sampler.generate_short
    monkeypatch.setattr(
        sampler, "generate_short", lambda items, token_limit: seen.extend(items) or generate_short(items, token_limit)
    )
    warm_up(sampler, [sampler.batch(10)], set(), False, Silent())  # type: ignore[arg-type]
    assert seen[0] == "words some"


def test_rotated_items_have_the_same_words() -> None:
    assert _rotated("a b c", 1) == "b c a"
    assert _rotated("a b c", 4) == "b c a"
    assert _rotated({"question": "a b", "n": 3}, 1) == {"question": "b a", "n": 3}
    assert _rotated("alone", 1) == "alone"


def test_the_load_time_includes_pending_work_of_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = fake.load
    slow_device = lambda *job_context: replace(load(*job_context), synchronize=lambda: time.sleep(0.2))  # noqa: E731
    monkeypatch.setattr(fake, "load", slow_device)
    record, _ = do(tmp_path, *FRENCH)
    assert record["timings"]["load_s"] >= 0.2


def test_a_record_with_a_damaged_warm_up_is_refused_and_one_without_is_read(tmp_path: Path) -> None:
    do(tmp_path, *FRENCH)
    file = tmp_path / "record.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in whole.items() if name != "warmup"}))
    assert known_record(tmp_path)["status"] == "ok"
    file.write_text(json.dumps(whole | {"warmup": [{"rounds": "many"}]}))
    with pytest.raises(Exception, match=r"warmup\.0\.rounds"):
        known_record(tmp_path)


# ---------------------------------------------------------------- a real KV cache of fixed size
@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_llama(tmp_path_factory.mktemp("warm") / "llama")


@pytest.fixture
def static(tiny_llama: Path) -> tuple[str, ...]:
    model = ("model=local", f"model.path={tiny_llama}", "backend=pytorch", "backend.kv_cache=static", "precision=fp32")
    items = json.dumps(["one", "two", "three words here", "four", "five"])
    return (
        *model,
        f"inputs.items={items}",
        "prompt=raw",
        "generation.max_new_tokens=40",
        "runtime.batch_size=4",
        "generation.ignore_eos=true",
    )


@pytest.mark.model
def test_a_static_cache_has_the_same_size_in_warm_up_and_measurement(
    tmp_path: Path, static: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hforch.backends.huggingface.kv_cache import KVCaches

    taken: list[tuple[int, int]] = []
    take = KVCaches.take
    monkeypatch.setattr(KVCaches, "take", lambda self, shape: (taken.append(shape), take(self, shape))[1])
    model_slot = ModelSlot()
    record, samples = do(tmp_path / "1", *static, model_slot=model_slot)
    (warmed,) = record["warmup"]  # the batch of one is padded to the rows of the others
    assert len(taken) == warmed["rounds"] + 2
    assert set(taken) == {(warmed["batch_size"], warmed["cache_length"])}
    assert {sample["output_tokens"] for sample in samples} == {40}

    record, _ = do(tmp_path / "2", *static, "runtime.repeat=2", model_slot=model_slot)  # same shape: the cache was kept
    assert "warmup" not in record
    record, _ = do(tmp_path / "3", *static, "generation.max_new_tokens=80", model_slot=model_slot)
    assert len(record["warmup"]) == 1


@pytest.mark.model
def test_beams_have_no_static_cache(tmp_path: Path, static: tuple[str, ...]) -> None:
    record, _ = do(tmp_path / "1", *static, "generation=beam", "backend.kv_cache=auto")
    assert "cache_length" not in record["warmup"][0]
