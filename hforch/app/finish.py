"""The last steps of a run or sweep: the exit code, the comparison, and the HTML report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from hforch.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNMET,
    EXIT_USAGE,
    ConfigError,
    HforchError,
    shown,
)
from hforch.records.record_files import read_record
from hforch.records.sample_lines import Samples
from hforch.report.wording import failed_check, unmet_line
from hforch.runs.planned_job import PlannedJob

QUIET = ("json", "none")  # values of runtime.display that reserve stdout for records
WORST_FIRST = (EXIT_INTERRUPTED, EXIT_FAILED, EXIT_USAGE, EXIT_UNMET, EXIT_OK)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of the worst outcome among several jobs."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), max(found, default=EXIT_OK))


def print_unmet(jobs: Sequence[PlannedJob], codes: Mapping[int, int]) -> None:
    """Print a line on stderr that states why jobs end with exit code 3, with the first check that failed."""
    unmet = [one for one in jobs if codes.get(one.number) == EXIT_UNMET and one.same_as is None]
    for one in unmet:
        try:
            record = read_record(one.directory)
            failed = next((found for sample in Samples(one.directory, record) if (found := failed_check(sample))), None)
        except (OSError, ValueError):
            continue
        job = f"job {one.number} ({one.label}): " if len(jobs) > 1 else ""
        print(shown(job + unmet_line(record, one.job.runtime.min_pass, failed)), file=sys.stderr, flush=True)


def compare_all(directory: Path, stream: TextIO | None) -> None:
    """Write and print the comparison of a sweep, if it has records. Errors are printed; they do not fail the sweep."""
    from hforch.records.record_files import RECORD
    from hforch.report.comparison import summarise
    from hforch.utils.in_fork import run_in_fork

    if not any(directory.rglob(RECORD)):
        return
    try:
        run_in_fork(lambda: summarise(directory, stream))
    except (HforchError, OSError) as error:
        print(f"cannot compare the jobs: {error}", file=sys.stderr, flush=True)


def write_report(wanted: bool, directory: Path, display: str, code: int) -> int:
    """Write the HTML report if requested. Return the exit code; 1 if the report cannot be written."""
    if not wanted:
        return code
    from hforch.comparison.entries import readable_jobs
    from hforch.report.page.write import write_page
    from hforch.runs.output_dirs import REPORT
    from hforch.utils.in_fork import run_in_fork

    target = directory / REPORT

    def work() -> None:
        entries, unread = readable_jobs([directory])
        if not entries:
            raise ConfigError(unread)
        write_page(target, entries, unread)

    try:
        run_in_fork(work)
    except (HforchError, OSError) as error:
        print(f"cannot write the report: {error}", file=sys.stderr, flush=True)
        return code if code in (EXIT_FAILED, EXIT_INTERRUPTED) else EXIT_FAILED
    print(f"report: {target}", file=sys.stderr if display in QUIET else sys.stdout, flush=True)
    return code
