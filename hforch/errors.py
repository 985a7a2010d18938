"""Everything that hforch raises on purpose.

HforchError                  what went wrong, and what to do about it
├── ConfigError              the configuration or the usage is wrong (exit code 2); holds every Mistake found
├── ModelError               the weights that were asked for are not to be had: not found, damaged, of an unknown kind
│   └── ModelUnavailable     they could not be had this time: no network, a full disk, a process that died (exit code 1)
├── BackendError             a backend could not load the model (exit code 1)
├── PromptError              one prompt cannot be answered: longer than the context, a variable is missing
├── UnknownArgument          a name passed per call that generation does not know (also a TypeError)
└── GenerationError          generation failed half way
    └── OutOfMemory          an accelerator has no memory left, while loading (a BackendError too) or generating

`cli.py` is the one place that turns them into messages and exit codes. A missing device or library, a refused
precision and a model that is not there are mistakes of the configuration too: they are met before any work is done, and
exit with 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hforch.utils.redaction import redacted, redacted_line, without_known

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNMET, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
LONGEST, LONGEST_VALUE = 600, 80  # characters of a line of a message, and of a value that it repeats


def full_errors() -> bool:
    """Whether tracebacks are wanted: HYDRA_FULL_ERROR=1, as for every Hydra app."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def shown(text: str, longest: int = LONGEST) -> str:
    """Text that somebody wrote, fit for one line of a message.

    What has no shape of its own on a terminal, or would move things about there, is written as in Python; of a text of
    more than `longest` characters, the middle is left out.
    """
    text = without_known(text)  # before its middle is left out
    visible = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return visible if len(visible) <= longest else f"{visible[: longest * 3 // 4]} [...] {visible[-longest // 4 :]}"


class HforchError(Exception):
    """The root. `str(error)` is a message for people: what was wrong, where, and what to do."""

    exit_code = EXIT_FAILED


@dataclass(frozen=True)
class Mistake:
    """One thing wrong with a configuration, or worth a second look (then it is told as a warning).

    Attributes:
        path: the dotted config path, such as `generation.max_new_tokens`; empty for the command line as a whole.
        problem: what is wrong, and what would be allowed.
        where: where it was written: `file:line`, or the override as typed; None when nobody wrote it.
        hint: what to do, such as the nearest known name; None when there is nothing to add.
    """

    path: str
    problem: str
    where: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        path, problem = shown(redacted_line(self.path)), shown(redacted_line(self.problem))
        lines = [f"{path}: {problem}" if path else problem]
        if self.where:
            lines.append(f"    written in {shown(redacted_line(self.where))}")
        if self.hint:
            lines.append(f"    {shown(redacted_line(self.hint))}")
        return "\n".join(lines)


class ConfigError(HforchError):
    exit_code = EXIT_USAGE

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)  # it travels between processes


def message_of(error: BaseException) -> str:
    """Return an error's message without credentials."""
    return redacted(str(error)) if isinstance(error, ConfigError) else redacted_line(str(error))


class ModelError(HforchError):
    """`path` is the key of the configuration that is to blame, such as `model.path`; None if it is no single one."""

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


class GenerationError(HforchError):
    pass


class OutOfMemory(BackendError, GenerationError):
    """An accelerator has no memory left.

    Attributes:
        shortage: what is short, such as `out of memory on cuda:0: asked for 2.1 GB, 0.9 of 150.8 GB free`.
        remedy: what to do.
    """

    def __init__(self, shortage: str, remedy: str) -> None:
        super().__init__(f"{shortage}; {remedy}")
        self.shortage, self.remedy = shortage, remedy

    def __reduce__(self) -> tuple[type[OutOfMemory], tuple[str, str]]:
        return type(self), (self.shortage, self.remedy)  # it travels between processes
