"""Describe the processor and memory available to this process, with the limits of a container."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

from hforch.machine.environment import cpu_name

GB = 1_000_000_000
CPUINFO, CGROUP = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup")
# CPU features that matter to language models: common names by the kernel's flags, by instruction set.
FEATURES = {
    "AVX2": {"avx2": ""},
    "AVX-512": {"avx512f": "", "avx512_vnni": "VNNI", "avx512_bf16": "BF16", "avx512_fp16": "FP16"},
    "AMX": {"amx_tile": "", "amx_int8": "INT8", "amx_bf16": "BF16", "amx_fp16": "FP16"},
}
ARM = {"asimd": "NEON", "bf16": "BF16", "i8mm": "I8MM", "sve": "SVE", "sve2": "SVE2"}
BF16 = ("avx512_bf16", "amx_bf16", "bf16")
NATIVE = {"bf16": BF16, "fp16": ("avx512_fp16", "amx_fp16", "asimdhp")}
"""The flags of CPUs that compute in a precision; others convert each number to float32 and back."""


def processor() -> dict[str, Any]:
    """Return the CPU's name, cores, threads, usable threads of this process, and relevant features."""
    threads = os.cpu_count() or 1
    found = flags()
    return {
        "cpu": cpu_name(),
        "cores": psutil.cpu_count(logical=False) or threads,
        "threads": threads,
        "usable": min(len(os.sched_getaffinity(0)), quota() or threads),
        "features": features(found),
        "bf16": not emulates("bf16") if found else None,
    }


def memory() -> dict[str, float]:
    """Return total and free memory in GB of 10^9 bytes, with the limits of a container."""
    whole = psutil.virtual_memory()
    limit = _number("memory.max", "memory/memory.limit_in_bytes")
    used = _number("memory.current", "memory/memory.usage_in_bytes")
    total = min(whole.total, limit or whole.total)
    free = min(whole.available, total - (used or 0)) if limit and limit < whole.total else whole.available
    return {"memory_gb": total / GB, "memory_free_gb": max(free, 0) / GB, "machine_memory_gb": whole.total / GB}


def flags() -> frozenset[str]:
    """Return the CPU flags that the kernel lists; empty if unknown."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(found.partition(":")[2].split())


def emulates(precision: str) -> bool:
    """Return whether this CPU emulates `bf16` or `fp16`; False if its features are unknown."""
    found = flags()
    return bool(found) and precision in NATIVE and not found.intersection(NATIVE[precision])


def features(found: frozenset[str]) -> dict[str, list[str]] | None:
    """Return the extensions that the CPU supports for each instruction set ("" for the set itself); None if unknown."""
    if not found:
        return None
    if "asimd" in found or platform.machine() in ("aarch64", "arm64"):
        return {name: [""] for flag, name in ARM.items() if flag in found}
    return {kind: [name for flag, name in parts.items() if flag in found] for kind, parts in FEATURES.items()}


def quota() -> int | None:
    """Return the CPU quota of a container, rounded down but at least 1, or None without a quota.

    joblib.cpu_count() rounds up, so that one thread would be throttled. psutil ignores the CPU and memory limits of
    containers.
    """
    try:
        most, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        most, period = (str(_number(f"cpu/cpu.cfs_{name}_us")) for name in ("quota", "period"))
    return max(1, int(most) // int(period)) if most.isdigit() and period.isdigit() else None


def _number(*files: str) -> int | None:
    """Return the number in the first of these control files that has one, or None."""
    for name in files:
        try:
            text = (CGROUP / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            return int(text)
    return None
