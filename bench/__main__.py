"""python -m bench [NAME ...]: run benchmarks and print their tables; `--list` lists the names.

Several benchmarks run one after another, each in a new process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from bench import (
    continuous,
    decisions,
    extras,
    faults,
    generation,
    gpu,
    records,
    report,
    scheduler,
    scoring,
    startup,
    sweep,
    throughput,
    warmup,
)
from bench.decisions import real
from bench.machine import machine
from bench.noise import record as noise
from bench.ratios import Ratio
from bench.registry import Bench
from bench.scale import Scale
from bench.tables import Table, page_with, ratio_table, write

BENCHES: dict[str, Bench] = {
    "generation-pytorch": Bench(generation.pytorch, minutes=3),
    "generation-openvino": Bench(generation.openvino, minutes=3),
    "startup-pytorch": Bench(startup.pytorch, minutes=3),
    "startup-openvino": Bench(startup.openvino, minutes=3),
    "startup-openvino_genai": Bench(startup.openvino_genai, minutes=2),
    "gpu": Bench(gpu.plain, minutes=5),
    "gpu-compiled": Bench(gpu.compiled, minutes=3),
    "help": Bench(startup.help_page, minutes=1),
    "throughput": Bench(throughput.run, minutes=25),
    "genai-stream": Bench(continuous.one_stream, minutes=1),
    "genai-concurrent": Bench(continuous.many_calls, minutes=3),
    "genai-lookup": Bench(continuous.prompt_lookup, minutes=2),
    "scheduler": Bench(scheduler.run, minutes=7),
    "sweep": Bench(sweep.against_bare, minutes=14),
    "sweep-processes": Bench(sweep.against_processes, minutes=14),
    "warmup": Bench(warmup.run, minutes=15),
    "scoring": Bench(scoring.run, minutes=14),
    "noise": Bench(noise.run, minutes=25),
    "decisions": Bench(decisions.run, minutes=8),
    "decisions-real": Bench(real.run, minutes=30),
    "records": Bench(records.run, minutes=8),
    "faults": Bench(faults.run, minutes=8),
    "report": Bench(report.run, minutes=3),
    "extras": Bench(extras.run, minutes=1),
}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="benchmarks to run; default: all")
    parser.add_argument("--rounds", type=int, help="number of measured rounds; default: set by each benchmark")
    parser.add_argument("--smoke", action="store_true", help="one round of two tokens, to test that it runs")
    parser.add_argument(
        "--write",
        metavar="FILE",
        type=Path,
        action="append",
        help="write the tables to FILE, between their markers; repeat it if they are in several files",
    )
    parser.add_argument("--list", action="store_true", help="list benchmarks and their approximate duration")
    words = sys.argv[1:] if words is None else words
    options = parser.parse_args(words)
    if options.list:
        print("\n".join(f"{name:24}{bench.minutes:3} min" for name, bench in BENCHES.items()))
        return 0
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"unknown benchmark {', '.join(unknown)}; available: {', '.join(BENCHES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: must be at least 1")
    names = options.names or list(BENCHES)
    pages = {name: page_with(name, options.write) for name in names} if options.write else {}
    if len(names) > 1:
        return _each_alone(names, [word for word in words if word not in options.names])
    return _one(names[0], Scale(options.rounds, options.smoke), pages.get(names[0]))


def _each_alone(names: list[str], flags: list[str]) -> int:
    command = [sys.executable, "-m", "bench"]
    failed = [name for name in names if subprocess.run([*command, name, *flags], check=False).returncode]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _one(name: str, scale: Scale, page: Path | None) -> int:
    console = Console(width=None if sys.stdout.isatty() else 110)
    told = machine()
    console.print(told, highlight=False)
    tables = list(_tables(BENCHES[name], scale, console))
    for table in tables:
        console.print(table.for_terminal())
    if page is not None:
        rounds = f" --rounds {scale.asked}" if scale.asked else ""
        write(page, name, f"`python -m bench {name}{rounds}`, on {told}:\n", tables)
    return 0


def _tables(bench: Bench, scale: Scale, console: Console) -> Iterator[Table]:
    ratios: list[Ratio] = []
    for found in bench.run(scale):
        if isinstance(found, Table):
            yield found
            continue
        if isinstance(found, Ratio):
            ratios.append(found)
        line = f"{found.name}: {found.ratio:.3f}" if isinstance(found, Ratio) else found
        console.print(f"[dim]{line}[/]", highlight=False)
    if ratios:
        yield ratio_table(ratios)


if __name__ == "__main__":
    sys.exit(main())
