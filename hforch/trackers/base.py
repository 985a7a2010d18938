"""What a tracker is: something outside of hforch that gets a copy of results, after they are safe on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from hforch.errors import Mistake
from hforch.utils.strict_model import StrictModel

Values = Mapping[str, Any]
"""Plain values: what JSON has, without credentials."""


class TrackerOptions(StrictModel):
    """The keys of a tracker's option in `conf/tracker/`.

    Attributes:
        kind: the name of the tracker, as a Literal.
    """

    kind: str


class Tracker:
    """A tracker, opened for one command. All methods are called in the process that the command runs in, in turn.

    Whatever a method raises is a warning, once; the tracker then gets nothing more, and jobs go on. What takes long
    delays them: do it in a thread.

    Args:
        options: those that jobs were given. The tracker gets all jobs with equal options.

    A job, wherever it is passed, has these keys: number, label, directory, overrides, and job, its configuration.

    Attributes:
        Options: the type of its options.
        gets_results: whether it has anything to do.
    """

    Options: ClassVar[type[TrackerOptions]]
    gets_results: ClassVar[bool] = True

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    def mistakes(cls, options: Any) -> Iterator[Mistake]:
        """Yield what of its options cannot be used on this machine, such as a library that is not installed.

        Asked before anything is loaded.
        """
        yield from ()

    def begin(self, directory: str, jobs: Sequence[Values], resumed: bool) -> None:
        """A run or sweep begins.

        Args:
            directory: its output directory.
            jobs: those that will run; of one that is resumed, those that were not complete.
            resumed: whether it goes on with an earlier one.
        """

    def begin_job(self, job: Values) -> None:
        """A job begins."""

    def add_sample(self, job: Values, sample: Values) -> None:
        """An input was answered. `sample` is its line of samples.jsonl.

        A batch that is interrupted is answered again when the job is resumed; input_id and repeat name the answer.
        """

    def end_job(self, job: Values, record: Values) -> None:
        """A job has ended. `record` is its record.json, without the key `plan`; its status says how it ended.

        A job with `same_as` in its record was not run itself: its results are those of another.
        """

    def end(self, status: str) -> None:
        """All is over: `ok`, `failed` or `interrupted`."""
