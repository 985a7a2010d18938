"""hforch report DIR...: write an HTML report of runs and sweeps."""

from __future__ import annotations

import sys
from pathlib import Path

from hforch.commands._comparison_flags import add_flags, collect, metrics_help, read_flags
from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_FAILED, EXIT_OK, EXIT_UNMET, ConfigError, Mistake, shown
from hforch.utils.paths import expanded

EXAMPLE = """\
The report is a single self-contained file; viewing it requires neither hforch nor a network connection.

examples:
  hforch report outputs/2026-11-23/10-15-00-123456
  hforch report latest
  hforch report DIR --require 'kl_mean<=0.05' --optimize tokens_per_s
  hforch report DIR OTHER_DIR -o both.html
  hforch run recipes/precision_cost.yaml --report        write the report at the end of a run or sweep

If there are very many inputs, the report shows a sample of them; --inputs N sets the approximate number.

Exit code 1: some jobs or samples are damaged; the report lists them (exit code 0 with --skip-damaged). Exit code 3: no
job meets all requirements.
"""


def main(argv: list[str]) -> int:
    parser = CommandParser(
        "report", "Write an HTML report of runs and sweeps, using only their records.", f"{EXAMPLE}\n{metrics_help()}\n"
    )
    add_flags(parser)
    parser.add_argument(
        "--inputs", metavar="N", type=int, help="show about N inputs (default: up to 24,000 answers in total)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=expanded,
        help="the file to write (default: report.html in DIR, or in the current directory for several DIRs)",
    )
    args = parser.parse_intermixed_args(argv)
    from hforch.comparison.entries import readable_jobs
    from hforch.report.page.write import missing_libraries, write_page
    from hforch.runs.output_dirs import REPORT

    mistakes: list[Mistake] = missing_libraries()
    baseline, criteria = read_flags(args, mistakes)
    if args.inputs is not None and args.inputs < 1:
        mistakes.append(Mistake("", f"--inputs must be at least 1; got {args.inputs}"))
    entries, unread = collect(mistakes, lambda: readable_jobs(args.directories)) or ([], [])
    if not entries:
        mistakes += unread
    if mistakes:
        raise ConfigError(mistakes)
    target = args.output or (args.directories[0] / REPORT if len(args.directories) == 1 else Path(REPORT))
    page, qualified = write_page(target, entries, unread, baseline, criteria, args.inputs)
    for line in page.summary["about"]["missing"]:
        print(f"skipped: {shown(line)}", file=sys.stderr)
    print(shown(page.summary["about"]["reason"] or f"jobs: {len(entries)}, inputs: {len(page.inputs)}"))
    print(f"wrote {shown(str(target))}")
    incomplete = (unread or page.damaged) and not args.skip_damaged
    return EXIT_FAILED if incomplete else EXIT_OK if qualified else EXIT_UNMET
