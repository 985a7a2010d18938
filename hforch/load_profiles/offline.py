"""Offline load: all inputs are available from the start, and batches run one after another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from hforch.backends.base import batches
from hforch.config.schema import Job
from hforch.inputs import Input
from hforch.load_profiles.base import Batch, LoadProfile, Samples
from hforch.prompts import build_prompt, variables_of


class OfflineLoad(LoadProfile):
    def plan(self, job: Job, inputs: Sequence[Input]) -> list[Batch]:
        names = build_prompt(job.prompt).input_variables
        lengths = [_length(variables_of(each.item, job.prompt, names)) for each in inputs]
        chunks = [[inputs[place] for place in batch] for batch in batches(job, lengths)]
        repeats = range(job.runtime.repeat)
        return [Batch(repeat, index, chunk) for repeat in repeats for index, chunk in enumerate(chunks)]

    def run(self, batches: Sequence[Batch], answer: Callable[[Batch], Samples]) -> Generator[Samples, None, None]:
        for batch in batches:
            yield answer(batch)


def _length(variables: Mapping[str, Any]) -> int:
    """Return the number of characters that an input adds to its prompt: an estimate that needs no tokenizer."""
    return sum(len(str(value)) for value in variables.values())


PROFILE = OfflineLoad()
