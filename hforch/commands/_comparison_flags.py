"""Flags of `compare` and `report`: the baseline, requirements, and the metric to optimize."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hforch.commands._directories import HELP, run_directory
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.utils.files import write_output

if TYPE_CHECKING:
    from hforch.comparison.decision import Bound

Read = TypeVar("Read")


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories", metavar="DIR", nargs="+", type=run_directory, help=f"a run or sweep directory; {HELP}"
    )
    parser.add_argument(
        "--baseline",
        metavar="JOB|SETTING=VALUE,...",
        help="compare outputs with this job, or with the job that has these settings (default: the most precise job)",
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
        metavar="METRIC",
        help="recommend the job with the best METRIC among those that meet the requirements",
    )


def add_skip_damaged(parser: argparse.ArgumentParser, others: str = "") -> None:
    """Add --skip-damaged, a flag of all commands that read samples.

    Args:
        others: what else the command skips.
    """
    told = f"skip invalid lines of samples.jsonl{others}, and list them"
    parser.add_argument("--skip-damaged", action="store_true", help=told)


def read_flags(args: argparse.Namespace, mistakes: list[Mistake]) -> tuple[Mapping[str, str] | None, Sequence[Bound]]:
    """Return the baseline and the requirements; append their errors to `mistakes`.

    `args.optimize` is set to the current name of the metric. Deprecated names are reported on stderr.
    """
    from hforch.comparison.baselines import read_baseline
    from hforch.comparison.decision import read_bounds, read_optimize, renamed

    for sentence in renamed(args.require, args.optimize):
        print(sentence, file=sys.stderr)
    bounds = collect(mistakes, lambda: read_bounds(args.require)) or []
    baseline = collect(mistakes, lambda: read_baseline(args.baseline))
    args.optimize = collect(mistakes, lambda: read_optimize(args.optimize))
    return baseline, bounds


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
