"""Record how the speed of one job varies, and store the series from which `decisions` draws its noise.

SmolLM2, 8 chat prompts, on each backend. `loads`: the model is loaded several times, in new processes, and the job is
repeated in each. `pair`: two processes with the same job stay loaded and are measured in turns, A B B A. A fixed
workload of the machine's own is timed before each measurement.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil

from bench.machine import machine
from bench.noise.report import tables
from bench.noise.series import Recording, Series, save
from bench.scale import Scale
from bench.tables import Table
from bench.throughput import ask, contestant

TOKENS = {"hforch-openvino_genai": 32, "hforch-openvino": 16, "hforch-pytorch": 8}
"""New tokens for each prompt, so that a measurement takes one to two seconds on an idle machine."""
PROMPTS = 8
LOADS, REPEATS = 5, 6
PAIRS, ROUNDS = 6, 16
SMOKE = ("hforch-openvino_genai",)
MATRIX = 1_280
"""A product of two float32 matrices of this size takes about 50 ms on two cores."""


def run(scale: Scale) -> Iterator[Table | str]:
    recording = Recording(machine(), datetime.datetime.now(datetime.UTC).date().isoformat(), [])
    for kind in ("loads", "pair"):
        for number in range(scale.pick(PAIRS, 2) if kind == "pair" else 1):
            for name in scale.pick((*TOKENS,), SMOKE):
                made = pair(name, scale) if kind == "pair" else loads(name, scale)
                recording.series.append(made)
                if not scale.smoke:
                    save(recording)
                yield f"{name} {kind} {number}: {' '.join(f'{one:.0f}' for one in made.speeds)}"
    yield from tables(recording)


def loads(name: str, scale: Scale) -> Series:
    """Measure a job repeatedly in one load after another."""
    measured = Measured(name, scale)
    for number in range(scale.pick(LOADS, 2)):
        with contestant(name) as process:
            measured.warm_up(process)
            for _ in range(scale.pick(REPEATS, 2)):
                measured.measure(process, number)
    return measured.series("loads")


def pair(name: str, scale: Scale) -> Series:
    """Measure two loads of the same job in turns."""
    measured = Measured(name, scale)
    with ExitStack() as stack:
        both = [stack.enter_context(contestant(name)) for _ in range(2)]
        for process in both:
            measured.warm_up(process)
        for number in range(scale.pick(scale.rounds(ROUNDS), 4)):
            for at in (1, 0) if number % 2 else (0, 1):
                measured.measure(both[at], at)
    return measured.series("pair")


class Measured:
    """The measurements of one series."""

    def __init__(self, name: str, scale: Scale) -> None:
        import numpy

        self.name = name
        self.work = {
            "workload": "chat",
            "prompts": scale.pick(PROMPTS, 2),
            "tokens": scale.pick(TOKENS[name], 2),
        }
        self.matrix = numpy.random.default_rng(0).random((MATRIX, MATRIX), dtype=numpy.float32)
        self.rows: list[tuple[int, float, float, float, float, float]] = []

    def warm_up(self, process: subprocess.Popen[str]) -> None:
        ask(process, self.work)
        self._reference_ms()

    def measure(self, process: subprocess.Popen[str], load: int) -> None:
        reference = self._reference_ms()
        started, busy, own = time.perf_counter(), _busy_s(), _own_s(process)
        told = ask(process, self.work)
        wall = time.perf_counter() - started
        others = max(0.0, _busy_s() - busy - (_own_s(process) - own)) / wall / (os.cpu_count() or 1)
        self.rows.append((load, started, told["seconds"], told["tokens"] / told["seconds"], reference, others))

    def series(self, kind: str) -> Series:
        assert kind in ("loads", "pair")
        numbers, starts, seconds, speeds, references, others = zip(*self.rows, strict=True)
        return Series(
            self.name.removeprefix("hforch-"),
            kind,
            list(numbers),
            [round(one - starts[0], 2) for one in starts],
            [round(one, 3) for one in seconds],
            [round(one, 2) for one in speeds],
            [round(one, 1) for one in references],
            [round(one, 3) for one in others],
        )

    def _reference_ms(self) -> float:
        started = time.perf_counter()
        self.matrix @ self.matrix
        return (time.perf_counter() - started) * 1e3


def _busy_s() -> float:
    """Return the CPU time of all processes of this machine."""
    found = psutil.cpu_times()
    return float(found.user + found.nice + found.system)


def _own_s(process: subprocess.Popen[str]) -> float:
    """Return the CPU time of this process and of the measured one."""
    both = (psutil.Process(process.pid).cpu_times(), psutil.Process().cpu_times())
    return sum(one.user + one.system for one in both)
