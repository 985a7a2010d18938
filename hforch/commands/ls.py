"""hforch ls [DIR]: list runs and sweeps, newest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, Mistake

if TYPE_CHECKING:
    from hforch.comparison.history import PastRun

HEADERS = ("started", "what", "status", "jobs", "checks", "directory")
EXAMPLE = """\
The columns are the start time, the recipe and the overrides (for a sweep, also the settings that differ between its
jobs), the status, the number of jobs, the passed checks, and the directory. In other commands, `latest` stands for the
first directory in this list, and `latest/3` for job 3 of that sweep.

examples:
  hforch ls
  hforch ls -n 5
  hforch ls --json
  hforch show latest
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("ls", "List runs and sweeps, newest first.", EXAMPLE)
    parser.add_argument(
        "directories",
        metavar="DIR",
        nargs="*",
        type=Path,
        help="a directory of runs and sweeps (default: outputs and multirun)",
    )
    parser.add_argument("-n", metavar="N", type=int, dest="most", help="list only the N newest")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    args = parser.parse_intermixed_args(argv)
    if args.most is not None and args.most < 1:
        raise ConfigError([Mistake("", f"-n must be at least 1; got {args.most}")])
    from hforch.comparison.history import past_runs

    found = past_runs(args.directories or None)[: args.most]
    if args.json:
        from hforch.utils.json_text import to_json
        from hforch.utils.sanitize import for_json

        print(for_json(to_json([one.as_values() for one in found], indent=2)))
        return EXIT_OK
    for problem in (problem for one in found for problem in one.problems):
        print(problem, file=sys.stderr)
    if found:
        _show(found)
    else:
        from hforch.comparison.history import ROOTS

        places = [f"{one}/" for one in args.directories or ROOTS]
        print(f"no runs found in {' or '.join(places)}", file=sys.stderr)
    return EXIT_OK


def _show(found: Sequence[PastRun]) -> None:
    """Print a table; off a terminal, its columns have the width of their cells."""
    from rich import box
    from rich.table import Table

    from hforch.report.comparison import WIDE
    from hforch.report.console import console
    from hforch.report.plain_watcher import shown

    rows = [tuple(map(shown, _cells(one))) for one in found]
    filled = [at for at, name in enumerate(HEADERS) if name != "checks" or any(row[at] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at in filled:
        is_whole = HEADERS[at] in ("started", "jobs", "checks", "directory")
        justify = "right" if HEADERS[at] in ("jobs", "checks") else "left"
        table.add_column(HEADERS[at], justify=justify, no_wrap=is_whole, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(row[at] for at in filled))
    width = None if sys.stdout.isatty() else max(WIDE, *(sum(map(len, row)) + 2 * len(row) for row in rows))
    console(sys.stdout, width).print(table)


def _cells(one: PastRun) -> tuple[str, ...]:
    checks = f"{one.checks[0]}/{one.checks[1]}" if one.checks else ""
    when = one.started.astimezone().strftime("%Y-%m-%d %H:%M")
    return when, one.what, one.status, str(sum(one.jobs.values())), checks, str(one.directory)
