"""Tables of recorded noise: repeats, loads, pairs of loads, and whether a covariate lowers the variance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from bench.noise.series import Components, Recording, Series, components, load_effect
from bench.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable


def tables(recording: Recording) -> Iterator[Table]:
    yield of_loads(recording)
    yield of_pairs(recording)
    yield of_covariates(recording)


def of_loads(recording: Recording) -> Table:
    rows = []
    for backend in recording.backends:
        for series in recording.of(backend, "loads"):
            groups = series.of_loads()
            found = components(groups)
            means = " ".join(f"{math.exp(fmean(one)):.0f}" for one in groups)
            rows.append((backend, f"{len(groups)} x {len(groups[0])}", means, *_shown(found), _duration(series)))
    columns = ("backend", "loads x repeats", "tokens/s of each load", "SD of repeats", "SD of loads", "p", "block")
    return Table("One load after another, SD of ln(tokens/s)", columns, rows)


def of_pairs(recording: Recording) -> Table:
    rows = []
    for backend in recording.backends:
        pairs = recording.of(backend, "pair")
        if not pairs:
            continue
        found = load_effect(pairs)
        one_load = [variance for pair in pairs for variance in map(stdev, pair.of_loads())]
        unpaired = math.sqrt(2 * fmean(one * one for one in one_load))
        means = " ".join(f"{100 * math.expm1(fmean(pair.log_ratios())):+.1f}" for pair in pairs)
        lag = fmean(_autocorrelation(pair.log_ratios()) for pair in pairs)
        shape = f"{len(pairs)} x {len(pairs[0].log_ratios())}"
        rows.append((backend, shape, _percent(unpaired), *_shown(found), f"{lag:+.2f}", means))
    columns = (
        *("backend", "pairs x rounds", "SD if unpaired", "SD of paired ratio", "SD of pairs of loads", "p"),
        *("autocorrelation", "ratio of each pair, %"),
    )
    return Table("Two loads of the same job in turns, SD of ln(ratio)", columns, rows)


def of_covariates(recording: Recording) -> Table:
    rows = []
    covariates: dict[str, Callable[[Series], list[float]]] = {
        "fixed workload before each measurement": lambda one: [math.log(ms) for ms in one.reference_ms],
        "CPU time of other processes": lambda one: one.others,
    }
    for backend in recording.backends:
        pairs = recording.of(backend, "pair")
        for name, covariate in covariates.items() if pairs else ():
            found = [reduction(pair.log_ratios(), _differences(pair, covariate(pair))) for pair in pairs]
            before = math.sqrt(fmean(one[0] for one in found))
            after = math.sqrt(fmean(one[1] for one in found))
            pooled = math.sqrt(pooled_reduction(pairs, covariate)) * before
            rows.append((backend, name, _percent(before), _percent(after), _percent(pooled)))
    columns = ("backend", "covariate", "SD of ln(ratio)", "regressed in each pair", "one slope from the other pairs")
    return Table("Effect of covariates on the variation of the paired ratio", columns, rows)


def reduction(ratios: Sequence[float], apart: Sequence[float]) -> tuple[float, float]:
    """Return the variance of paired ratios, and what a regression on the covariate's differences leaves of it.

    Both are unbiased: the sums of squares are divided by their degrees of freedom.
    """
    n, centre, middle = len(ratios), fmean(ratios), fmean(apart)
    total = math.fsum((one - centre) ** 2 for one in ratios)
    spread = math.fsum((one - middle) ** 2 for one in apart)
    both = math.fsum((a - centre) * (b - middle) for a, b in zip(ratios, apart, strict=True))
    return total / (n - 1), (total - (both**2 / spread if spread else 0.0)) / (n - 2)


def pooled_reduction(pairs: Sequence[Series], covariate: Callable[[Series], list[float]]) -> float:
    """Return the fraction of the variance that is left with a slope from all other pairs."""
    centred = []
    for pair in pairs:
        ratios, apart = pair.log_ratios(), _differences(pair, covariate(pair))
        centred.append(([one - fmean(ratios) for one in ratios], [one - fmean(apart) for one in apart]))
    total = left = 0.0
    for at, (ratios, apart) in enumerate(centred):
        rest = [one for other, one in enumerate(centred) if other != at]
        spread = math.fsum(value**2 for one in rest for value in one[1])
        both = math.fsum(a * b for one in rest for a, b in zip(*one, strict=True))
        slope = both / spread if spread else 0.0
        total += math.fsum(one**2 for one in ratios)
        left += math.fsum((one - slope * value) ** 2 for one, value in zip(ratios, apart, strict=True))
    return left / total


def _differences(pair: Series, values: Sequence[float]) -> list[float]:
    """Return load 0 - load 1 of a covariate in each round."""
    one, other = ([value for value, at in zip(values, pair.loads, strict=True) if at == load] for load in (0, 1))
    return [a - b for a, b in zip(one, other, strict=True)]


def _autocorrelation(values: Sequence[float]) -> float:
    centre = fmean(values)
    apart = [one - centre for one in values]
    total = math.fsum(one * one for one in apart)
    return math.fsum(a * b for a, b in pairwise(apart)) / total if total else 0.0


def _shown(found: Components) -> tuple[str, str, str]:
    return _percent(found.within), _percent(found.between), f"{found.p:.3f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _duration(series: Series) -> str:
    return f"{fmean(series.seconds):.1f} s"
