"""Cost of many samples: the parent's memory while a sweep runs, and the time to compare long sample files.

It uses the fake backend, so that only the handling of records is measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from bench.scale import Scale
from bench.tables import Table

SIZES = (1_000, 10_000, 100_000)
JOBS, LINES, COMPARED_S = 8, 100_000, 60.0
LOOK_S = 0.05


def run(scale: Scale) -> Iterator[Table]:
    yield parent_memory(scale.pick(SIZES, (10,)))
    yield comparing(scale.pick(LINES, 100))


def parent_memory(sizes: Sequence[int]) -> Table:
    """Measure the peak resident memory of `hforch -m` itself, for two-job sweeps with increasing numbers of samples."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            parent, worker = _sweep(Path(folder), size)
            took = time.perf_counter() - started
        rows.append((f"{size:,}", f"{parent / 1e6:.0f} MB", f"{worker / 1e6:.0f} MB", f"{took:.0f} s"))
    columns = ("samples per job", "parent, peak RSS", "its workers, peak RSS", "wall")
    return Table("Memory of a sweep of two jobs", columns, rows)


def _sweep(folder: Path, size: int) -> tuple[int, int]:
    words = ["-m", *_overrides(folder, size), "runtime.seed=1,2", f"hydra.sweep.dir={folder / 'sweep'}"]
    with subprocess.Popen([sys.executable, "-m", "hforch", *words], stdout=subprocess.DEVNULL) as process:
        parent = psutil.Process(process.pid)
        own = others = 0
        while process.poll() is None:
            try:
                own = max(own, parent.memory_info().rss)
                for child in parent.children(recursive=True):
                    others = max(others, child.memory_info().rss)
            except psutil.NoSuchProcess:
                pass
            time.sleep(LOOK_S)
    assert process.returncode == 0
    return own, others


def _overrides(folder: Path, size: int) -> list[str]:
    questions = folder / "questions.jsonl"
    with questions.open("w") as file:
        for number in range(size):
            file.write(json.dumps({"question": f"What is the number {number}?"}) + "\n")
    own = ["backend=fake", "inputs=file", f"inputs.path={questions}", "runtime.warmup=0", "runtime.batch_size=100"]
    return [*own, "runtime.display=none", "generation.max_new_tokens=16"]


def comparing(lines: int) -> Table:
    """Measure `hforch compare` of 8 jobs; in seven of them a quarter of the answers differ."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "jobs"
        _jobs(Path(folder), directory, lines)
        command = [sys.executable, "-m", "hforch", "compare", str(directory), "--format", "csv"]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            peak = 0
            while process.poll() is None:
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
                time.sleep(LOOK_S)
        assert process.returncode == 0
        took = time.perf_counter() - started
    row = (str(JOBS), f"{lines:,}", f"{took:.1f} s", f"{peak / 1e6:.0f} MB", f"{COMPARED_S:.0f} s")
    missed = frozenset([0]) if took > COMPARED_S else frozenset[int]()
    return Table("hforch compare", ("jobs", "lines per job", "wall", "peak RSS", "at most"), [row], missed)


def _jobs(folder: Path, directory: Path, size: int) -> None:
    run = folder / "run"
    words = [*_overrides(folder, size), f"hydra.run.dir={run}"]
    subprocess.run([sys.executable, "-m", "hforch", *words], check=True, stdout=subprocess.DEVNULL)
    lines = (run / "samples.jsonl").read_text().splitlines(keepends=True)
    record = json.loads((run / "record.json").read_text())
    for number in range(JOBS):
        job = directory / str(number)
        job.mkdir(parents=True)
        name = ("fp32", "int8")[number > 0]
        own = {**record["job"], "precision": {**record["job"]["precision"], "name": name}}
        own["backend"] = {**own["backend"], "token_s": number / 1000}
        (job / "record.json").write_text(json.dumps(record | {"job": own, "overrides": [f"precision={name}"]}))
        with (job / "samples.jsonl").open("w") as file:
            file.writelines(
                _changed(line) if number and at % 4 == number % 4 else line for at, line in enumerate(lines)
            )
    shutil.rmtree(run)


def _changed(line: str) -> str:
    sample = json.loads(line)
    ids = sample["output_ids"]
    sample["output_ids"], sample["text"] = [*ids[:3], 7, *ids[4:]], sample["text"][:12] + " other words"
    return json.dumps(sample) + "\n"
