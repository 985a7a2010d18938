"""Measure the energy of CPU packages with the RAPL counters in /sys/class/powercap."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path("/sys/class/powercap")
LOOK_S = 60.0  # interval of readings; a counter wraps around at most once in this time
NO_RAPL = (
    "no RAPL counters of CPU packages found in {root}; Intel and AMD CPUs have them, but virtual machines and"
    " containers usually hide them"
)
UNREADABLE = "only root can read {file}; to allow all users: sudo chmod a+r {root}/intel-rapl:*/energy_uj"
PARALLEL = "other jobs ran in parallel, and the energy counters cover the whole CPU"
TOO_SHORT = "the energy counters did not change: the measured phase is too short"


class Unreadable(Exception):
    """A counter that cannot be read; the message gives the reason and a remedy."""


@dataclass
class Package:
    """The counter of one CPU package, in microjoules.

    Attributes:
        name: RAPL's name, such as `package-0`.
        file: the counter's file.
        range_uj: the maximum value, after which the counter wraps around to 0.
        last_uj: the last reading.
        used_uj: the energy since the first reading.
    """

    name: str
    file: Path
    range_uj: int
    last_uj: int
    used_uj: int = 0

    @classmethod
    def begin(cls, folder: Path) -> Self:
        file = folder / "energy_uj"
        return cls(_text(folder / "name"), file, _number(folder / "max_energy_range_uj"), _number(file))

    def update(self) -> None:
        now = _number(self.file)
        self.used_uj += now - self.last_uj if now >= self.last_uj else now - self.last_uj + self.range_uj
        self.last_uj = now


@dataclass(frozen=True)
class EnergyUsed:
    """The result of a measurement.

    Attributes:
        energy_j: energy of all packages, in J; None if unknown, with the reason in `why_not`.
        power_w: mean power, in W.
        names: the packages.
    """

    energy_j: float | None
    why_not: str | None = None
    power_w: float = 0.0
    names: tuple[str, ...] = ()


class PackageMeter:
    """A meter of the energy that this machine's CPU packages use from `begin` to `end`.

    Args:
        parallel: whether other jobs run on this machine at the same time.
    """

    def __init__(self, parallel: bool = False) -> None:
        self._packages: list[Package] = []
        self._why_not = PARALLEL if parallel else None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._why_not is not None:
            return
        try:
            self._packages = [Package.begin(folder) for folder in _folders()]
        except Unreadable as reason:
            self._why_not = str(reason)
            return
        if not self._packages:
            self._why_not = NO_RAPL.format(root=ROOT)
            return
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, name="hforch-packages", daemon=True)
        self._thread.start()

    def end(self) -> EnergyUsed:
        """Stop measuring and return the result."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._update()
        if self._why_not is not None:
            return EnergyUsed(None, self._why_not)
        energy = sum(package.used_uj for package in self._packages) / 1e6
        if energy <= 0:
            return EnergyUsed(None, TOO_SHORT)
        power = energy / (time.perf_counter() - self._began)
        return EnergyUsed(energy, None, power, tuple(package.name for package in self._packages))

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._update()

    def _update(self) -> None:
        try:
            for package in self._packages:
                package.update()
        except Unreadable as reason:
            self._why_not = str(reason)


def _folders() -> list[Path]:
    """Return the directories of the CPU packages, without their parts (core, uncore, dram) and without psys."""
    return [folder for folder in sorted(ROOT.glob("intel-rapl:*")) if _text(folder / "name").startswith("package")]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except PermissionError:
        raise Unreadable(UNREADABLE.format(file=file, root=ROOT)) from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot read {file}: {error}") from None


def _number(file: Path) -> int:
    text = _text(file)
    try:
        return int(text)
    except ValueError:
        raise Unreadable(f"{file} does not contain a number: {text[:40]!r}") from None
