"""Exceptions that hforch raises.

HforchError                  base class
├── ConfigError              invalid configuration or usage (exit code 2); holds every Mistake found
├── ModelError               the model cannot be used: not found, damaged, or of an unknown kind (exit code 2)
│   └── ModelUnavailable     the model cannot be loaded now: no network, disk full, a process died (exit code 1)
├── BackendError             a backend could not load the model (exit code 1)
├── PromptError              a prompt cannot be used: longer than the context, or a variable is missing
├── UnknownArgument          an unknown or invalid keyword argument of the Python API (also a TypeError)
├── NotAChatModel            a method of LangChain's chat models was called on an LLM (also a NotImplementedError)
└── GenerationError          generation failed
    └── OutOfMemory          an accelerator ran out of memory, while loading (also a BackendError) or generating

`cli.py` turns them into messages and exit codes; each job of a sweep has its own exit code, and the worst one is
returned. A missing device, library or model and an unsupported precision are configuration errors too: they are
detected before any work is done, and the exit code is 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hforch.utils.notebook import full_traceback, short_traceback
from hforch.utils.redaction import redacted, redacted_line, without_known

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNMET, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
LONGEST, LONGEST_VALUE = 600, 80  # maximum number of characters of a message line, and of a value quoted in it


def full_errors() -> bool:
    """Return whether to show tracebacks (HYDRA_FULL_ERROR=1, as in every Hydra app)."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def shown(text: str, longest: int = LONGEST) -> str:
    """Return external text as one line for a message.

    Control and other non-printable characters are written as Python escapes. Text longer than `longest`
    characters has its middle replaced with [...].
    """
    text = without_known(text)  # before truncating, which could split a credential
    visible = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return visible if len(visible) <= longest else f"{visible[: longest * 3 // 4]} [...] {visible[-longest // 4 :]}"


class HforchError(Exception):
    """The base class. `str(error)` is the message for the user: what is wrong, where, and how to fix it."""

    exit_code = EXIT_FAILED

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and notebooks print: the caller's lines and the message, without hforch's own frames.

        With HYDRA_FULL_ERROR=1, the whole traceback.
        """
        return full_traceback(self) if full_errors() else short_traceback(self)


@dataclass(frozen=True)
class Mistake:
    """An error in the configuration, or a questionable setting that is reported as a warning.

    Attributes:
        path: the dotted config path, such as `generation.max_new_tokens`; empty for the command line as a whole.
        problem: what is wrong, and what is allowed.
        where: the `file:line` or the override that set the value; None for a default.
        hint: how to fix it, such as the closest known name; None if there is no hint.
        relation: `set in`, or `at` if `where` is a line of a data file.
    """

    path: str
    problem: str
    where: str | None = None
    hint: str | None = None
    relation: str = "set in"

    def __str__(self) -> str:
        path, problem = shown(redacted_line(self.path)), shown(redacted_line(self.problem))
        lines = [f"{path}: {problem}" if path else problem]
        if self.where:
            lines.append(f"    {self.relation} {shown(redacted_line(self.where))}")
        if self.hint:
            lines.append(f"    {shown(redacted_line(self.hint))}")
        return "\n".join(lines)


class ConfigError(HforchError):
    exit_code = EXIT_USAGE

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)  # errors are pickled between processes


def message_of(error: BaseException) -> str:
    """Return an error's message with credentials removed."""
    return redacted(str(error)) if isinstance(error, ConfigError) else redacted_line(str(error))


def first_line(error: BaseException | str, longest: int = 400, with_type: bool = False) -> str:
    """Return the first non-blank line of an error's message, or the error's type if the message is empty.

    Args:
        error: an error, or its text.
        longest: the maximum length of the message.
        with_type: prefix the error's type, as in `ValueError: no such key`.
    """
    kind = "" if isinstance(error, str) else type(error).__name__
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:longest]
    return ": ".join(filter(None, (kind, said))) if with_type else said or kind


class ModelError(HforchError):
    """A model cannot be used. `path` is the invalid config key, such as `model.path`; None if there are several."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ModelUnavailable(ModelError):
    exit_code = EXIT_FAILED


class BackendError(HforchError):
    pass


class PromptError(HforchError):
    pass


class UnknownArgument(HforchError, TypeError):
    pass


class NotAChatModel(HforchError, NotImplementedError):
    pass


class GenerationError(HforchError):
    pass


class OutOfMemory(BackendError, GenerationError):
    """An accelerator ran out of memory.

    Attributes:
        shortage: what ran out, such as `out of memory on cuda:0: requested 2.1 GB, 0.9 of 150.8 GB free`.
        remedy: how to avoid it.
    """

    def __init__(self, shortage: str, remedy: str) -> None:
        super().__init__(f"{shortage}; {remedy}")
        self.shortage, self.remedy = shortage, remedy

    def __reduce__(self) -> tuple[type[OutOfMemory], tuple[str, str]]:
        return type(self), (self.shortage, self.remedy)  # errors are pickled between processes
