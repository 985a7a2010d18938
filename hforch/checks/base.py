"""What a kind of check is: its keys, what it compares answers with, and how it judges them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from hforch.errors import LONGEST_VALUE, Mistake, shown
from hforch.utils.strict_model import NonEmpty, StrictModel

Sample = Mapping[str, Any]
LONGEST_NAME, LONGEST_SEEN = 60, 120  # characters of a value in a check's name, and in the reason why it was not passed


class Column(StrictModel):
    """What a column of the input says, instead of one value for all inputs."""

    column: NonEmpty


class Verdict(NamedTuple):
    """Whether what a check says of an answer is so, and what was seen in the answer, for people."""

    holds: bool
    seen: str


class Undecided(Exception):
    """Nobody can know whether a check's statement holds, so it is not passed, negated or not. The message says why."""


class Check(StrictModel):
    """A check of one kind. A kind is a module of `hforch/checks/kinds/` with a subclass, which it names CHECK.

    Attributes:
        kind: the name of the module, as a Literal.
        value: what answers are compared with, or the column of the inputs that holds it.
        negate: whether the check is passed where it otherwise is not.
        passed_when: when an answer passes, for docs/checks.md.
        example: how such a check is written, for docs/checks.md.
        defaults: the values of all keys that may be left out.
        strips_value: whether `checks.strip` applies to the value too.
        is_quoted: whether the check's name has the value in quotes.
    """

    kind: str
    value: Any
    negate: bool

    passed_when: ClassVar[str]
    example: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {"negate": False}
    strips_value: ClassVar[bool] = False
    is_quoted: ClassVar[bool] = True

    def judge(self, text: str, wanted: Any, sample: Sample) -> Verdict:
        """Compare an answer with a value.

        Args:
            text: the answer.
            wanted: the value, as `prepare` returned it.
            sample: the answer's record; it has text, input, output_tokens, finish_reason and more.

        Raises:
            Undecided: nobody can know.
        """
        raise NotImplementedError

    @classmethod
    def prepare(cls, value: Any) -> Any:
        """Return a value as `judge` takes it.

        Args:
            value: a literal, what a column holds (a CSV file has texts only), or the text of the file that `file_of`
                names.

        Raises:
            ValueError: such a check cannot use it; the message is the end of a sentence about it.
        """
        return as_text(value)

    @classmethod
    def file_of(cls, value: Any) -> str | None:
        """Return the path of the file that a literal names, whose text is the value; None if it is the value itself."""
        return None

    @classmethod
    def mistakes(cls, keys: Mapping[str, Any], path: str, strip: bool) -> Iterator[Mistake]:
        """Yield what is wrong with a check whose keys are all valid alone.

        Args:
            keys: all of them.
            path: where its value was written, such as `checks.items.0.equals`.
            strip: the value of `checks.strip`.
        """
        yield from ()

    def describe_value(self) -> str:
        """Return the value as the check's name has it."""
        value = self.value
        if isinstance(value, Column):
            return f"{{{value.column}}}"
        if isinstance(value, tuple):
            return " or ".join(value)
        if isinstance(value, Mapping):
            return shown(json.dumps(value, ensure_ascii=False, default=str), LONGEST_NAME)
        if isinstance(value, str) and self.is_quoted:
            return quoted(value, LONGEST_NAME)
        return shown(str(value), LONGEST_NAME)


def as_text(value: Any) -> str:
    """Return a text as it is, and a number or a truth value as JSON writes it.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Mapping | list | tuple):
        raise ValueError(f"must be a text or a number; it is {brief(value)}")
    return json.dumps(value)


def as_some_text(value: Any) -> str:
    """Return the same, but for an empty text, which every answer holds.

    Raises:
        ValueError: it is empty, or no text.
    """
    text = as_text(value)
    if not text:
        raise ValueError("is empty")
    return text


def brief(value: Any) -> str:
    """Return a value as messages show it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return shown(repr(value), LONGEST_VALUE)


def quoted(text: str, longest: int = LONGEST_SEEN) -> str:
    """Return a text in quotes, shortened."""
    return f"'{shown(text, longest)}'"
