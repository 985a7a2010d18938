"""The size of each extra's packages, and the time to import what it adds.

Sizes are those of the files that pip installed, with all requirements; each row after the first counts only what hforch
alone does not need. Imports are timed in new processes, less the start of Python.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from statistics import median

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.scale import Scale
from bench.tables import Table

PRELOAD = "from hforch.runs.processes.preload import preload; preload({!r}, {!r})"
EXTRAS = {
    "": ("torch, any device", PRELOAD.format("pytorch", "fp32")),
    "openvino": ("OpenVINO through transformers", PRELOAD.format("openvino", "fp32")),
    "genai": ("OpenVINO through openvino-genai", PRELOAD.format("openvino_genai", "fp32")),
    "quant": ("int8 and int4 on torch", "import torchao.quantization, bitsandbytes"),
    "report": ("charts of `hforch report`", "import altair, vl_convert"),
    "joblib": ("parallel sweeps", "import joblib"),
    "cuda": ("energy and clocks of NVIDIA GPUs", "import pynvml"),
    "parquet": ("inputs in Parquet files", "import pyarrow.parquet"),
    "pandas": ("DataFrames in the Python API", "import pandas"),
    "all": ("all of the above, except pandas", ""),
}
"""By extra: what it is for, and a program that imports its packages."""


def run(scale: Scale) -> Iterator[Table]:
    base, rows = closure("hforch"), []
    for extra, (purpose, program) in EXTRAS.items():
        packages = closure("hforch", extra) - (base if extra else set())
        row = [f"hforch[{extra}]" if extra else "hforch", purpose, f"{len(packages)}"]
        row.append(f"{sum(map(megabytes, packages)):,.0f} MB")
        row.append(f"{import_seconds(program, scale):.1f} s" if program else "-")
        rows.append(row)
    columns = ("install", "for", "packages", "size", "import")
    yield Table("", columns, rows)


def closure(name: str, *extras: str) -> set[str]:
    """Return the canonical names of a package's requirements, direct and indirect, with some of its extras."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), extra) for extra in ("", *extras)]
    while waiting:
        package, extra = one = waiting.pop()
        if one in found or not is_installed(package):
            continue
        found.add(one)
        for wanted in map(Requirement, distribution(package).requires or []):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(wanted.name), more) for more in ("", *wanted.extras)]
    return {package for package, _ in found} - {"hforch"}


def is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


@cache
def megabytes(package: str) -> float:
    """Return the size of a package's files as pip recorded them, in 10^6 bytes."""
    return sum(file.size or 0 for file in distribution(package).files or []) / 1e6


def import_seconds(program: str, scale: Scale) -> float:
    took = {code: [seconds(code) for _ in range(scale.rounds(3))] for code in (program, "")}
    return max(0.0, median(took[program]) - median(took[""]))


def seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - started
