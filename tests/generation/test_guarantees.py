"""Tests of the ten guarantees of generation, with the default model on every backend."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from backends_tested import BACKENDS
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

from hforch import load_llm
from hforch.backends.genai.llm import GenAILLM
from hforch.errors import GenerationError, PromptError, UnknownArgument
from hforch.generation.completion import Completion
from hforch.generation.request_queue import CLOSED

pytestmark = pytest.mark.slow

PROMPT = "Question: What is electroencephalography?\n\nAnswer: Let's think step by step."
PROMPTS = [
    PROMPT,
    "The capital of France is",
    "Here is a list of fruits:\n- apple\n- ",
    "Les nombres en français : un, deux, trois,",
]


def batches_continuously(llm: Any) -> bool:
    return isinstance(llm, GenAILLM)


@pytest.fixture(scope="module")
def free(smollm2: Any) -> list[str]:
    """The answer to each prompt without stop sequences."""
    return [smollm2.invoke(prompt) for prompt in PROMPTS]


class Heard(BaseCallbackHandler):
    raise_error = True

    def __init__(self) -> None:
        self.results: list[LLMResult] = []

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.results.append(response)


# ---------------------------------------------------------------- 1 the prompt is not echoed
def test_the_prompt_is_not_echoed_unless_asked(smollm2: Any, free: list[str]) -> None:
    assert free[1] and not free[1].startswith(PROMPTS[1])
    asked = smollm2.bind(skip_prompt=False)
    assert asked.invoke(PROMPTS[1]) == PROMPTS[1] + free[1]
    assert "".join(asked.stream(PROMPTS[1])) == PROMPTS[1] + free[1]
    assert smollm2.bind(skip_prompt=True).invoke(PROMPTS[1]) == free[1]


# ---------------------------------------------------------------- 2 stop sequences
def test_text_ends_right_before_any_stop_sequence_alone_streamed_and_batched(smollm2: Any, free: list[str]) -> None:
    rng = random.Random(0)
    for _ in range(4):
        which = rng.randrange(len(PROMPTS))
        start = rng.randrange(len(free[which]) - 3)
        stop = free[which][start : start + rng.randint(1, 6)]
        stops = [stop, "never appears"]
        expected = [text[: text.find(stop)] if stop in text else text for text in free]
        assert smollm2.invoke(PROMPTS[which], stop=stops) == expected[which], repr(stop)
        assert "".join(smollm2.stream(PROMPTS[which], stop=stops)) == expected[which], repr(stop)
        assert smollm2.batch(PROMPTS, stop=stops) == expected, repr(stop)


def test_each_item_of_a_batch_stops_at_its_own_earliest_stop(smollm2: Any, free: list[str]) -> None:
    stops = [text[6:9] for text in free] + ["\n", "\n\n"]
    expected = [text[: min(at for stop in stops if (at := text.find(stop)) >= 0)] for text in free]
    assert smollm2.batch(PROMPTS, stop=stops) == expected
    assert [smollm2.invoke(prompt, stop=stops) for prompt in PROMPTS] == expected


def test_overlapping_stops_end_at_the_shorter_one_that_comes_first(smollm2: Any, free: list[str]) -> None:
    assert "\n" in free[0]
    assert smollm2.invoke(PROMPT, stop=["\n\n", "\n"]) == free[0].split("\n")[0]


def test_a_stop_match_cannot_start_in_the_prompt(smollm2: Any) -> None:
    tempting = PROMPT + "\n"
    text = smollm2.invoke(tempting)
    stop = "\n" + text[:2]
    assert stop not in text
    assert smollm2.invoke(tempting, stop=[stop]) == text
    assert "".join(smollm2.stream(tempting, stop=[stop])) == text


def test_a_special_token_as_a_stop_is_matched_by_its_id(smollm2: Any) -> None:
    chat = smollm2.bind(max_new_tokens=40, ignore_eos=True)
    messages = [("user", "Say: hello")]
    # After its answer, the model generates <|im_end|>, which is invisible, and continues.
    full, stopped = Heard(), Heard()
    text = chat.invoke(messages, config={"callbacks": [full]})
    ended = chat.invoke(messages, stop=["<|im_end|>"], config={"callbacks": [stopped]})
    assert text.startswith(ended) and len(ended) < len(text)
    info = stopped.results[0].generations[0][0].generation_info
    assert info["finish_reason"] == "stop"
    ids = full.results[0].generations[0][0].generation_info["output_ids"]
    assert 2 in ids and info["output_ids"] == ids[: ids.index(2)]


def test_stops_that_are_not_ascii_work_across_stream_chunks(smollm2: Any) -> None:
    prompt = "Les jours de la semaine en français, répétés : « été », « été », « été », «"
    text = smollm2.invoke(prompt)
    assert "é" in text
    cut = text[: text.index("é")]
    assert smollm2.invoke(prompt, stop=["é"]) == cut
    assert "".join(smollm2.stream(prompt, stop=["é"])) == cut


# ---------------------------------------------------------------- 3 finish reasons and usage
@pytest.mark.parametrize("how", ["invoke", "stream", "batch"])
def test_callbacks_get_usage_and_finish_reason(smollm2: Any, free: list[str], how: str) -> None:
    heard = Heard()
    config = {"callbacks": [heard]}
    if how == "stream":
        list(smollm2.stream(PROMPT, config=config, stop=[free[0][5:9]]))
    else:
        call = smollm2.invoke if how == "invoke" else lambda prompt, **more: smollm2.batch([prompt], **more)
        call(PROMPT, config=config, stop=[free[0][5:9]])
    (result,) = heard.results
    info = result.generations[0][0].generation_info
    usage = info["token_usage"]
    assert info["finish_reason"] == "stop"
    assert usage["completion_tokens"] == len(info["output_ids"]) > 0
    assert usage["prompt_tokens"] == len(info["prompt_ids"]) == len(smollm2.engine.encode(PROMPT))
    assert result.llm_output["token_usage"] == usage


async def test_callbacks_get_usage_and_finish_reason_in_the_async_forms(smollm2: Any) -> None:
    heard = Heard()
    config = {"callbacks": [heard]}
    await smollm2.ainvoke(PROMPT, config=config)
    [piece async for piece in smollm2.astream(PROMPT, config=config)]
    await smollm2.abatch([PROMPT], config=config)
    assert [r.generations[0][0].generation_info["finish_reason"] for r in heard.results] == ["length"] * 3
    assert {r.llm_output["token_usage"]["completion_tokens"] for r in heard.results} == {16}


def test_an_answer_that_the_model_ends_finishes_with_eos(smollm2: Any) -> None:
    value = ChatPromptTemplate([("user", "Say: hello")]).invoke({})
    result = smollm2.generate_prompt([value], max_new_tokens=40)
    info = result.generations[0][0].generation_info
    assert info["finish_reason"] == "eos"
    assert 2 not in info["output_ids"]


# ---------------------------------------------------------------- 4 the same alone, batched, streamed
def test_greedy_text_is_the_same_alone_batched_and_streamed(smollm2: Any, free: list[str]) -> None:
    assert smollm2.batch(PROMPTS) == free
    assert ["".join(smollm2.stream(prompt)) for prompt in PROMPTS] == free


async def test_greedy_text_is_the_same_in_the_async_forms(smollm2: Any, free: list[str]) -> None:
    assert await smollm2.abatch(PROMPTS) == free
    assert await smollm2.ainvoke(PROMPT) == free[0]
    assert "".join([piece async for piece in smollm2.astream(PROMPT)]) == free[0]


# ---------------------------------------------------------------- 5 arguments
def test_bound_and_passed_arguments_are_applied(smollm2: Any, free: list[str]) -> None:
    heard = Heard()
    smollm2.bind(max_new_tokens=3).invoke(PROMPT, config={"callbacks": [heard]})
    smollm2.invoke(PROMPT, max_new_tokens=4, config={"callbacks": [heard]})
    smollm2.invoke(PROMPT, pipeline_kwargs={"max_new_tokens": 5}, config={"callbacks": [heard]})
    list(smollm2.stream(PROMPT, max_new_tokens=6, config={"callbacks": [heard]}))
    assert [r.llm_output["token_usage"]["completion_tokens"] for r in heard.results] == [3, 4, 5, 6]
    assert smollm2.invoke(PROMPT, repetition_penalty=1.5) != free[0]


def test_temperature_zero_means_greedy_and_another_temperature_is_used(smollm2: Any, free: list[str]) -> None:
    assert smollm2.invoke(PROMPT, temperature=0) == free[0]
    assert smollm2.invoke(PROMPT, temperature=0, do_sample=True) == free[0]
    assert smollm2.invoke(PROMPT, temperature=5.0) != free[0]


def test_an_unknown_argument_is_an_error_with_a_suggestion(smollm2: Any) -> None:
    with pytest.raises(UnknownArgument, match="Did you mean max_new_tokens"):
        smollm2.invoke(PROMPT, max_new_token=3)
    with pytest.raises(UnknownArgument, match="temprature"):
        list(smollm2.stream(PROMPT, temprature=0.3))
    with pytest.raises(UnknownArgument, match="top_p=7"):
        smollm2.batch([PROMPT], top_p=7)


def test_max_length_counts_each_prompt_separately(smollm2: Any) -> None:
    heard = [Heard() for _ in PROMPTS]
    smollm2.batch(PROMPTS, config=[{"callbacks": [each]} for each in heard], max_length=20, temperature=0)
    usages = [each.results[0].generations[0][0].generation_info["token_usage"] for each in heard]
    assert [usage["total_tokens"] for usage in usages] == [20] * len(PROMPTS)


# ---------------------------------------------------------------- 6 errors, closing, cancelling, beams
def test_an_error_while_streaming_reaches_the_caller_immediately_and_unchanged(
    smollm2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OutOfOrder(RuntimeError): ...

    calls = 0
    push = Completion.push

    def breaks(self: Completion, token: int, now: float) -> bool:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OutOfOrder("the fourth token")
        return push(self, token, now)

    monkeypatch.setattr(Completion, "push", breaks)
    with pytest.raises(OutOfOrder, match="the fourth token"):
        list(smollm2.stream(PROMPT))
    assert calls == 4


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of all tokens that are generated during the test."""
    times: list[float] = []
    push = Completion.push

    def counts(self: Completion, token: int, now: float) -> bool:
        times.append(now)
        return push(self, token, now)

    monkeypatch.setattr(Completion, "push", counts)
    return times


def test_closing_a_stream_stops_generation(smollm2: Any, pushed: list[float]) -> None:
    stream = smollm2.stream(PROMPT, max_new_tokens=2000, ignore_eos=True)
    next(stream)
    stream.close()
    smollm2.engine.settle()
    assert 1 <= len(pushed) < 200


async def test_cancelling_a_task_stops_generation(smollm2: Any, pushed: list[float]) -> None:
    async def consume() -> None:
        async for _ in smollm2.astream(PROMPT, max_new_tokens=2000, ignore_eos=True):
            pass

    calls = (consume, lambda: smollm2.ainvoke(PROMPT, max_new_tokens=2000, ignore_eos=True))
    for call in calls:
        pushed.clear()
        task = asyncio.ensure_future(call())
        while len(pushed) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(smollm2.engine.settle)
        assert len(pushed) < 200


async def test_closing_an_async_stream_stops_generation(smollm2: Any, pushed: list[float]) -> None:
    stream = smollm2.astream(PROMPT, max_new_tokens=2000, ignore_eos=True)
    await anext(stream)
    await stream.aclose()
    del stream
    await asyncio.sleep(0)
    await asyncio.to_thread(smollm2.engine.settle)
    assert len(pushed) < 200


def test_beam_search_streams_one_final_chunk(smollm2: Any) -> None:
    beams = {"num_beams": 3, "max_new_tokens": 12}
    text = smollm2.invoke(PROMPTS[1], **beams)
    assert [piece for piece in smollm2.stream(PROMPTS[1], **beams) if piece] == [text]
    assert smollm2.invoke(PROMPTS[1], stop=[text[4:6]], **beams) == text[: text.index(text[4:6])]
    info = smollm2.generate([PROMPTS[1]], **beams).generations[0][0].generation_info
    assert "ttft_ms" not in info["timings"] and "beam" in info["absent"]["ttft_ms"]


# ---------------------------------------------------------------- 7 threads and tasks
def test_forty_concurrent_calls_get_correct_answers_each_with_its_own_seed(smollm2: Any) -> None:
    def ask(number: int) -> str:
        return str(smollm2.invoke(f"The number {number} is", seed=number, temperature=1.5, max_new_tokens=2))

    alone = [ask(number) for number in range(40)]
    assert len(set(alone)) > 30
    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(ask, range(40))) == alone


async def test_forty_concurrent_tasks_do_too_without_blocking_the_event_loop(smollm2: Any) -> None:
    tokens = 20 if batches_continuously(smollm2) else 2  # so that generating takes longer than submitting

    def arguments(number: int) -> dict[str, Any]:
        return {"seed": number, "temperature": 0.9, "max_new_tokens": tokens}

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    calls = [smollm2.ainvoke(f"The number {number} is", **arguments(number)) for number in range(40)]
    together = await asyncio.gather(*calls)
    if batches_continuously(smollm2):  # a busy machine may tick only once per step, and all calls share the steps
        await smollm2.ainvoke("The number", max_new_tokens=5 * tokens, ignore_eos=True)
    ticking.cancel()
    assert ticks > 40
    alone = [smollm2.invoke(f"The number {number} is", **arguments(number)) for number in range(0, 40, 13)]
    assert together[::13] == alone


def test_the_same_seed_gives_the_same_text_in_invoke_and_stream(smollm2: Any) -> None:
    sampled = smollm2.bind(temperature=1.0, seed=7)
    assert "".join(sampled.stream(PROMPT)) == sampled.invoke(PROMPT)
    assert smollm2.bind(temperature=1.0, seed=8).invoke(PROMPT) != sampled.invoke(PROMPT)


def test_the_random_state_of_the_process_is_unchanged(smollm2: Any) -> None:
    import torch

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    smollm2.invoke(PROMPT, temperature=1.0, seed=3, max_new_tokens=4)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.timeout(120)
def test_calling_the_model_while_reading_its_stream_does_not_deadlock(smollm2: Any, free: list[str]) -> None:
    inner: list[str] = []
    pieces = []
    for piece in smollm2.stream(PROMPT):
        pieces.append(piece)
        if len(inner) < 2:
            inner.append(smollm2.invoke(PROMPTS[1]))
    assert "".join(pieces) == free[0]
    assert inner == [free[1]] * 2


def test_concurrent_streams_are_independent(smollm2: Any, free: list[str]) -> None:
    results: dict[int, str] = {}

    def read(which: int) -> None:
        results[which] = "".join(smollm2.stream(PROMPTS[which]))

    threads = [threading.Thread(target=read, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[which] for which in range(4)] == free


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_closed_model_raises_an_error(backend: str, tiny_gpt2: Any) -> None:
    llm = load_llm("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", "generation.max_new_tokens=2")
    assert llm.batch(["one", "two"])
    llm.close()
    with suppress(GenerationError):  # calls may still succeed until the thread has ended
        for _ in range(1000):
            llm.invoke("one")
    time.sleep(0.5)
    with pytest.raises(GenerationError, match="the model is closed"):
        llm.invoke("one")


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_the_model_ends_open_calls_with_the_same_error(backend: str, tiny_gpt2: Any) -> None:
    words = ("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", "runtime.batch_size=2")
    llm = load_llm(*words, "generation.max_new_tokens=900", "generation.ignore_eos=true")
    running = threading.Event()

    def read() -> None:
        for _ in llm.stream("one"):
            running.set()

    def call(how: Any) -> BaseException | None:
        try:
            how()
        except BaseException as error:
            return error
        return None

    hows = (read, lambda: llm.invoke("two"), lambda: llm.batch(["three"] * 5), lambda: asyncio.run(llm.ainvoke("four")))
    with ThreadPoolExecutor(len(hows)) as pool:
        calls = [pool.submit(call, how) for how in hows]
        assert running.wait(60)
        llm.close()
        ended = [one.result(timeout=60) for one in calls]
    assert [(type(error), str(error)) for error in ended] == [(GenerationError, CLOSED)] * len(hows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_using_a_model_after_a_fork_is_an_error(backend: str, tiny_gpt2: Any) -> None:
    program = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
from hforch import load_llm
llm = load_llm("model=local", {f"model.path={tiny_gpt2}"!r}, "backend={backend}", "generation.max_new_tokens=2")
llm.invoke("one")
if not os.fork():
    for ask in (lambda: llm.invoke("one"), lambda: list(llm.stream("one")), lambda: llm.batch(["one", "two"])):
        try:
            ask()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
    os._exit(0)
os.wait()
print(len(llm.invoke("one")) > 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    *told, last = done.stdout.splitlines()
    assert len(told) == 3 and all("GenerationError" in one and "unusable in this forked process" in one for one in told)
    assert last == "True"


def test_waiting_for_another_request_is_queue_time_and_not_time_to_first_token(smollm2: Any) -> None:
    if batches_continuously(smollm2):
        pytest.skip("requests join the running batch; tests/backends/test_openvino_genai.py tests waiting")
    heard = Heard()
    stream = smollm2.stream(PROMPT, max_new_tokens=30, ignore_eos=True)
    next(stream)
    started = time.perf_counter()
    smollm2.invoke(PROMPTS[1], max_new_tokens=1, config={"callbacks": [heard]})
    waited_ms = 1e3 * (time.perf_counter() - started)
    timings = heard.results[0].generations[0][0].generation_info["timings"]
    assert timings["queue_ms"] > timings["ttft_ms"]
    assert timings["queue_ms"] + timings["ttft_ms"] <= waited_ms
    assert timings["latency_ms"] >= timings["queue_ms"] + timings["ttft_ms"]


# ---------------------------------------------------------------- 8 LangChain's cache
@pytest.fixture
def memory_cache() -> Iterator[Any]:
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import set_llm_cache

    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def test_different_settings_never_share_a_cache_key(smollm2: Any, memory_cache: Any) -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"max_new_tokens": 4},
        {"max_new_tokens": 5},
        {"temperature": 0.9, "seed": 1},
        {"temperature": 0.9, "seed": 2},
        {"skip_prompt": False},
        {"stop": ["e"]},
        {"ignore_eos": True},
    ]
    answers = [smollm2.invoke(PROMPTS[1], **each) for each in settings]
    assert len(memory_cache._cache) == len(settings)
    assert [smollm2.invoke(PROMPTS[1], **each) for each in settings] == answers
    assert len(memory_cache._cache) == len(settings)


def test_the_cache_is_used_for_identical_calls(smollm2: Any, memory_cache: Any, pushed: list[float]) -> None:
    first = smollm2.invoke(PROMPT, max_new_tokens=4)
    count = len(pushed)
    assert smollm2.invoke(PROMPT, max_new_tokens=4) == first
    assert len(pushed) == count > 0


def test_a_chat_and_the_same_plain_text_never_share_a_key(smollm2: Any, memory_cache: Any) -> None:
    value = smollm2.prompt_value([("user", "Say: hello")])
    smollm2.invoke(value)
    smollm2.invoke(str(value.to_string()))
    assert len(memory_cache._cache) == 2


def test_two_backends_never_share_a_key(load: Any, memory_cache: Any) -> None:
    for backend in BACKENDS:
        llm = load(f"backend={backend}", "precision=fp32", "ov_config=accuracy", "generation.max_new_tokens=16")
        llm.invoke(PROMPTS[1], max_new_tokens=2)
    assert len(memory_cache._cache) == len(BACKENDS)


# ---------------------------------------------------------------- 10 chats
def test_a_chat_prompt_goes_through_the_models_own_template(smollm2: Any) -> None:
    value = ChatPromptTemplate([("system", "Be brief."), ("user", "{q}")]).invoke({"q": "Say: hello"})
    rendered = smollm2.prompt_value(value).to_string()
    assert rendered == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay: hello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "Human:" not in rendered
    chain = ChatPromptTemplate([("system", "Be brief."), ("user", "{q}")]) | smollm2
    expected = smollm2.invoke(rendered)  # equal, because this tokenizer adds no special tokens to plain text
    assert chain.invoke({"q": "Say: hello"}) == expected
    assert "".join(chain.stream({"q": "Say: hello"})) == expected
    assert chain.batch([{"q": "Say: hello"}]) == [expected]


def test_a_chain_with_a_template_equals_invoking_the_formatted_text(smollm2: Any, free: list[str]) -> None:
    chain = PromptTemplate.from_template("Question: {question}\n\nAnswer: Let's think step by step.") | smollm2
    assert chain.invoke({"question": "What is electroencephalography?"}) == free[0]
    assert "".join(chain.stream("What is electroencephalography?")) == free[0]


def test_an_empty_prompt_is_rejected_with_a_reason(smollm2: Any) -> None:
    with pytest.raises(PromptError, match="the prompt is empty"):
        smollm2.invoke("")


def test_tokens_are_counted_as_the_model_counts_them(smollm2: Any) -> None:
    text = "What is electroencephalography?"
    ids = smollm2.get_token_ids(text)
    assert smollm2.get_num_tokens(text) == len(ids) == len(smollm2.engine.encode(text))
