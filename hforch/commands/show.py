"""hforch show DIR: show one run: configuration, answers, checks, metrics and warnings."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hforch.commands._comparison_flags import add_skip_damaged
from hforch.commands._directories import HELP, run_directory
from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hforch.comparison.entries import Entry

EXAMPLE = """\
For a sweep, hforch show lists the jobs.

examples:
  hforch show latest
  hforch show outputs/2026-11-23/10-15-00-123456
  hforch show latest/3 --failed         job 3 of the latest sweep, only its answers with errors or failed checks
  hforch show latest --json             the record with its samples
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("show", "Show a run: configuration, answers, checks, metrics and warnings.", EXAMPLE)
    parser.add_argument(
        "directory",
        metavar="DIR",
        type=run_directory,
        help=f"the directory of a run, or of a sweep or one of its jobs; {HELP}, `latest/3` is its job 3",
    )
    parser.add_argument("--failed", action="store_true", help="show only answers with errors or failed checks")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_skip_damaged(parser)
    args = parser.parse_intermixed_args(argv)
    from hforch.comparison.entries import read_jobs
    from hforch.records.record_files import RECORD

    entries = [replace(one, skips_damaged=args.skip_damaged) for one in read_jobs([args.directory])]
    if len(entries) > 1 or not (args.directory / RECORD).is_file():
        _show_sweep(args.directory, entries, args.json)
    elif args.json:
        _print_json(_values(entries[0], args.failed))
    else:
        _show_run(entries[0], args.failed)
    return EXIT_OK


def _values(entry: Entry, only_failed: bool) -> dict[str, Any]:
    """Return the record of a run, with its directory and samples."""
    from hforch.comparison.entries import samples_of
    from hforch.report.one_run import has_failed

    samples = [one for one in samples_of(entry) if not only_failed or has_failed(one)]
    return {**entry.record, "directory": str(entry.directory), "samples": samples}


def _show_run(entry: Entry, only_failed: bool) -> None:
    from hforch.comparison.entries import samples_of
    from hforch.report.console import console
    from hforch.report.one_run import run_lines

    printer = console(sys.stdout)
    for text, style in run_lines(entry, samples_of(entry), only_failed):
        printer.print(text, style=style, soft_wrap=True)


def _show_sweep(directory: Path, entries: Sequence[Entry], as_json: bool) -> None:
    """List the jobs of a sweep, or print their records as JSON."""
    if as_json:
        jobs = [{**one.record, "name": one.name, "directory": str(one.directory)} for one in entries]
        _print_json({"directory": str(directory), "jobs": jobs})
        return
    from rich import box
    from rich.table import Table

    from hforch.comparison.axes import axes_of
    from hforch.report.console import console
    from hforch.report.plain_watcher import shown
    from hforch.report.wording import summary_lines

    axes = axes_of(entries)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for header in ("job", "status", "settings", "results"):
        table.add_column(header, overflow="fold")
    for one in entries:
        label = " ".join(f"{name}={value}" for name, value in axes[one.name].items())
        results = summary_lines(one.record, "")[0] if one.record.get("totals") else one.unfinished or ""
        table.add_row(*map(shown, (one.name, str(one.record.get("status")), label, results)))
    printer = console(sys.stdout, None if sys.stdout.isatty() else 280)
    printer.print(str(directory), style="bold", soft_wrap=True)
    printer.print(table)
    job = directory / (entries[0].name if len(entries) > 1 else "0")
    printer.print(f"\none job: hforch show {job}\ncompare: hforch compare {directory}", soft_wrap=True)


def _print_json(value: Any) -> None:
    from hforch.utils.json_text import to_json
    from hforch.utils.sanitize import for_json

    print(for_json(to_json(value, indent=2)))
