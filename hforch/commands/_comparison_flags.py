"""Flags of `compare` and `report`: the baseline, requirements, and the metric to optimize."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hforch.commands._directories import HELP, run_directory
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.utils.files import write_output

if TYPE_CHECKING:
    from hforch.comparison.decision import Criteria

Read = TypeVar("Read")


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories", metavar="DIR", nargs="+", type=run_directory, help=f"a run or sweep directory; {HELP}"
    )
    parser.add_argument(
        "--baseline",
        metavar="JOB|SETTING=VALUE,...",
        help="compare outputs with those of this job, or of the job with these settings (default: the most precise)",
    )
    parser.add_argument(
        "--require",
        metavar="REQUIREMENT",
        action="append",
        default=[],
        help="a requirement, such as 'checks>=0.9' or 'checks>=90%%' (repeatable)",
    )
    add_skip_damaged(parser, " and unreadable records")
    parser.add_argument(
        "--optimize",
        metavar="METRIC[,METRIC...]",
        help="recommend the job with the best METRIC among those that meet the requirements; further metrics decide"
        " between jobs that tie (default: memory, then disk)",
    )
    parser.add_argument(
        "--confidence",
        metavar="LEVEL",
        type=float,
        default=0.95,
        help="the confidence level of intervals and tests (default: 0.95)",
    )
    parser.add_argument(
        "--margin",
        metavar="FRACTION",
        type=float,
        default=0.02,
        help="the largest relative difference that counts as a tie (default: 0.02, which is 2%%)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="qualify a job only if the data confirms that it meets the requirements"
    )


def add_skip_damaged(parser: argparse.ArgumentParser, others: str = "") -> None:
    """Add --skip-damaged, a flag of all commands that read samples.

    Args:
        others: what else the command skips.
    """
    told = f"skip and list invalid lines of samples.jsonl{others}"
    parser.add_argument("--skip-damaged", action="store_true", help=told)


def read_flags(args: argparse.Namespace, mistakes: list[Mistake]) -> tuple[Mapping[str, str] | None, Criteria]:
    """Return the baseline and the criteria; append their errors to `mistakes`.

    Deprecated names of metrics are reported on stderr.
    """
    from hforch.comparison.baselines import read_baseline
    from hforch.comparison.bounds import read_bounds, read_optimize, renamed
    from hforch.comparison.decision import Criteria

    for sentence in renamed(args.require, args.optimize):
        print(sentence, file=sys.stderr)
    bounds = collect(mistakes, lambda: read_bounds(args.require)) or []
    baseline = collect(mistakes, lambda: read_baseline(args.baseline))
    optimize = collect(mistakes, lambda: read_optimize(args.optimize)) or []
    if not 0.5 <= args.confidence < 1:
        mistakes.append(Mistake("", f"--confidence must be at least 0.5 and less than 1; got {args.confidence:g}"))
    if not 0 <= args.margin < 1:
        mistakes.append(Mistake("", f"--margin must be at least 0 and less than 1; got {args.margin:g}"))
    return baseline, Criteria(bounds, optimize, args.confidence, args.margin, args.strict)


def metrics_help() -> str:
    """Return the names of all metrics by direction, for a help text."""
    from hforch.metrics.registry import COMPARED

    by_direction = {
        way: ", ".join(metric.name for metric in COMPARED if metric.is_higher_better == (way == "higher"))
        for way in ("higher", "lower")
    }
    told = "; ".join(f"{listed} ({way} is better)" for way, listed in by_direction.items())
    return textwrap.fill(f"Metrics: {told}. Fractions range from 0 to 1.", 118)


def collect(mistakes: list[Mistake], work: Callable[[], Read]) -> Read | None:
    """Return the result of `work`. If it raises ConfigError, append the errors to `mistakes` and return None."""
    try:
        return work()
    except ConfigError as error:
        mistakes += error.mistakes
        return None


def write(file: Path, text: str) -> None:
    """Write a file.

    Raises:
        HforchError: it cannot be written.
    """
    try:
        write_output(file, text)
    except OSError as error:
        raise HforchError(f"cannot write {file}: {(error.strerror or str(error)).lower()}") from error
