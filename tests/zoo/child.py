"""One step of a comparison, in its own process.

python -m tests.zoo.child CORE build NAME FOLDER
python -m tests.zoo.child CORE answer FOLDER BACKEND
"""

from __future__ import annotations

import faulthandler
import os
import sys
import warnings
from pathlib import Path

from .answering import answer, save
from .building import build
from .cases import CASES

SLOW_S = 240
"""Seconds after which a step writes its stack into its log, in case that it hangs."""


def main() -> None:
    warnings.simplefilter("ignore")
    faulthandler.dump_traceback_later(SLOW_S)
    core, step, *words = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    if step == "build":
        (case,) = (case for case in CASES if case.name == words[0])
        build(case, Path(words[1]))
    else:
        folder, backend = Path(words[0]), words[1]
        save(answer(folder, backend), folder.with_name(f"{backend}.json"))


if __name__ == "__main__":
    main()
