from __future__ import annotations

import pickle

import pytest

from hforch.errors import ConfigError, HforchError, Mistake, UnknownArgument, first_line


def test_a_config_error_can_be_pickled() -> None:
    error = ConfigError([Mistake("a.b", "is wrong", "here", "do this"), Mistake("c", "too")])
    again = pickle.loads(pickle.dumps(error))
    assert again.mistakes == error.mistakes
    assert str(again) == str(error) == "a.b: is wrong\n    set in here\n    do this\nc: too"


def test_equal_mistakes_are_reported_once() -> None:
    assert len(ConfigError([Mistake("a", "b"), Mistake("a", "b")]).mistakes) == 1


def test_every_error_has_an_exit_code_and_is_in_the_module_docstring() -> None:
    import hforch.errors as errors

    def below(kind: type[HforchError]) -> set[type[HforchError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__() if each.__module__ == errors.__name__))

    for kind in below(HforchError):
        assert kind.exit_code in (1, 2)
        assert kind.__name__ in str(errors.__doc__)
    assert issubclass(UnknownArgument, TypeError)


@pytest.mark.parametrize(
    ("error", "line", "with_type"),
    [
        (ValueError("\n  no such key  \nTraceback ..."), "no such key", "ValueError: no such key"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError(" \n "), "ValueError", "ValueError"),
        ("first\nsecond", "first", "first"),
        ("", "", ""),
    ],
)
def test_the_first_line_of_an_error_is_never_blank(error: Exception | str, line: str, with_type: str) -> None:
    assert first_line(error) == line
    assert first_line(error, with_type=True) == with_type


def test_a_long_first_line_is_truncated() -> None:
    assert first_line("x" * 1000) == "x" * 400
    assert first_line(ValueError("x" * 1000), 10, with_type=True) == f"ValueError: {'x' * 10}"
