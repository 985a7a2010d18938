"""The results of `hforch.run`, `hforch.sweep` and `hforch.compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.api.tables import to_dataframe, to_html
from hforch.comparison.decision import Decision
from hforch.comparison.entries import Entry, samples_of
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.metrics.registry import ALL
from hforch.report.comparison_tables import tables
from hforch.report.export import to_rows
from hforch.report.wording import ENDS, failure, item_line, summary_lines

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RunResult:
    """A run, or a job of a sweep, as read from its directory.

    In a notebook, it is shown as a table of its samples.
    """

    entry: Entry

    @property
    def directory(self) -> Path:
        """The directory of the run."""
        return self.entry.directory

    @property
    def record(self) -> Mapping[str, Any]:
        """The contents of record.json."""
        return self.entry.record

    @cached_property
    def samples(self) -> Sequence[Mapping[str, Any]]:
        """The lines of samples.jsonl: input, prompt, text, token ids, finish reason, timings, checks, error."""
        found: list[Mapping[str, Any]] = list(samples_of(self.entry))
        return sorted(found, key=lambda sample: (sample["repeat"], sample["index"]))

    @property
    def status(self) -> str:
        """`ok`, `failed`, `interrupted`, ..."""
        return str(self.record["status"])

    @property
    def answers(self) -> list[str | None]:
        """The text of each sample, in input order; None for a failed one."""
        return [None if sample["error"] else str(sample["text"]) for sample in self.samples]

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """The measurements by name; docs/metrics.md defines them."""
        values = {metric.name: metric.read(self.record) for metric in ALL}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def error(self) -> str | None:
        """The error that ended the run, with the path of its log; None if it succeeded."""
        return failure(self.record, str(self.directory))

    @property
    def warnings(self) -> Sequence[str]:
        """The warnings of the run."""
        return list(self.record.get("warnings") or ())

    @property
    def checks(self) -> tuple[int, int] | None:
        """The numbers of passed checks and of all checks; None if the job has no checks."""
        counted = (self.record.get("totals") or {}).get("checks")
        return (int(counted["passed"]), int(counted["total"])) if counted else None

    def to_pandas(self) -> DataFrame:
        """Return the samples as a DataFrame, one row per sample.

        Raises:
            HforchError: pandas is not installed.
        """
        return to_dataframe([_flat(sample) for sample in self.samples])

    def _repr_html_(self) -> str:
        headers = ["input", "answer", "end"]
        has_checks = any(sample.get("checks") for sample in self.samples)
        rows = [_cells(sample, has_checks) for sample in self.samples]
        return to_html([*headers, *(["checks"] if has_checks else [])], rows, notes=self._summary())

    def __repr__(self) -> str:
        return f"RunResult({self.status}: {'; '.join(self._summary())})"

    def _summary(self) -> list[str]:
        return [*summary_lines(self.record, str(self.directory)), *([self.error] if self.error else [])]


@dataclass(frozen=True)
class ComparisonResult:
    """A comparison of jobs.

    In a notebook, it is shown as tables.

    Attributes:
        table: the rows and notes.
        decision: the result of the requirements and of the metric to optimize; None if neither was passed.
    """

    table: Comparison
    decision: Decision | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The jobs, with the settings that differ (`axes`), metrics, baseline and notes."""
        return self.table.rows

    @property
    def notes(self) -> Sequence[str]:
        """Notes on all jobs."""
        return self.table.notes

    @property
    def baseline(self) -> str | None:
        """The name of the job that outputs are compared with; None without exactly one."""
        found = {row.baseline for row in self.rows if row.baseline is not None}
        return found.pop() if len(found) == 1 else None

    @property
    def winner(self) -> Row | None:
        """The recommended job, if any."""
        return self.decision.winner if self.decision else None

    def to_pandas(self) -> DataFrame:
        """Return the jobs as a DataFrame, with the columns of `hforch compare --format csv`.

        Raises:
            HforchError: pandas is not installed.
        """
        return to_dataframe(to_rows(self.table))

    def __repr__(self) -> str:
        return f"ComparisonResult({'; '.join([_counted(self.rows), *self._summary()])})"

    def _summary(self) -> list[str]:
        baseline = [f"baseline: {self.baseline}"] if self.baseline is not None else []
        return [*baseline, *([self.decision.reason] if self.decision and self.decision.reason else [])]

    def _repr_html_(self) -> str:
        found = list(tables(self.table))
        reason = [self.decision.reason] if self.decision and self.decision.reason else []
        lines = [*self.notes, *reason]
        return "".join(to_html(headers, rows) for headers, rows in found) + to_html([], [], notes=lines)


@dataclass(frozen=True)
class SweepResult:
    """A sweep, as read from its directory.

    In a notebook, it is shown as its comparison.

    Attributes:
        directory: the directory of the sweep.
        jobs: the jobs by number.
        comparison: the comparison of the jobs.
    """

    directory: Path
    jobs: Sequence[RunResult]
    comparison: ComparisonResult

    def __iter__(self) -> Iterator[RunResult]:
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def failed(self) -> Sequence[RunResult]:
        """The jobs that did not succeed; their `error` or their samples state the reason."""
        return [job for job in self.jobs if job.status != "ok"]

    def to_pandas(self) -> DataFrame:
        """Return the comparison as a DataFrame, one row per job.

        Raises:
            HforchError: pandas is not installed.
        """
        return self.comparison.to_pandas()

    def __repr__(self) -> str:
        failed = [f"{len(self.failed)} not ok"] if self.failed else []
        parts = [_counted(self.jobs), *failed, *self.comparison._summary(), f"results: {self.directory}"]
        return f"SweepResult({'; '.join(parts)})"

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_() + to_html([], [], notes=[f"results: {self.directory}"])


def _counted(jobs: Sequence[Any]) -> str:
    return f"{len(jobs)} job{'s' * (len(jobs) != 1)}"


def _flat(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sample as a row: the columns of its input, its texts, and its timings."""
    item = sample["input"]
    own = dict(item) if isinstance(item, Mapping) else {"input": item}
    kept = ("index", "repeat", "prompt", "text", "finish_reason", "prompt_tokens", "output_tokens")
    checks = sample.get("checks") or []
    error = sample["error"]
    return {
        **{name: value for name, value in own.items() if name not in kept},
        **{name: sample.get(name) for name in kept},
        **(sample.get("timings") or {}),
        "checks_passed": sum(check["passed"] for check in checks) if checks else None,
        "checks": len(checks) or None,
        "error": error["message"] if error else None,
    }


def _cells(sample: Mapping[str, Any], has_checks: bool) -> list[str]:
    error = sample["error"]
    reason = str(sample.get("finish_reason"))
    end = f"failed: {error['message']}" if error else ENDS.get(reason, reason)
    wrong = [f"{check['name']}: {check['why']}" for check in sample.get("checks") or () if not check["passed"]]
    checks = ["; ".join(wrong) or ("passed" if sample.get("checks") else "")] if has_checks else []
    return [item_line(sample["input"]), "" if error else str(sample["text"]), end, *checks]
