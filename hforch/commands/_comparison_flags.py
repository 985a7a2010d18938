"""The flags by which compare and report say what outputs are compared with, and which job to take."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hforch.errors import ConfigError, HforchError, Mistake
from hforch.utils.files import write_output

if TYPE_CHECKING:
    from hforch.comparison.decision import Bound

Read = TypeVar("Read")


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directories", metavar="DIR", nargs="+", type=Path, help="directories of runs or sweeps")
    parser.add_argument(
        "--baseline", metavar="AXIS=VALUE,...", help="what outputs are compared with; default: the most precise"
    )
    parser.add_argument(
        "--require", metavar="BOUND", action="append", default=[], help="a bound, such as 'checks>=0.9'"
    )
    add_skip_damaged(parser, ", and jobs whose record cannot be read")
    parser.add_argument("--optimize", metavar="METRIC", help="of the jobs that meet all bounds, name the best in this")


def add_skip_damaged(parser: argparse.ArgumentParser, others: str = "") -> None:
    """The flag of all commands that read samples.

    Args:
        others: what else it leaves out.
    """
    told = f"leave out lines of samples.jsonl that are no samples of their run{others}, and name them"
    parser.add_argument("--skip-damaged", action="store_true", help=told)


def read_flags(args: argparse.Namespace, mistakes: list[Mistake]) -> tuple[Mapping[str, str] | None, Sequence[Bound]]:
    """Return the baseline and the bounds; what is wrong with them is added to the mistakes.

    `args.optimize` gets the metric's name of today; earlier names are told on stderr.
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
    """Return the names of all metrics, by what is better, for the end of a help text."""
    from hforch.metrics.registry import COMPARED

    by_direction = {
        way: ", ".join(metric.name for metric in COMPARED if metric.is_higher_better == (way == "more"))
        for way in ("more", "less")
    }
    told = "; ".join(f"{listed} ({way} is better)" for way, listed in by_direction.items())
    return textwrap.fill(f"Metrics: {told}. Shares are 0 to 1.", 118)


def collect(mistakes: list[Mistake], work: Callable[[], Read]) -> Read | None:
    """What work returns; None if it finds mistakes, which are added."""
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
        raise HforchError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from error
