"""python -m bench.throughput [--rounds N] [--only NAME ...]: one workload, many contestants, in turns.

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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.__main__ import machine
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

Rounds = dict[tuple[str, str], list[dict[str, Any]]]


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each does each workload (3)")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="these alone")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(machine(), highlight=False)
    rounds = measured(options.only, options.rounds, console)
    for workload, what in WHAT.items():
        console.print(table(rounds, workload, f"{what}; medians of {options.rounds} rounds, torch 1"))
    console.print(ratios(rounds))
    return 0


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


def table(rounds: Rounds, workload: str, title: str) -> Table:
    made = Table("what", "total", "tokens", "tokens/s", "TTFT p50", "TTFT p95", "peak memory", title=title)
    for (name, one), told in rounds.items():
        if one != workload:
            continue
        first = [wait for each in told for wait in each["first"]]
        shown = [f"{median(first):.0f} ms", f"{quantiles(first, n=20)[-1]:.0f} ms"] if first else ["-", "-"]
        seconds = median(each["seconds"] for each in told)
        speed = median(_speed(each) for each in told)
        memory = max(each["peak_mb"] for each in told)
        made.add_row(name, f"{seconds:.1f} s", str(told[0]["tokens"]), f"{speed:.0f}", *shown, f"{memory:.0f} MB")
    return made


def ratios(rounds: Rounds) -> Table:
    made = Table("tokens/s of", "over those of", "workload", "ratio", "each round", "at least", title="ratios")
    for (ours, theirs), targets in TARGETS.items():
        for workload in NEW_TOKENS:
            pairs = list(zip(rounds[ours, workload], rounds[theirs, workload], strict=False))
            if not pairs:
                continue
            each = [_speed(mine) / _speed(other) for mine, other in pairs]
            ratio = median(_speed(mine) for mine, _ in pairs) / median(_speed(other) for _, other in pairs)
            target = targets.get(workload)
            shown = ["-" if target is None else f"{target:.2f}"]
            style = "red" if target is not None and ratio < target else None
            told = " ".join(f"{one:.2f}" for one in each)
            made.add_row(ours, theirs, workload, f"{ratio:.2f}", told, *shown, style=style)
    return made


def _speed(told: dict[str, Any]) -> float:
    return float(told["tokens"] / told["seconds"])


if __name__ == "__main__":
    sys.exit(main())
