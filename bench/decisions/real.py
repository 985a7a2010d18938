"""Real sweeps of two jobs that differ in nothing, while another process is busy half of the time.

SmolLM2, int8 weights, on openvino_genai: the jobs load the same model with a different setting of the log, so each has
its own load. `hforch compare --optimize tokens_per_s` must not name a winner.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table

BACKEND = ("backend=openvino_genai", "precision=int8")
SAME = "+ov_config.LOG_LEVEL=LOG_NONE,LOG_ERROR"
COMPARISONS, ROUNDS, TOKENS = 20, 8, 32
NAMED = 1
"""The largest number of comparisons that may name a winner: 5% of 20."""


def run(scale: Scale) -> Iterator[Table | str]:
    prepared(*BACKEND)
    comparisons = scale.pick(scale.asked or COMPARISONS, 1)
    ways = {
        f"{ROUNDS} rounds": [f"runtime.rounds={scale.pick(ROUNDS, 2)}"],
        "until decided, at most 30 s": [
            "runtime.measure.until=decided",
            f"runtime.measure.at_most={scale.pick(30, 3)}s",
        ],
    }
    rows, missed = [], set()
    with busy():
        for name, settings in scale.pick(ways, dict([*ways.items()][:1])).items():
            found: Counter[str] = Counter()
            ratios = []
            for number in range(comparisons):
                decision, ratio = compared(settings, scale.pick(TOKENS, 2))
                found[decision["outcome"]] += 1
                ratios.append(ratio)
                yield f"{name}, comparison {number}: {decision['outcome']}; {ratio:.3f}; {decision['reason']}"
            if found["winner"] > NAMED:
                missed.add(len(rows))
            counts = [str(found[outcome]) for outcome in ("winner", "tie", "undecided")]
            rows.append((name, str(comparisons), *counts, f"{min(ratios):.3f} .. {max(ratios):.3f}", str(NAMED)))
    columns = ("measured", "comparisons", "winner", "tie", "undecided", "ratios of tokens/s", "winners at most")
    yield Table("Two equal jobs, another process busy half of the time", columns, rows, frozenset(missed))


def compared(settings: list[str], tokens: int) -> tuple[dict[str, Any], float]:
    """Run a sweep of two equal jobs; return the decision, and the ratio of their tokens/s."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*BACKEND, SAME, "inputs=facts", "runtime.batch_size=8", f"generation.max_new_tokens={tokens}"]
        words += ["generation.ignore_eos=true", *settings, "runtime.display=none", f"hydra.sweep.dir={folder}/sweep"]
        hforch = [sys.executable, "-m", "hforch"]
        subprocess.run([*hforch, "-m", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        compare = [*hforch, "compare", f"{folder}/sweep", "--optimize", "tokens_per_s", "--format", "json"]
        done = subprocess.run(compare, check=False, capture_output=True, text=True)
        assert done.returncode in (0, 3), done.stderr
        records = [json.loads(file.read_text()) for file in sorted(Path(folder).glob("sweep/*/record.json"))]
    one, other = (float(record["metrics"]["tokens_per_s"]) for record in records)
    decision: dict[str, Any] = json.loads(done.stdout)["decision"]
    return decision, one / other


@contextmanager
def busy() -> Iterator[None]:
    """Run a process that is busy half of the time; it ends when its input is closed."""
    with subprocess.Popen([sys.executable, "-m", "bench.decisions.busy"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        yield
        process.stdin.close()
