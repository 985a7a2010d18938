"""The base class of load profiles, which decide which inputs are sent to the model together, and when."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from hforch.config.schema import Job
from hforch.inputs import Input
from hforch.records.sample import Sample

Samples = list[Sample]


@dataclass(frozen=True)
class Batch:
    """Inputs that are processed together.

    Attributes:
        repeat: the number of the repeat, from 0, over all rounds.
        index: the position of the batch in the plan, from 0.
        round: the number of the round, from 0.
    """

    repeat: int
    index: int
    inputs: Sequence[Input]
    round: int = 0


class LoadProfile:
    """A schedule by which the inputs of a job are sent to the model in the measured phase."""

    def plan(self, job: Job, inputs: Sequence[Input]) -> list[Batch]:
        """Return the batches of all repeats of one round.

        The plan must be deterministic, because outputs depend on the inputs in a batch, and a resumed job runs the
        missing batches of its plan.
        """
        raise NotImplementedError

    def run(self, batches: Sequence[Batch], answer: Callable[[Batch], Samples]) -> Generator[Samples, None, None]:
        """Run each batch at its scheduled time, and yield its samples when it is finished.

        When the generator is closed, it starts no more batches and leaves no thread running.

        Args:
            batches: the remaining batches of the plan, in its order.
            answer: runs a batch and returns its samples, including failed ones. Several threads may
                call it at the same time; the job's wall time is the time during which at least one batch was running.
        """
        raise NotImplementedError
