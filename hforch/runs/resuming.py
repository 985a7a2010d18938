"""Read the results of a stopped run and find its complete batches, which are not run again."""

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

ANEW = "start a new run in another directory"
ROUNDS = "runtime.rounds"
"""The key that may be increased when a run is resumed, to measure more rounds."""


@dataclass(frozen=True)
class PreviousRun:
    """The results of a run before it is resumed.

    Attributes:
        record: its record.
        samples: its samples.
        answered: the input ids of complete batches, by repeat and batch index.
    """

    record: dict[str, Any]
    samples: Samples
    answered: Mapping[tuple[int, int], frozenset[str]]

    def has(self, batch: Batch) -> bool:
        """Return whether a batch of the same inputs was completed."""
        return self.answered.get((batch.repeat, batch.index), frozenset()) == {each.id for each in batch.inputs}

    def has_all(self, batches: Sequence[Batch]) -> bool:
        return all(self.has(batch) for batch in batches)

    def wants(self, repeats: int) -> Callable[[Mapping[str, Any]], bool]:
        """Return a filter of samples that accepts those of complete batches."""

        def wanted(sample: Mapping[str, Any]) -> bool:
            place = sample["repeat"], sample["batch"]["index"]
            return place in self.answered and place[0] < repeats

        return wanted


def previous_run(directory: Path, skip_damaged: bool = False) -> PreviousRun | None:
    """Return the earlier results in a run's directory, or None if it has no record.

    Args:
        directory: the directory of the run.
        skip_damaged: treat damaged sample lines as missing.

    Raises:
        ConfigError: the record cannot be read, or there are damaged lines and `skip_damaged` is false.
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
    """Return an error for each setting that changed since a job was started.

    A resumed job must be the same, except that it may have more rounds.

    Args:
        before: the earlier record, with `job` and `job_id`; without `job` if the job had not started.
        now: the new record.
    """
    if not before.get("job"):
        return []
    old, new = dict(_flat(before["job"])), dict(_flat(now["job"]))
    old = dict(_flat(with_added_keys(before["job"]))) | old  # add keys that are newer than the record
    for path in before.get("redacted") or []:  # the job id shows whether redacted values have changed
        for values in (old, new):
            for found in [one for one in values if f"{one}.".startswith(f"{path}.")]:
                del values[found]
    mistakes = [
        Mistake(
            path, f"changed from {_describe(old, path)} to {_describe(new, path)} since the run started", None, ANEW
        )
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not affects(path, others(SAME_RUN)) and path != ROUNDS
    ]
    if new[ROUNDS] < old[ROUNDS]:
        problem = f"must be at least {old[ROUNDS]}, the number of rounds of the run so far; got {new[ROUNDS]}"
        mistakes.append(Mistake(ROUNDS, problem, None, ANEW))
    if not mistakes and before.get("job_id") not in (None, now["job_id"]):
        if now.get("from_env"):
            read = ", ".join(f"{path}={text}" for path, text in now["from_env"].items())
            problem = f"environment variables ({read}) or the contents of the inputs have changed since the run started"
            return [Mistake("", problem, None, f"restore the variables, or {ANEW}")]
        return [Mistake("inputs", "the contents have changed since the run started", None, ANEW)]
    return mistakes


def _describe(values: Mapping[str, Any], path: str) -> str:
    return repr(values[path]) if path in values else "unset"


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    items = enumerate(tree) if isinstance(tree, list | tuple) else tree.items() if isinstance(tree, Mapping) else None
    if items is None:
        yield path, tree
        return
    for key, value in items:
        yield from _flat(value, f"{path}.{key}".lstrip("."))
