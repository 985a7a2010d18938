"""`hforch.compare`: compare runs and sweeps from their records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hforch.api.as_arguments import as_argument
from hforch.api.results import ComparisonResult, RunResult, SweepResult
from hforch.comparison.baselines import read_baseline
from hforch.comparison.bounds import read_bounds, read_optimize
from hforch.comparison.choosing import MARGIN
from hforch.comparison.decision import Criteria
from hforch.comparison.entries import readable_jobs
from hforch.comparison.table import compare as compare_entries
from hforch.errors import ConfigError, Mistake
from hforch.records.intervals import CONFIDENCE
from hforch.utils.paths import expanded

Source = str | Path | RunResult | SweepResult
Value = TypeVar("Value")


def compare(
    *directories: Source | Iterable[Source],
    baseline: str | Mapping[str, Any] | None = None,
    require: str | Sequence[str] = (),
    optimize: str | Sequence[str] | None = None,
    worst: int = 3,
    confidence: float = CONFIDENCE,
    margin: float = MARGIN,
    strict: bool = False,
    skip_damaged: bool = False,
) -> ComparisonResult:
    """Compare runs and sweeps, like `hforch compare DIR...`, using only their records.

    Args:
        directories: directories of runs and sweeps, or results of `run` and `sweep`.
        baseline: the settings of the job that outputs are compared with, such as `{"precision": "fp32"}` or
            `"precision=fp32"`; None: the most precise job.
        require: requirements, such as `"checks>=0.9"`.
        optimize: the metric by which to recommend one of the jobs that meet the requirements, or several, of which the
            later ones decide between jobs that tie.
        worst: the number of samples per job whose differences `rows` contain.
        confidence: the confidence level of intervals and tests, at least 0.5 and less than 1.
        margin: the largest relative difference that counts as a tie, at least 0 and less than 1.
        strict: whether jobs qualify only if the data confirms that they meet the requirements.
        skip_damaged: skip invalid lines of samples.jsonl and unreadable records.

    Returns:
        The rows, the baseline and the decision. That no job meets the requirements is not an error: then there is no
        `winner`, and `decision.reason` names the closest job. There is no `winner` either if `decision.outcome` is
        `"undecided"`: then `decision.reason` states what to measure.

    Raises:
        ConfigError: directories contain no records, or arguments are invalid; the message lists every error.

    Example:
        found = hforch.compare("outputs/cost", require="kl_mean<=0.05", optimize="tokens_per_s")
        print(found.decision.reason)
    """
    mistakes: list[Mistake] = []
    paths = list(_paths(directories))
    if not paths:
        mistakes.append(Mistake("", "compare requires a directory", None, 'hforch.compare("outputs/2026-11-23")'))
    if worst < 0:
        mistakes.append(Mistake("", f"worst must be at least 0; got {worst}"))
    if isinstance(baseline, Mapping):
        baseline = ",".join(f"{key}={value}" for key, value in baseline.items())
    settings = _valid(lambda: read_baseline(baseline), mistakes)
    bounds = _valid(lambda: read_bounds([require] if isinstance(require, str) else list(require)), mistakes) or []
    metrics = _valid(lambda: read_optimize(optimize), mistakes) or []
    if not 0.5 <= confidence < 1:
        mistakes.append(Mistake("", f"confidence must be at least 0.5 and less than 1; got {confidence:g}"))
    if not 0 <= margin < 1:
        mistakes.append(Mistake("", f"margin must be at least 0 and less than 1; got {margin:g}"))
    entries, unread = readable_jobs(paths) if paths else ([], [])
    mistakes += [] if skip_damaged and entries else unread
    if mistakes:
        raise ConfigError(mistakes)
    table = compare_entries([replace(one, skips_damaged=skip_damaged) for one in entries], settings, worst, confidence)
    return ComparisonResult(table, Criteria(bounds, metrics, confidence, margin, strict).decide(table))


def _paths(sources: Iterable[Source | Iterable[Source]]) -> Iterator[Path]:
    """Yield the directories, also those in lists."""
    for source in sources:
        if isinstance(source, RunResult | SweepResult):
            yield source.directory
        elif isinstance(source, str | Path):
            yield expanded(source)
        else:
            yield from _paths(source)


def _valid(read: Callable[[], Value], mistakes: list[Mistake]) -> Value | None:
    """Return the result of `read`, or None if it raises ConfigError, whose errors are appended."""
    try:
        return read()
    except ConfigError as error:
        mistakes += [as_argument(one) for one in error.mistakes]
        return None
