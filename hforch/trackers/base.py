"""The base class of trackers, external services that receive results after they are saved to disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from hforch.errors import Mistake
from hforch.utils.strict_model import StrictModel

Values = Mapping[str, Any]
"""JSON values, with credentials redacted."""


class TrackerOptions(StrictModel):
    """The keys of a tracker's option file in `conf/tracker/`.

    Attributes:
        kind: the name of the tracker, as a Literal.
    """

    kind: str


class Tracker:
    """A tracker, opened for one command. All methods are called one at a time, in the command's process.

    An exception that a method raises is shown once, as a warning; the tracker is then not called again, and jobs
    continue. Slow methods delay jobs, so do slow work in a thread.

    Each job passed to a method has these keys: number, label, directory, overrides, and job (its configuration).

    Args:
        options: the jobs' options. The tracker receives all jobs with equal options.

    Attributes:
        Options: the class of its options.
        gets_results: whether the tracker receives results.
    """

    Options: ClassVar[type[TrackerOptions]]
    gets_results: ClassVar[bool] = True

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    def mistakes(cls, options: Any) -> Iterator[Mistake]:
        """Yield errors in options that cannot be used on this machine, such as a library that is not installed.

        Called before any model is loaded.
        """
        yield from ()

    def begin(self, directory: str, jobs: Sequence[Values], resumed: bool) -> None:
        """Start tracking a run or sweep.

        Args:
            directory: its output directory.
            jobs: the jobs that will run; in a resumed sweep, only the incomplete ones.
            resumed: whether an earlier run or sweep is resumed.
        """

    def begin_job(self, job: Values) -> None:
        """Start tracking a job."""

    def add_sample(self, job: Values, sample: Values) -> None:
        """Add the result of an input. `sample` is its line of samples.jsonl.

        A batch that was interrupted runs again when the job is resumed; input_id and repeat identify the answer.
        """

    def end_job(self, job: Values, record: Values) -> None:
        """Finish a job. `record` is its record.json without the key `plan`; its status shows how the job ended.

        A job with `same_as` in its record did not run: its results are those of an identical job.
        """

    def end(self, status: str) -> None:
        """Finish the run or sweep. `status` is `ok`, `failed` or `interrupted`."""
