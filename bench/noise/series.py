"""Recorded series of the same job's speed: their file, and the variance of repeats, loads and rounds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, variance
from typing import Literal

RECORDED = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Series:
    """Measurements of one job, in the order of time.

    Attributes:
        kind: `loads`: the model is loaded several times, and the job is repeated in each load; `pair`: two loads of
            the same job are kept and measured in turns, 0 1 1 0 0 1 1 0.
        loads: the load of each measurement.
        starts: when each measurement began, in seconds since the first.
        seconds: the duration of each measurement.
        speeds: tokens/s.
        reference_ms: the duration of the fixed workload that ran just before each measurement.
        others: CPU time of all other processes during each measurement, as a fraction of all cores.
    """

    backend: str
    kind: Literal["loads", "pair"]
    loads: list[int]
    starts: list[float]
    seconds: list[float]
    speeds: list[float]
    reference_ms: list[float]
    others: list[float]

    @property
    def logs(self) -> list[float]:
        return [math.log(one) for one in self.speeds]

    def of_loads(self) -> list[list[float]]:
        """Return ln(tokens/s) of each load."""
        return [
            [log for log, at in zip(self.logs, self.loads, strict=True) if at == load] for load in sorted({*self.loads})
        ]

    def log_ratios(self) -> list[float]:
        """Return ln(load 0 / load 1) of each round of a pair."""
        one, other = self.of_loads()
        return [a - b for a, b in zip(one, other, strict=True)]


@dataclass(frozen=True)
class Recording:
    """Attributes:
    machine: the machine, as the other benchmarks describe it.
    recorded: the date.
    """

    machine: str
    recorded: str
    series: list[Series]

    def of(self, backend: str, kind: str) -> list[Series]:
        return [one for one in self.series if (one.backend, one.kind) == (backend, kind)]

    @property
    def backends(self) -> list[str]:
        return list(dict.fromkeys(one.backend for one in self.series))


def save(recording: Recording, file: Path = RECORDED) -> None:
    lines = ",\n".join(json.dumps(asdict(one), separators=(",", ":")) for one in recording.series)
    head = json.dumps({"machine": recording.machine, "recorded": recording.recorded})
    file.write_text(f'{head[:-1]}, "series": [\n{lines}\n]}}\n', encoding="utf-8")


def load(file: Path = RECORDED) -> Recording:
    read = json.loads(file.read_text(encoding="utf-8"))
    return Recording(read["machine"], read["recorded"], [Series(**one) for one in read["series"]])


# ---------------------------------------------------------------- components of variance
@dataclass(frozen=True)
class Components:
    """Standard deviations of ln(tokens/s) within groups, and of the groups' own means; one-way random effects.

    Attributes:
        between: 0 if the means differ by no more than the values within the groups explain.
        p: the p-value of the hypothesis that the groups' means are equal (F test).
    """

    within: float
    between: float
    p: float


def components(groups: Sequence[Sequence[float]]) -> Components:
    """Return the analysis of variance of groups of equal size (Searle, Casella and McCulloch 1992, chapter 3)."""
    from scipy.stats import f

    size = len(groups[0])
    within = fmean(variance(one) for one in groups)
    of_means = variance([fmean(one) for one in groups])
    between = max(0.0, of_means - within / size)
    p = float(f.sf(size * of_means / within, len(groups) - 1, len(groups) * (size - 1)))
    return Components(math.sqrt(within), math.sqrt(between), p)


def load_effect(pairs: Iterable[Series]) -> Components:
    """Return the variance of paired log ratios within pairs of loads, and that of the pairs' means around 0.

    The expected mean of each pair is 0, because both loads run the same job. Which load is the first is arbitrary, so
    the means are taken as deviations from 0. `between` is that of ln(ratio), so that of one load is smaller by sqrt(2).
    """
    from scipy.stats import f

    ratios = [one.log_ratios() for one in pairs]
    size = min(map(len, ratios))
    ratios = [one[:size] for one in ratios]
    within = fmean(variance(one) for one in ratios)
    of_means = fmean(fmean(one) ** 2 for one in ratios)
    p = float(f.sf(size * of_means / within, len(ratios), len(ratios) * (size - 1)))
    return Components(math.sqrt(within), math.sqrt(max(0.0, of_means - within / size)), p)
