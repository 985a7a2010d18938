"""What a run that was stopped has left behind, and what of it need not be done again: batches that are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.added_keys import with_added_keys
from hforch.config.affects import SAME_RUN, others
from hforch.config.keys import affects
from hforch.errors import Mistake
from hforch.records.record_files import RECORD, known_record
from hforch.records.sample_lines import Samples

if TYPE_CHECKING:
    from hforch.load_profiles.base import Batch

ANEW = "run it anew, in another directory"


@dataclass(frozen=True)
class PreviousRun:
    """An earlier piece of a run.

    Attributes:
        record: as it was left.
        samples: which it has left.
        answered: the inputs of the batches that were answered as a whole, by repeat and batch.
    """

    record: dict[str, Any]
    samples: Samples
    answered: Mapping[tuple[int, int], frozenset[str]]

    def has(self, batch: Batch) -> bool:
        """Whether every input of the batch was answered, and in this company."""
        return self.answered.get((batch.repeat, batch.index), frozenset()) == {each.id for each in batch.inputs}

    def has_all(self, batches: Sequence[Batch]) -> bool:
        return all(self.has(batch) for batch in batches)

    def wants(self, repeats: int) -> Callable[[Mapping[str, Any]], bool]:
        """Which sample lines to keep: those of whole batches."""

        def wanted(sample: Mapping[str, Any]) -> bool:
            place = sample["repeat"], sample["batch"]["index"]
            return place in self.answered and place[0] < repeats

        return wanted


def previous_run(directory: Path, skip_damaged: bool = False) -> PreviousRun | None:
    """What is in a run's directory; None if no run has begun there.

    Args:
        skip_damaged: take lines that are no samples of this run for missing.

    Raises:
        ConfigError: its record cannot be read, or such lines are not to be skipped.
    """
    if not (directory / RECORD).exists():
        return None
    record = known_record(directory)
    planned = [frozenset(ids) for ids in record.get("plan") or []]
    answered: dict[tuple[int, int], set[str]] = {}
    failed: set[tuple[int, int]] = set()
    samples = Samples(directory, record)
    for sample in samples:
        place = sample["repeat"], sample["batch"]["index"]
        if sample["error"] is None:
            answered.setdefault(place, set()).add(sample["input_id"])
        else:
            failed.add(place)
    if not skip_damaged:
        samples.refuse()
    whole = {
        place: frozenset(ids)
        for place, ids in answered.items()
        if place not in failed and 0 <= place[1] < len(planned) and ids == planned[place[1]]
    }
    return PreviousRun(record, samples, whole)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Mistake]:
    """What of a job is not as it was; a job that is resumed must be the same.

    Args:
        before, now: `job` and `job_id` of both; none of `before` if the job had not begun.
    """
    if not before.get("job"):
        return []
    old, new = dict(_flat(before["job"])), dict(_flat(now["job"]))
    old = dict(_flat(with_added_keys(before["job"]))) | old  # the record may be older than some keys
    for path in before.get("redacted") or []:  # the job id tells whether they are what they were
        for values in (old, new):
            for found in [one for one in values if f"{one}.".startswith(f"{path}.")]:
                del values[found]
    mistakes = [
        Mistake(path, f"was {_describe(old, path)} when this was begun, and is {_describe(new, path)} now", None, ANEW)
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not affects(path, others(SAME_RUN))
    ]
    if not mistakes and before.get("job_id") not in (None, now["job_id"]):
        if now.get("from_env"):
            read = ", ".join(f"{path}={text}" for path, text in now["from_env"].items())
            problem = f"what the environment gives ({read}), or the inputs' contents, are not what they were"
            return [Mistake("", problem, None, f"set the variables as they were, or {ANEW}")]
        return [Mistake("inputs", "their contents are not what they were when this was begun", None, ANEW)]
    return mistakes


def _describe(values: Mapping[str, Any], path: str) -> str:
    return repr(values[path]) if path in values else "not there"


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    items = enumerate(tree) if isinstance(tree, list | tuple) else tree.items() if isinstance(tree, Mapping) else None
    if items is None:
        yield path, tree
        return
    for key, value in items:
        yield from _flat(value, f"{path}.{key}".lstrip("."))
