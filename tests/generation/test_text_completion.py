"""Tests that answers that arrive as text are stopped, streamed and timed like those that arrive as tokens."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from langchain_core.load import dumps, loads
from langchain_core.outputs import Generation, LLMResult

from hforch.backends.fake import FakeEngine, RemoteFakeEngine
from hforch.config.backends.fake import FakeBackend
from hforch.config.compose import job_from_overrides
from hforch.errors import GenerationError, PromptError
from hforch.generation.completion import Answer
from hforch.generation.results import answer_of, generation_info, llm_result
from hforch.generation.text_completion import TextCompletion

WHY = "an endpoint returns no token ids"


def completed(pieces: Sequence[str], stops: Sequence[str] = (), most: int = 100) -> tuple[TextCompletion, list[str]]:
    shown: list[str] = []
    completion = TextCompletion(stops, most, WHY, shown.append)
    for number, piece in enumerate(pieces):
        if completion.push_text(piece, 1.0 + number):
            break
    completion.end("eos")
    return completion, shown


def answer(completion: TextCompletion) -> Answer:
    return completion.answer(0.0, 0.5, 10.0)


def test_a_stop_sequence_across_pieces_ends_the_text_and_is_never_shown() -> None:
    completion, shown = completed(["The answer", " is 4", "2. E", "ND and", " more"], ["END"])
    assert answer(completion).text == "The answer is 42. " == "".join(shown)
    assert answer(completion).finish_reason == "stop"


def test_an_answer_ends_with_the_reported_reason_or_at_the_limit() -> None:
    assert answer(completed(["a", "b"])[0]).finish_reason == "eos"
    cut = answer(completed(["a", "b", "c"], most=2)[0])
    assert (cut.text, cut.finish_reason) == ("ab", "length")


def test_ids_are_absent_with_the_reason() -> None:
    found = answer(completed(["a", "b"])[0])
    assert (found.prompt_ids, found.output_ids) == (None, None)
    assert found.absent["prompt_ids"] == found.absent["output_ids"] == WHY
    assert generation_info(found)["output_ids"] is None


def test_tpot_counts_reported_tokens_and_not_pieces() -> None:
    completion, _ = completed(["one two", " three four", " five"])
    unknown = answer(completion)
    assert unknown.absent["tpot_ms"] == "the number of output tokens is unknown"
    assert unknown.usage == {}
    completion.count(7, 5)
    known = answer(completion)
    assert known.timings["ttft_ms"] == 500
    assert known.timings["tpot_ms"] == 500  # two seconds for four more tokens
    assert known.usage == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def test_usage_is_only_reported_if_it_is_known_for_all_answers() -> None:
    counted, uncounted = completed(["a"])[0], completed(["b"])[0]
    counted.count(1, 1)
    assert llm_result([answer(counted), answer(uncounted)], ["", ""], "model").llm_output == {"token_usage": {}}
    both = llm_result([answer(counted), answer(counted)], ["", ""], "model")
    assert (both.llm_output or {})["token_usage"]["total_tokens"] == 4


# ---------------------------------------------------------------- an engine without a tokenizer
def engine(kind: type[FakeEngine]) -> FakeEngine:
    backend = job_from_overrides(["backend=fake"]).backend
    assert isinstance(backend, FakeBackend)
    return kind(backend)


def test_an_engine_without_a_tokenizer_raises_an_error() -> None:
    assert engine(FakeEngine).prompt_tokens("two words") == 2
    remote = engine(RemoteFakeEngine)
    assert remote.prompt_tokens("two words") is None
    with pytest.raises(GenerationError, match="no tokenizer"):
        remote.encode("two words")


def test_without_the_prompts_length_only_max_new_tokens_applies() -> None:
    job = job_from_overrides(["backend=fake", "generation.max_new_tokens=5", "generation.max_length=6"])
    remote = engine(RemoteFakeEngine)
    assert remote.room(None, job.generation) == 5
    with pytest.raises(PromptError, match=r"max_length includes the prompt's tokens.*set generation\.max_new_tokens"):
        remote.room(None, job.generation.model_copy(update={"max_new_tokens": None}))


@pytest.mark.parametrize(
    ("prompt_tokens", "message"),
    [
        (9, r"9 tokens, more than the model's context length \(8\); shorten the prompt$"),
        (
            8,
            r"8 tokens, as many as the model's context length allows, which leaves none for the answer;"
            r" shorten the prompt$",
        ),
        (6, r"6 tokens, more than generation.max_length \(5\); shorten the prompt or increase generation.max_length$"),
    ],
)
def test_a_prompt_that_leaves_no_tokens_for_the_answer_is_rejected(prompt_tokens: int, message: str) -> None:
    max_length = 5 if prompt_tokens == 6 else 100
    job = job_from_overrides(["backend=fake", f"generation.max_length={max_length}"])
    fake = engine(FakeEngine)
    fake.context_length = 8
    with pytest.raises(PromptError, match=message):
        fake.room(prompt_tokens, job.generation)


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_a_generation_has_its_answer_and_is_cached_as_a_plain_one() -> None:
    answer = Answer("a", (1, 2), (3,), "stop", {"ttft_ms": 1.0})
    result = llm_result([answer], ["echo "], "model")
    assert answer_of(result) is answer
    (generation,) = result.generations[0]
    assert generation.text == "echo a" and (generation.generation_info or {})["output_ids"] == [3]
    again = loads(dumps(generation), allowed_objects="core")
    assert type(again) is Generation and again.text == "echo a"
    with pytest.raises(TypeError, match="or from a cache"):
        answer_of(LLMResult(generations=[[again]]))
