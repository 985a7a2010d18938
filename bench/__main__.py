"""python -m bench [NAME ...] [--rounds N]: run the benchmarks and print ratios; `--list` names them."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from bench import continuous, generation, startup, sweep
from bench.ratios import Ratio

BENCHES: dict[str, Callable[[int], Iterator[Ratio]]] = {
    "generation-pytorch": generation.pytorch,
    "generation-openvino": generation.openvino,
    "startup-pytorch": startup.pytorch,
    "startup-openvino": startup.openvino,
    "startup-openvino_genai": startup.openvino_genai,
    "genai-stream": continuous.one_stream,
    "genai-concurrent": continuous.many_calls,
    "genai-lookup": continuous.prompt_lookup,
    "help": startup.help_page,
    "sweep": sweep.against_bare,
    "sweep-processes": sweep.against_processes,
}
PACKAGES = ("torch", "transformers", "optimum-intel", "openvino", "openvino-genai", "langchain-core", "hydra-core")


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"which of them: {', '.join(BENCHES)}; all if none")
    parser.add_argument(
        "--rounds", type=int, default=9, help="how often each pair is measured, the long ones less often (9)"
    )
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    options = parser.parse_args()
    if options.list:
        print("\n".join(BENCHES))
        return 0
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    console = begun()
    table = Table("what", "hforch", "bare", "ratio", "quartiles", "at most", title="medians")
    for name in options.names or BENCHES:
        for ratio in BENCHES[name](options.rounds):
            console.print(f"[dim]{ratio.name}: {ratio.ratio:.3f}[/]", highlight=False)
            table.add_row(*ratio.row(), style=None if ratio.met else "red")
    console.print(table)
    return 0


def begun() -> Console:
    """Where a benchmark prints, with the machine told."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(machine(), highlight=False)
    return console


def machine() -> str:
    import os

    from hforch.runs.environment import cpu_name

    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cpu_name()}, {cores} cores; Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
