"""Tests of a completion with a simple vocabulary, whose tokens are bytes and a few words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hforch.generation.completion import Completion, Vocabulary
from hforch.generation.detokenizer import Detokenizer, decode_all

EOS, ROLE = 256, 257
SPECIAL = {EOS: "<eos>", ROLE: "<|role|>"}
WORDS = {300: "hello", 301: " world", 302: ".\n\n", 303: "\n", 304: "EN", 305: "D of"}


def decode(ids: list[int]) -> str:
    spelled = b"".join(bytes([i]) if i < 256 else (SPECIAL.get(i) or WORDS[i]).encode() for i in ids)
    return spelled.decode("utf-8", "replace")


VOCABULARY = Vocabulary(decode, SPECIAL, (EOS,))


def spell(text: str) -> list[int]:
    return list(text.encode())


def complete(ids: list[int], stops: list[str], limit: int = 1000, **more: object) -> tuple[Completion, list[str]]:
    pieces: list[str] = []
    completion = Completion(VOCABULARY, spell("prompt\n"), stops, limit, on_text=pieces.append, **more)  # type: ignore[arg-type]
    for number, token in enumerate(ids):
        if completion.push(token, float(number)):
            break
    completion.finish()
    return completion, pieces


def test_a_stop_of_one_token_ends_the_text() -> None:
    completion, pieces = complete([300, 303, 301], ["\n"])
    assert (completion.text, completion.finish_reason) == ("hello", "stop")
    assert "".join(pieces) == "hello"


def test_a_stop_of_many_tokens_ends_the_text_and_is_never_shown() -> None:
    completion, pieces = complete([300, *spell("\n\n"), 301], ["\n\n"])
    assert completion.text == "hello" == "".join(pieces)
    assert completion.finish_reason == "stop"


def test_a_stop_that_starts_inside_a_token_keeps_the_text_before_it() -> None:
    completion, pieces = complete([300, 304, 305, 301], ["ND o"])
    assert completion.text == "helloE" == "".join(pieces)
    assert len(completion.answer(0, 0, 0).output_ids) == 2  # the token that contains the end of the text is kept


def test_a_stop_cannot_start_in_the_prompt() -> None:
    completion, _ = complete([303, 300], ["\n\n"])  # the prompt ends with a newline
    assert completion.text == "\nhello"
    assert completion.finish_reason == "length"


def test_a_special_token_is_matched_by_its_id_and_invisible() -> None:
    completion, pieces = complete([300, ROLE, 301], ["<|role|>"])
    assert (completion.text, completion.finish_reason) == ("hello", "stop")
    completion, pieces = complete([300, ROLE, 301], [])
    assert completion.text == "hello world" == "".join(pieces)


def test_an_eos_that_is_also_a_stop_counts_as_the_stop() -> None:
    assert complete([300, EOS], ["<eos>"])[0].finish_reason == "stop"
    assert complete([300, EOS], [])[0].finish_reason == "eos"


def test_the_eos_is_dropped_unless_it_is_ignored() -> None:
    answer = complete([300, EOS], [])[0].answer(0, 0, 0)
    assert answer.output_ids == (300,)
    ignoring, _ = complete([300, EOS, 301], [], limit=3, ignore_eos=True)
    assert ignoring.answer(0, 0, 0).output_ids == (300, EOS, 301)
    assert (ignoring.text, ignoring.finish_reason) == ("hello world", "length")


def test_an_incomplete_character_waits_for_the_rest() -> None:
    completion, pieces = complete(spell("né🙂!"), [])
    assert pieces == ["n", "é", "🙂", "!"]
    assert completion.text == "né🙂!"


def test_an_incomplete_character_at_the_limit_is_a_replacement_character() -> None:
    completion, pieces = complete(spell("a🙂")[:3], [])
    assert completion.text == "a\ufffd" == "".join(pieces)


def test_text_held_back_for_an_incomplete_stop_is_emitted_at_the_end() -> None:
    completion, pieces = complete([300, *spell("\n")], ["\n\n"])
    assert completion.text == "hello\n" == "".join(pieces)


def test_only_a_possible_stop_prefix_is_held_back() -> None:
    _, pieces = complete(spell("ab\nc"), ["\n\n"])
    assert pieces == ["a", "b", "\nc"]


def test_timings_only_cover_kept_tokens() -> None:
    completion, _ = complete([300, 301, 303, 303], ["\n\n"])  # tokens known at 0, 1, 2, 3 seconds
    answer = completion.answer(submitted_at=-3.0, started=-1.0, finished=3.5)
    assert answer.timings == {"queue_ms": 2000.0, "ttft_ms": 1000.0, "tpot_ms": 1000.0, "latency_ms": 6500.0}


def test_tpot_is_absent_with_a_single_token() -> None:
    answer = complete([300, EOS], [])[0].answer(0, 0, 0)
    assert "tpot_ms" not in answer.timings
    assert answer.absent == {"tpot_ms": "fewer than two output tokens"}


TOKENS = st.lists(st.sampled_from([*range(97, 100), *"é🙂".encode(), EOS, ROLE, *WORDS]), max_size=30)
STOPS = st.lists(st.sampled_from(["\n", "\n\n", "world", "D", "é", "🙂", "<|role|>", "a", "lo w", "c.\n"]), max_size=3)


@given(ids=TOKENS, stops=STOPS)
def test_streamed_pieces_join_to_the_whole_text(ids: list[int], stops: list[str]) -> None:
    streamed, pieces = complete(ids, stops)
    at_once = Completion(VOCABULARY, spell("prompt\n"), stops, 1000)
    for token in ids:
        if at_once.push(token, 0.0):
            break
    at_once.finish()
    assert "".join(pieces) == streamed.text == at_once.text
    assert streamed.finish_reason == at_once.finish_reason
    assert streamed.answer(0, 0, 0).output_ids == at_once.answer(0, 0, 0).output_ids
    visible = [stop for stop in stops if stop not in SPECIAL.values()]
    assert not any(stop in streamed.text for stop in visible)


@given(ids=TOKENS, prompt=TOKENS)
def test_an_answer_without_incomplete_characters_equals_decoding_the_whole(ids: list[int], prompt: list[int]) -> None:
    at_once = decode([i for i in ids if i not in SPECIAL])
    if "\ufffd" not in at_once and "\ufffd" not in decode([i for i in prompt if i not in SPECIAL]):
        assert decode_all(decode, SPECIAL, prompt, ids) == at_once


def test_text_is_consistent_if_an_incomplete_character_changes_earlier_ones() -> None:
    """The byte fallback of SentencePiece models does so."""

    def fallback(ids: list[int]) -> str:
        raw = bytes(ids)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "\ufffd" * len(raw)

    ids = list("日本".encode())[:4]
    pieces: list[str] = []
    vocabulary = Vocabulary(fallback, {}, ())
    streamed = Completion(vocabulary, [], [], 4, on_text=pieces.append)
    at_once = Completion(vocabulary, [], [], 4)
    stopping = Completion(vocabulary, [], ["never"], 4)
    for token in ids:
        for completion in (streamed, at_once, stopping):
            completion.push(token, 0.0)
    assert "".join(pieces) == streamed.text == at_once.text == stopping.text == "日\ufffd"


def test_tokens_after_the_end_are_ignored() -> None:
    completion, _ = complete([300], [], limit=1)
    assert completion.push(301, 9.0)
    assert completion.text == "hello"


@pytest.mark.parametrize("kept", [0, 1])
def test_no_token_of_a_stop_at_the_start_is_kept(kept: int) -> None:
    completion, _ = complete([*[300][:kept], 303, 301], ["\n"])
    assert len(completion.answer(0, 0, 0).output_ids) == kept


def spelled_by(kind: str) -> Callable[[list[int]], str]:
    """Return the decoder of a kind of tokenizer with 12 tokens; `sentencepiece` has byte fallback tokens."""
    from tokenizers import Tokenizer, decoders, models

    pieces = {
        "sentencepiece": ["▁the", "▁a", "ver", "<0xE6>", "<0x97>", "<0xA5>", "▁", "s", ".", "▁▁", "\n", "é"],
        "wordpiece": ["the", "a", "##ver", "##s", ".", ",", "'", "t", "do", "n't", "##é", "日"],
        "metaspace": ["▁the", "▁a", "ver", "▁", "s", ".", "▁▁", "\n", "é", "日", "x", "▁x"],
    }[kind]
    tokenizer = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, "the"))
    fallback = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = {
        "sentencepiece": lambda: decoders.Sequence(fallback),
        "wordpiece": lambda: decoders.WordPiece(cleanup=False),
        "metaspace": decoders.Metaspace,
    }[kind]()
    return partial(tokenizer.decode, skip_special_tokens=False)


@pytest.mark.parametrize("kind", ["sentencepiece", "wordpiece", "metaspace"])
@given(ids=st.lists(st.integers(0, 11), max_size=14), prompt=st.lists(st.integers(0, 11), max_size=8))
def test_the_whole_text_equals_the_joined_pieces_for_each_kind_of_tokenizer(
    kind: str, ids: list[int], prompt: list[int]
) -> None:
    decoder = spelled_by(kind)
    detokenizer = Detokenizer(decoder, {}, prompt)
    pieces = "".join([detokenizer.push(token)[0] for token in ids]) + detokenizer.flush()
    assert decode_all(decoder, {}, prompt, ids) == pieces
