"""Effect of warm-up: tokens/s of a job's first repeat vs. its later ones, with runtime.warmup=0, 1 and auto.

Eight questions, 32 new tokens each, four repeats, batches of 4. Each measurement is a new process, and the settings
alternate, so that other load on the machine affects all equally. With enough warm-up the first repeat is as fast as
the later ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table

BACKENDS = ("pytorch", "openvino", "openvino_genai")
WARMUPS = ("0", "1", "auto")
TITLE = "tokens/s of the first repeat and of the later ones"
COLUMNS = ("backend", "warmup", "took", "rounds", "steady", "first", "later", "first / later", "first / first at 0")


def run(scale: Scale) -> Iterator[Table | str]:
    records: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    backends = scale.pick(BACKENDS, BACKENDS[-1:])
    for backend in backends:
        prepared(f"backend={backend}")  # otherwise the first measurement would include the export
    for number in range(scale.rounds(5)):
        for backend in backends:
            turn = number % len(WARMUPS)
            for warmup in (*WARMUPS[turn:], *WARMUPS[:turn]):
                record = measured(backend, warmup, scale)
                records[backend, warmup].append(record)
                yield f"{backend} warmup={warmup}: first / later {_first(record) / _later(record):.3f}"
    yield Table(TITLE, COLUMNS, [row(*key, some, records[key[0], "0"]) for key, some in sorted(records.items())])


def measured(backend: str, warmup: str, scale: Scale) -> dict[str, Any]:
    """Return the record of a job that ran in a new process."""
    tokens, repeats = scale.pick((32, 4), (2, 2))
    with tempfile.TemporaryDirectory() as folder:
        words = [f"backend={backend}", "inputs=facts", f"generation.max_new_tokens={tokens}", "runtime.display=none"]
        words += ["generation.ignore_eos=true", f"runtime.repeat={repeats}", f"runtime.warmup={warmup}"]
        command = [sys.executable, "-m", "hforch", *words, f"hydra.run.dir={folder}/run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads((Path(folder) / "run" / "record.json").read_text())
    return found


def row(backend: str, warmup: str, some: list[dict[str, Any]], cold: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the medians over the rounds; ratios are computed for each round first."""
    seconds = median(record["timings"].get("warmup_s", 0.0) for record in some)
    shapes = [shape for record in some for shape in record.get("warmup", [])]
    rounds = [shape["rounds"] for shape in shapes]
    steady = sum(bool(shape["steady"]) for shape in shapes)
    beside_cold = median(_first(mine) / _first(other) for mine, other in zip(some, cold, strict=True))
    return (
        backend,
        warmup,
        f"{seconds:.2f} s",
        f"{median(rounds):.0f}" if rounds else "-",
        f"{steady} of {len(shapes)}" if warmup == "auto" else "-",
        f"{median(map(_first, some)):.1f}",
        f"{median(map(_later, some)):.1f}",
        f"{median(_first(record) / _later(record) for record in some):.3f}",
        f"{beside_cold:.3f}",
    )


def _first(record: dict[str, Any]) -> float:
    return float(record["metrics"]["tokens_per_s_each"][0])


def _later(record: dict[str, Any]) -> float:
    return float(median(record["metrics"]["tokens_per_s_each"][1:]))
