"""The base class of all kinds of checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from hforch.errors import LONGEST_VALUE, Mistake, shown
from hforch.utils.strict_model import NonEmpty, StrictModel

Sample = Mapping[str, Any]
LONGEST_NAME, LONGEST_SEEN = 60, 120  # maximum number of characters of a value in a check's name, and in a reason


class Column(StrictModel):
    """A column of the inputs, used instead of one value for all inputs.

    Attributes:
        separator: what separates several accepted values in a string, for files that have no lists, such as CSV; null:
            a string is one value.
    """

    column: NonEmpty
    separator: NonEmpty | None = None

    def cell(self, value: Any) -> Any:
        """Return the content of a cell: a list if the separator splits it."""
        if self.separator is None or not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(self.separator) if part.strip()]


class Verdict(NamedTuple):
    """Whether a check's condition holds for an answer, and a description of the answer for the user."""

    holds: bool
    seen: str


class Undecided(Exception):
    """Raised when a check cannot be evaluated; the check then fails, even if negated. The message is the reason."""


class Check(StrictModel):
    """A check. Each kind is a module of `hforch/checks/kinds/` that assigns its Check subclass to CHECK.

    Attributes:
        kind: the name of the module, as a Literal.
        value: the value that answers are compared with, or the column of the inputs that contains it.
        negate: whether to invert the result.
        passed_when: when an answer passes, for docs/checks.md.
        example: an example in YAML, for docs/checks.md.
        defaults: the default values of all optional keys.
        strips_value: whether `checks.strip` also applies to the value.
        takes_lists: whether a list is one value; otherwise, a list in a column contains several accepted values.
        holds_checks: whether the value is a list of checks (`members`).
        is_quoted: whether the value is quoted in the check's name.
    """

    kind: str
    value: Any
    negate: bool

    passed_when: ClassVar[str]
    example: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {"negate": False}
    strips_value: ClassVar[bool] = False
    is_quoted: ClassVar[bool] = True
    takes_lists: ClassVar[bool] = False
    holds_checks: ClassVar[bool] = False

    @property
    def members(self) -> tuple[Check, ...]:
        """The checks that this check combines."""
        return ()

    @property
    def name(self) -> str:
        """The name of the check, such as `contains 'Paris'`, or `not equals {expected}` for a column."""
        return " ".join(["not"] * self.negate + [self.kind, self.describe_value()])

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        """Compare an answer with a value.

        Args:
            text: the answer.
            expected: the value, as returned by `prepare`.
            sample: the answer's record, with text, input, output_tokens, finish_reason and more.

        Raises:
            Undecided: the result is unknown.
        """
        raise NotImplementedError

    @classmethod
    def prepare(cls, value: Any) -> Any:
        """Convert a value to the form that `judge` expects.

        Args:
            value: a literal, the content of a column (a CSV file has only strings), or the text of the file that
                `file_of` names.

        Raises:
            ValueError: the value is invalid; the message is appended to the value, as in "5 must be a string".
        """
        return as_text(value)

    @classmethod
    def alternatives(cls, value: Any) -> list[Any]:
        """Convert the content of a column to the values of which an answer must match one.

        Raises:
            ValueError: a value is invalid, or the list is empty.
        """
        if not isinstance(value, list | tuple) or cls.takes_lists:
            return [cls.prepare(value)]
        if not value:
            raise ValueError("is an empty list")
        return [cls.prepare(one) for one in value]

    @classmethod
    def file_of(cls, value: Any) -> str | None:
        """Return the path if a literal is the path of a file with the value; None if the literal is the value."""
        return None

    @classmethod
    def mistakes(cls, keys: Mapping[str, Any], path: str, strip: bool) -> Iterator[Mistake]:
        """Yield errors in combinations of keys that are valid individually.

        Args:
            keys: all keys of the check.
            path: the config path of its value, such as `checks.items.0.equals`.
            strip: the value of `checks.strip`.
        """
        yield from ()

    def describe_value(self) -> str:
        """Return the value as it appears in the check's name."""
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
    """Return a string unchanged, and a number or boolean as JSON.

    Raises:
        ValueError: the value has another type.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Mapping | list | tuple):
        raise ValueError(f"must be a string or a number; got {brief(value)}")
    return json.dumps(value)


def as_some_text(value: Any) -> str:
    """Return `as_text(value)`, but reject the empty string, which every answer contains.

    Raises:
        ValueError: the value is empty or has another type.
    """
    text = as_text(value)
    if not text:
        raise ValueError("is empty")
    return text


def brief(value: Any) -> str:
    """Return a value as it appears in messages."""
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return shown(repr(value), LONGEST_VALUE)


def quoted(text: str, longest: int = LONGEST_SEEN) -> str:
    """Return a string in quotes, shortened to `longest` characters."""
    return f"'{shown(text, longest)}'"
