"""python -m bench.throughput [--rounds N] [--only NAME ...] [--write FILE]: one workload, many contestants, in turns.

The reference page's own snippet on torch and on OpenVINO (its batch size of 4, and 16 as hforch has it), openvino-genai
with nothing around it, and hforch's three backends. Each loads once, in a process of its own; then all do the workload
in turns, round by round. Weights are int8 where OpenVINO runs, the checkpoint's own where torch does; torch takes
minutes, and does the first round alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.__main__ import begun, machine
from bench.contestant import CONTESTANTS
from bench.startup import prepared
from bench.workload import NEW_TOKENS

WHAT = {"chat": "64 chat prompts, at most 128 new tokens", "long": "16 prompts of about 1,000 tokens, 32 new tokens"}
TARGETS = {  # of tokens/s: at least
    ("hforch-openvino_genai", "bare-genai"): {"chat": 0.95, "long": 0.95},
    ("hforch-openvino_genai", "page-openvino"): {"chat": 4.8},
    ("hforch-openvino", "page-openvino-16"): {"chat": 1.0, "long": 1.0},
    ("hforch-pytorch", "page-pytorch-16"): {"chat": 1.0, "long": 1.0},
}

BEGIN, END = "<!-- bench.throughput: begin -->", "<!-- bench.throughput: end -->"
Rounds = dict[tuple[str, str], list[dict[str, Any]]]


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each does each workload (3)")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="these alone")
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the tables into this page, between its marks")
    options = parser.parse_args()
    page = _page(options.write) if options.write else None
    console = begun()
    rounds = measured(options.only, options.rounds, console)
    found = [*(table(rounds, workload) for workload in WHAT), ratios(rounds)]
    for one in found:
        console.print(rich_table(one))
    if page:
        command = f"python -m bench.throughput --rounds {options.rounds} --write {options.write}"
        told = f"`{command}`, on an {machine()}; medians of {options.rounds} rounds, torch did one.\n"
        text = "\n".join([told, *(markdown(one) for one in found)])
        options.write.write_text(f"{page[0]}{BEGIN}\n{text}{END}{page[1]}", encoding="utf-8")
    return 0


def _page(file: Path) -> tuple[str, str]:
    """What stands before and after the marks."""
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} lacks the marks {BEGIN} and {END}")
    return before, after


def measured(names: list[str], rounds: int, console: Console) -> Rounds:
    found: Rounds = defaultdict(list)
    with ExitStack() as stack:
        running = {name: stack.enter_context(contestant(name)) for name in names}
        for number in range(rounds):
            for workload in NEW_TOKENS:
                for name, process in running.items():
                    if number and "pytorch" in name:
                        continue
                    told = ask(process, workload)
                    found[name, workload].append(told)
                    console.print(f"[dim]{workload} {name}: {_speed(told):.0f} tokens/s[/]", highlight=False)
    return found


@contextmanager
def contestant(name: str) -> Iterator[subprocess.Popen[str]]:
    on_torch = "pytorch" in name
    folder = prepared("backend=pytorch") if on_torch else prepared("backend=openvino", "precision=int8")
    command = [sys.executable, "-m", "bench.contestant", name, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{' '.join(command)} did not start")
        yield process
        process.stdin.close()


def ask(process: subprocess.Popen[str], workload: str) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{workload}\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


@dataclass(frozen=True)
class Shown:
    """A table for people; `missed` are the rows that are below their target."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: frozenset[int] = frozenset()


def table(rounds: Rounds, workload: str) -> Shown:
    rows = []
    for (name, one), told in rounds.items():
        if one != workload:
            continue
        first = [wait for each in told for wait in each["first"]]
        shown = [f"{median(first):.0f} ms", f"{quantiles(first, n=20)[-1]:.0f} ms"] if first else ["-", "-"]
        seconds = median(each["seconds"] for each in told)
        speed = median(_speed(each) for each in told)
        memory = max(each["peak_mb"] for each in told)
        rows.append(
            [name, f"{seconds:.1f} s", str(told[0]["tokens"]), f"{speed:.0f}", *shown, f"{memory:.0f} MB"],
        )
    columns = ("what", "total", "tokens", "tokens/s", "TTFT p50", "TTFT p95", "peak memory")
    return Shown(WHAT[workload], columns, rows)


def ratios(rounds: Rounds) -> Shown:
    rows: list[list[str]] = []
    missed = set()
    for (ours, theirs), targets in TARGETS.items():
        for workload in NEW_TOKENS:
            pairs = list(zip(rounds[ours, workload], rounds[theirs, workload], strict=False))
            if not pairs:
                continue
            each = [_speed(mine) / _speed(other) for mine, other in pairs]
            ratio = median(_speed(mine) for mine, _ in pairs) / median(_speed(other) for _, other in pairs)
            target = targets.get(workload)
            if target is not None and ratio < target:
                missed.add(len(rows))
            told = " ".join(f"{one:.2f}" for one in each)
            rows.append([ours, theirs, workload, f"{ratio:.2f}", told, "-" if target is None else f"{target:.2f}"])
    columns = ("tokens/s of", "over those of", "workload", "ratio", "each round", "at least")
    return Shown("Ratios", columns, rows, frozenset(missed))


def rich_table(shown: Shown) -> Table:
    made = Table(*shown.columns, title=shown.title)
    for number, row in enumerate(shown.rows):
        made.add_row(*row, style="red" if number in shown.missed else None)
    return made


def markdown(shown: Shown) -> str:
    lines = [shown.columns, ["---"] * len(shown.columns), *shown.rows]
    return f"{shown.title}:\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _speed(told: dict[str, Any]) -> float:
    return float(told["tokens"] / told["seconds"])


if __name__ == "__main__":
    sys.exit(main())
