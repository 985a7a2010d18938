"""What a load profile is: which inputs are handed to the model together, and when."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from hforch.config.schema import Job
from hforch.inputs import Input
from hforch.records.sample import Sample

Samples = list[Sample]


@dataclass(frozen=True)
class Batch:
    """Inputs that go through the model together.

    Attributes:
        repeat: which time the inputs are measured, from 0.
        index: its place in the plan, from 0.
    """

    repeat: int
    index: int
    inputs: Sequence[Input]


class LoadProfile:
    """How the inputs of a job reach its model in the measured phase."""

    def plan(self, job: Job, inputs: Sequence[Input]) -> list[Batch]:
        """Return all batches, the whole as often as it is measured.

        The same job and inputs always give the same plan: what shares a batch decides outputs, and a job that is
        resumed answers the batches of its plan that are missing.
        """
        raise NotImplementedError

    def run(self, batches: Sequence[Batch], answer: Callable[[Batch], Samples]) -> Generator[Samples, None, None]:
        """Let batches be answered, each at its time, and yield the samples of each when it has been answered.

        Args:
            batches: those of the plan that are left, in its order.
            answer: answers a batch, and returns its samples, failed ones too. It may be called from several threads at
                the same time; the job's wall time is that in which any batch was being answered.

        When the generator is closed, nothing more is asked, and no thread is left.
        """
        raise NotImplementedError
