"""A process that is busy half of the time: python -m bench.decisions.busy, until its input ends."""

from __future__ import annotations

import random
import select
import sys
import time

MEAN_S = 3.0


def main() -> None:
    draw = random.Random(0)
    while True:
        _compute(draw.expovariate(1 / MEAN_S))
        if select.select([sys.stdin], [], [], draw.expovariate(1 / MEAN_S))[0]:
            return


def _compute(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(100_000))


if __name__ == "__main__":
    main()
