"""python -m tests.zoo: compare tiny random models of every architecture on all backends.

The exit code is 1 if a backend gives a wrong answer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tests import forking

from .cases import CASES, Case
from .rows import BACKENDS, ROOT, Row, make
from .table import PAGE, write


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.zoo", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", nargs="+", help="cases; default: all")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep models, answers and logs in this directory")
    parser.add_argument(
        "--resume", action="store_true", help="use the models and answers that --keep's DIR already has"
    )
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--list", action="store_true", help="list the cases")
    options = parser.parse_args(words)
    names = [case.name for case in CASES]
    if options.list:
        print("\n".join(names))
        return 0
    if unknown := [name for name in options.only or [] if name not in names]:
        parser.error(f"unknown case {', '.join(unknown)}; available: {', '.join(names)}")
    if options.write and options.only:
        parser.error("--write needs all cases; omit --only")
    if options.resume and not options.keep:
        parser.error("--resume needs --keep DIR")
    cases = [case for case in CASES if not options.only or case.name in options.only]
    started = time.monotonic()
    rows = compare(cases, options.keep and options.keep.absolute(), options.resume)
    wrong = [row.case.name for row in rows if row.is_wrong]
    print(f"{len(rows)} cases in {(time.monotonic() - started) / 60:.1f} min; wrong: {', '.join(wrong) or 'none'}")
    if options.write:
        write(rows)
    return int(bool(wrong))


def compare(cases: Sequence[Case], keep: Path | None, resume: bool = False) -> list[Row]:
    """Compare all cases, on each processor core one at a time, and print each row as soon as it is complete."""
    with tempfile.TemporaryDirectory(prefix="hforch-zoo-cache-") as cache:
        environment = dict(os.environ) | {
            "HFORCH_CACHE": cache,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
        }
        server = forking.server_for(BACKENDS, environment)
        run = partial(server.run_module, folder=ROOT, environment=environment)
        cores: SimpleQueue[int] = SimpleQueue()
        for core in (available := sorted(os.sched_getaffinity(0))):
            cores.put(core)

        def row_of(case: Case) -> Row:
            core = cores.get()
            try:
                row = make(case, run, core, keep, resume)
            finally:
                cores.put(core)
            _print(row)
            return row

        with ThreadPoolExecutor(len(available)) as pool:
            return list(pool.map(row_of, cases))


def _print(row: Row) -> None:
    told = "  ".join(f"{backend}: {verdict}" for backend, verdict in row.verdicts.items())
    print(f"{row.seconds:5.1f} s  {row.case.name:24} {told}  {row.note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
