"""Kill sweeps at random times and resume them: no sample may be lost or duplicated.

Every third kill hits the worker that holds the model, the others the whole sweep (SIGKILL).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.scale import Scale
from bench.tables import Table

LONGEST_S = 14.0  # latest kill after a process started
ASKED = ("inputs=facts", "prompt=step_by_step,chat", "runtime.seed=1,2", "runtime.repeat=2", "runtime.batch_size=2")
TORCH = (*ASKED, "backend=pytorch", "generation.max_new_tokens=16")
FAKE = (*ASKED, "backend=fake", "backend.token_s=0.01", "runtime.seed=1", "generation.max_new_tokens=4")


def run(scale: Scale) -> Iterator[Table]:
    """Run ten kills per round."""
    wanted, longest = scale.pick(10 * scale.rounds(3), 1), scale.pick(LONGEST_S, 2.0)
    chance = random.Random(0)
    kills, sweeps, counts = 0, 0, Counter[str]()
    while kills < wanted:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "sweep"
            words = [*scale.pick(TORCH, FAKE), f"hydra.sweep.dir={directory}"]
            command = [sys.executable, "-m", "hforch", "-m", *words]
            while True:
                last = kills == wanted
                code, killed = _run(command, None if last else chance.uniform(0.5, longest), kills % 3 == 2)
                kills += killed
                if (directory / "sweep.json").is_file():
                    command = [sys.executable, "-m", "hforch", "resume", str(directory)]
                if code == 0:
                    break
            sweeps += 1
            counts += _count(directory)
    names = ("expected", "present", "duplicated", "lost")
    missed = frozenset([0]) if counts["duplicated"] or counts["lost"] else frozenset[int]()
    columns = ("kills", "sweeps", *(f"samples {name}" for name in names))
    yield Table("", columns, [[str(kills), str(sweeps), *(str(counts[name]) for name in names)]], missed)


def _run(command: list[str], after: float | None, worker: bool) -> tuple[int | None, bool]:
    """Return the exit code of the sweep, and whether a process was killed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killed = False
    if after is not None:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            killed = _kill_worker(process.pid) if worker else True
            if not worker:
                process.kill()
    process.wait()
    time.sleep(0.2)  # its children die with it
    return process.returncode, killed


def _kill_worker(pid: int) -> bool:
    for nursery in psutil.Process(pid).children():
        for child in nursery.children():
            child.kill()
            return True
    return False


def _count(directory: Path) -> Counter[str]:
    jobs = json.loads((directory / "sweep.json").read_text())["jobs"]
    counts: Counter[str] = Counter()
    for job in jobs:
        if job["same_as"] is not None:
            continue
        lines = (directory / job["directory"] / "samples.jsonl").read_text().splitlines()
        seen = Counter((one["input_id"], one["repeat"]) for one in map(json.loads, lines) if one["error"] is None)
        record = json.loads((directory / job["directory"] / "record.json").read_text())
        assert record["totals"]["samples"] == len(lines), record["totals"]
        expected = {(one, repeat) for batch in record["plan"] for one in batch for repeat in (0, 1)}
        assert len(expected) == job["samples"]
        counts["expected"] += len(expected)
        counts["present"] += len(seen)
        counts["duplicated"] += sum(number - 1 for number in seen.values())
        counts["lost"] += len(expected - seen.keys())
    return counts
