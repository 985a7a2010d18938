"""Measure the energy that a job's NVIDIA GPUs and the CPU packages use while it generates answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hforch.machine.nvidia_meter import CardMeter, CardReadings
from hforch.machine.rapl import EnergyUsed, PackageMeter
from hforch.metrics.metric import is_on_cpu
from hforch.metrics.registry import ALL

NAMES = tuple(metric.name for metric in ALL if metric.kind == "energy")
RESUMED = "the job was resumed, so its total energy is unknown"


@dataclass(frozen=True)
class Energy:
    """The result of an energy measurement.

    Attributes:
        gpus: the measurement of the job's NVIDIA GPUs.
        packages: the measurement of the machine's CPU packages.
        is_on_cpu: whether the CPU was the job's only device.
    """

    gpus: CardReadings
    packages: EnergyUsed
    is_on_cpu: bool

    def metrics(self, tokens: int, is_whole: bool) -> dict[str, Any]:
        """Return the energy metrics; unknown ones are under `absent` with the reason.

        `energy_of` names the devices included: for a job on GPUs also the CPU packages, if they can be measured.

        Args:
            tokens: output tokens generated during the measurement.
            is_whole: whether the measurement covers all samples of the job (false for a resumed job).
        """
        main = self.packages if self.is_on_cpu else self.gpus
        if main.energy_j is None:
            return {"absent": dict.fromkeys(NAMES, main.why_not)}
        parts: list[CardReadings | EnergyUsed] = [self.gpus] if not self.is_on_cpu else []
        parts += [self.packages] if self.packages.energy_j is not None else []
        energy = sum(part.energy_j or 0.0 for part in parts)
        found: dict[str, Any] = {
            "energy_of": [name for part in parts for name in part.names],
            "power_w": round(sum(part.power_w for part in parts), 3),
        }
        absent = {}
        if is_whole:
            found["energy_j"] = round(energy, 3)
        else:
            absent["energy_j"] = RESUMED
        if tokens:
            found["joules_per_token"] = round(energy / tokens, 6)
        else:
            absent["joules_per_token"] = "no output tokens"
        return found | {"absent": absent}


def added_up(earlier: Mapping[str, Any], found: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Return the energy metrics of all parts of a job, given those of the earlier parts and of the current one.

    Args:
        earlier: metrics of the job so far.
        found: the result of `Energy.metrics` for the current part.
        tokens: output tokens of all parts.
    """
    energy, power = found.get("energy_j"), found.get("power_w")
    before, power_before = earlier.get("energy_j"), earlier.get("power_w")
    if not (energy and power):
        return dict(found)
    if not (before and power_before):
        reason = (earlier.get("absent") or {}).get("energy_j", RESUMED)
        kept = {name: value for name, value in found.items() if name != "energy_j"}
        return {**kept, "absent": {**found["absent"], "energy_j": reason}}
    whole, seconds = before + energy, before / power_before + energy / power
    joules = {"joules_per_token": round(whole / tokens, 6)} if tokens else {}
    return {**found, "energy_j": round(whole, 3), "power_w": round(whole / seconds, 3), **joules}


class EnergyMeter:
    """A meter of the energy of a job's devices, from `begin` to `end`.

    Args:
        devices: the job's devices as in its record, such as `cuda:0` or `CPU`.
        parallel: whether other jobs run on this machine at the same time.
    """

    def __init__(self, devices: Sequence[str], parallel: bool = False) -> None:
        self._cards, self._packages = CardMeter(devices, parallel), PackageMeter(parallel)
        self._is_on_cpu = is_on_cpu(devices)

    def begin(self) -> None:
        self._cards.begin()
        self._packages.begin()

    def end(self) -> Energy:
        """Stop measuring and return the result."""
        packages = self._packages.end()
        return Energy(self._cards.end(), packages, self._is_on_cpu)
