from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hforch.generation.stops import PrefixTable, StopFinder

few = st.text(alphabet="ab\n", max_size=12)
stops = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), min_size=1, max_size=3)


@given(text=few, stops=stops)
@example(text="x\n", stops=["\n", "\n\n"])
def test_the_longest_suffix_that_may_become_a_stop_is_held_back(text: str, stops: list[str]) -> None:
    size = PrefixTable(stops).at_end(text)
    may = [n for n in range(len(text) + 1) if any(len(s) > n and s.startswith(text[len(text) - n :]) for s in stops)]
    assert size == max(may, default=0)


@given(pieces=st.lists(few, max_size=6), stops=stops)
@example(pieces=["a", ".", "\n", "\n"], stops=["\n", ".\n\n"])
def test_the_end_does_not_depend_on_how_the_text_is_split(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    expected = min((at for stop in stops if (at := whole.find(stop)) >= 0), default=None)
    finder, text = StopFinder(stops), ""
    for piece in pieces:
        text += piece
        if (cut := finder.push(piece)) is not None:
            assert cut == expected == finder.safe
            return
        assert finder.safe == len(text) - PrefixTable(stops).at_end(text)
        assert expected is None or finder.safe <= expected
    assert finder.settle() == expected


@pytest.mark.parametrize(
    ("text", "stops", "cut"),
    [
        ("a\n\nb", ["\n", "\n\n"], 1),
        ("a\n\nb", ["\n\n", "\n"], 1),
        ("answer: 7 END.", ["END", "7"], 8),
        ("naïve 中文。", ["中文"], 6),
        ("🙂🙃", ["🙃"], 1),
    ],
)
def test_the_earliest_of_several_stops_ends_the_text(text: str, stops: list[str], cut: int) -> None:
    assert StopFinder(stops).push(text) == cut


def test_without_stops_nothing_is_held_back() -> None:
    finder = StopFinder([])
    assert finder.push("any text") is None
    assert finder.safe == 8


END, ROLE = "<|end|>", "<|role|>"


@pytest.mark.parametrize(
    ("parts", "stops", "cut"),
    [
        (["four", END], [END], 4),  # a special token matches as a whole
        (["four", END], ["<"], None),  # a part of its text does not match
        (["four", END], ["four<"], None),  # not even after visible text
        (["four", END, "\n", "x"], [END + "\n"], 4),  # it may be part of a longer stop
        (["four", END, "x"], [END + "\n"], None),
        (["fo", ROLE, "ur"], ["four"], 0),  # invisible tokens do not interrupt a stop
        (["a<|end", "|>b"], [END], 1),  # visible text that looks like a special token matches as well
    ],
)
def test_special_tokens_in_stops(parts: list[str], stops: list[str], cut: int | None) -> None:
    finder = StopFinder(stops, [END, ROLE])
    found = None
    for part in parts:
        found = finder.push(special=part) if part in (END, ROLE) else finder.push(part)
        if found is not None:
            break
    assert (found if found is not None else finder.settle()) == cut
