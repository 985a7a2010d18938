"""hforch compare DIR...: compare speed, memory, outputs and checks of runs, and recommend one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.commands._comparison_flags import add_flags, collect, metrics_help, read_flags, write
from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, EXIT_UNMET, ConfigError, Mistake
from hforch.utils.paths import expanded
from hforch.utils.rounding import percent, percent_apart

if TYPE_CHECKING:
    from hforch.comparison.decision import Decision
    from hforch.comparison.entries import Entry
    from hforch.comparison.table import Comparison

FORMATS = ("table", "markdown", "csv", "json", "junit")
EXAMPLE = """examples:
  hforch compare outputs/2026-11-23/10-15-00-123456
  hforch compare latest
  hforch compare DIR --baseline backend=pytorch,precision=fp32 --worst 5
  hforch compare DIR --require 'peak_rss_mb<=900' --require 'checks>=0.9' --optimize tokens_per_s
  hforch compare DIR OTHER_DIR --format csv --output comparison.csv
  hforch compare DIR --min-pass 0.9 --junit checks.xml

Exit code 3: no job meets all requirements, or a job passes fewer checks than --min-pass.
"""


def main(argv: list[str]) -> int:
    parser = CommandParser(
        "compare", "Compare runs and sweeps, using only their records.", f"{EXAMPLE}\n{metrics_help()}\n"
    )
    add_flags(parser)
    parser.add_argument(
        "--worst", metavar="K", type=int, default=3, help="show the K most different samples of each job (default: 3)"
    )
    parser.add_argument(
        "--min-pass",
        metavar="FRACTION",
        type=float,
        help="the minimum fraction of checks that each job must pass, 0 to 1",
    )
    parser.add_argument("--junit", metavar="FILE", type=expanded, help="write the checks as JUnit XML")
    parser.add_argument("--format", choices=FORMATS, default="table", help="the output format (default: table)")
    parser.add_argument("--output", metavar="FILE", type=expanded, help="write to a file instead of the terminal")
    args = parser.parse_intermixed_args(argv)
    from hforch.comparison.table import compare

    mistakes: list[Mistake] = []
    baseline, criteria = read_flags(args, mistakes)
    if args.worst < 0:
        mistakes.append(Mistake("", f"--worst must be at least 0; got {args.worst}"))
    if args.min_pass is not None and not 0 <= args.min_pass <= 1:
        mistakes.append(Mistake("", f"--min-pass must be between 0 and 1; got {args.min_pass:g}"))
    entries = collect(mistakes, lambda: _read(args.directories, args.skip_damaged)) or []
    if mistakes:
        raise ConfigError(mistakes)
    comparison = compare(entries, baseline, args.worst, criteria.confidence)
    decision = criteria.decide(comparison)
    _put(comparison, decision, args.format, args.output)
    if args.junit:
        from hforch.report.junit import to_junit

        write(args.junit, to_junit(comparison))
    unmet = decision is not None and not decision.qualified
    return EXIT_UNMET if unmet or _missed(comparison, args.min_pass) else EXIT_OK


def _read(directories: Sequence[Path], skip_damaged: bool) -> list[Entry]:
    """Return the jobs. With `skip_damaged`, skip those that cannot be read and print the errors."""
    from hforch.comparison.entries import readable_jobs

    entries, unread = readable_jobs(directories)
    if unread and not (skip_damaged and entries):
        raise ConfigError(unread)
    for one in unread:
        print(f"skipped: {one.problem}", file=sys.stderr)
    return [replace(one, skips_damaged=skip_damaged) for one in entries]


def _put(comparison: Comparison, decision: Decision | None, form: str, output: Path | None) -> None:
    from hforch.report.comparison import print_comparison, to_markdown
    from hforch.report.export import to_csv, to_json_text
    from hforch.report.junit import to_junit

    if form == "table" and output is None:
        print_comparison(comparison, sys.stdout, decision)
        return
    if form == "table":
        import io

        stream = io.StringIO()
        print_comparison(comparison, stream, decision)
        text = stream.getvalue()
    else:
        by_rows = {"csv": to_csv, "junit": to_junit}
        made = {"markdown": to_markdown, "json": to_json_text}
        text = by_rows[form](comparison) if form in by_rows else made[form](comparison, decision)
    if output:
        write(output, text)
    else:
        print(text, end="")
    if decision is not None:  # the terminal shows it too, as it explains the exit code
        from hforch.report.comparison import decision_lines

        print(*decision_lines(decision), sep="\n", file=sys.stderr)


def _missed(comparison: Comparison, min_pass: float | None) -> bool:
    """Return whether a job passes fewer checks than required; print each such job."""
    if min_pass is None:
        return False
    missed = False
    for row in comparison.rows:
        share = row.metrics.get("checks")
        if row.entry.record.get("status") not in ("ok", "failed"):
            told = "did not finish" if row.entry.was_run else "was not run"
        elif share is None:
            told = "has no checks"
        elif share < min_pass:
            told = f"passes {percent_apart(share, min_pass)} of its checks"
        else:
            continue
        missed = True
        print(f"job {row.title} {told}; --min-pass requires {percent(min_pass)}", file=sys.stderr)
    return missed
