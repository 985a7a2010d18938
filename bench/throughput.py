"""One workload, many contestants, measured alternately.

Contestants: the reference page's own snippet on torch and OpenVINO (with its batch size 4, and with 16 like hforch),
bare openvino-genai, and hforch's three backends. Each loads once, in its own process; then they run the workload in
turns, round by round. Weights are int8 with OpenVINO, and those of the checkpoint with torch; torch takes minutes, and
only runs in the first round.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any

from bench.contestant import CONTESTANTS
from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table
from bench.workload import LONG_PROMPTS, WORKLOADS

CHAT_PROMPTS = 64
PROMPTS = {"chat": CHAT_PROMPTS, "long": LONG_PROMPTS}
TITLES = {
    "chat": "{prompts} chat prompts, at most {tokens} new tokens",
    "long": "{prompts} prompts of about 1,000 tokens, {tokens} new tokens",
}
SMOKE = ("bare-genai", "hforch-openvino_genai")
TARGETS = {  # minimal ratios of tokens/s
    ("hforch-openvino_genai", "bare-genai"): {"chat": 0.95, "long": 0.95},
    ("hforch-openvino_genai", "page-openvino"): {"chat": 4.8},
    ("hforch-openvino", "page-openvino-16"): {"chat": 1.0, "long": 1.0},
    ("hforch-pytorch", "page-pytorch-16"): {"chat": 1.0, "long": 1.0},
}

Rounds = dict[tuple[str, str], list[dict[str, Any]]]


def run(scale: Scale) -> Iterator[Table | str]:
    rounds: Rounds = defaultdict(list)
    asked = {
        name: {"workload": name, "prompts": scale.pick(PROMPTS[name], 2), "tokens": scale.pick(tokens, 2)}
        for name, tokens in WORKLOADS.items()
    }
    with ExitStack() as stack:
        running = {name: stack.enter_context(contestant(name)) for name in scale.pick((*CONTESTANTS,), SMOKE)}
        for number in range(scale.rounds(3)):
            for workload in WORKLOADS:
                for name, process in running.items():
                    if number and "pytorch" in name:
                        continue
                    told = ask(process, asked[workload])
                    rounds[name, workload].append(told)
                    yield f"{workload} {name}: {_speed(told):.0f} tokens/s"
    for workload in WORKLOADS:
        yield table(rounds, workload, TITLES[workload].format(**asked[workload]))
    yield ratios(rounds)


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


def ask(process: subprocess.Popen[str], work: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{json.dumps(work)}\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def table(rounds: Rounds, workload: str, title: str) -> Table:
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
    return Table(title, columns, rows)


def ratios(rounds: Rounds) -> Table:
    rows: list[list[str]] = []
    missed = set()
    for (ours, theirs), targets in TARGETS.items():
        for workload in WORKLOADS:
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
    columns = ("tokens/s of", "vs.", "workload", "ratio", "each round", "at least")
    return Table("Ratios", columns, rows, frozenset(missed))


def _speed(told: dict[str, Any]) -> float:
    return float(told["tokens"] / told["seconds"])
