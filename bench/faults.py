"""Kill sweeps at random moments and resume them: no sample may be lost, and none may be there twice.

    python -m bench.faults [--kills 30] [--seed 0] [--backend pytorch]

Every third kill takes the worker that holds the model, the others the whole sweep (SIGKILL each).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

LONGEST_S = 14.0  # from the start of a process to its end at the latest


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="how often something is killed (30)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--backend", default="pytorch", help="what answers (pytorch)")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    kills, sweeps, counts = 0, 0, Counter[str]()
    while kills < options.kills:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "sweep"
            command = _begin(directory, options.backend)
            while True:
                last = kills == options.kills
                code, killed = _run(command, None if last else chance.uniform(0.5, LONGEST_S), kills % 3 == 2)
                kills += killed
                if (directory / "sweep.json").is_file():
                    command = [sys.executable, "-m", "hforch", "resume", str(directory)]
                if code == 0:
                    break
            sweeps += 1
            counts += _count(directory)
    print(f"kills {kills}, sweeps {sweeps}")
    for name in ("expected", "present", "doubled", "lost"):
        print(f"samples {name:9}{counts[name]:6}")
    return 1 if counts["doubled"] or counts["lost"] else 0


def _begin(directory: Path, backend: str) -> list[str]:
    words = [f"backend={backend}", "inputs=facts", "prompt=step_by_step,chat", "runtime.seed=1,2", "runtime.repeat=2"]
    words += ["generation.max_new_tokens=16", "runtime.batch_size=2", f"hydra.sweep.dir={directory}"]
    return [sys.executable, "-m", "hforch", "-m", *words]


def _run(command: list[str], after: float | None, worker: bool) -> tuple[int | None, bool]:
    """The exit code of the sweep, and whether something was killed."""
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
    time.sleep(0.2)  # its children end with it
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
        counts["doubled"] += sum(number - 1 for number in seen.values())
        counts["lost"] += len(expected - seen.keys())
    return counts


if __name__ == "__main__":
    sys.exit(main())
