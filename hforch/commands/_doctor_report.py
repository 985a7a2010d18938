"""Collect the data that `hforch doctor` shows. A library that fails to import is reported, not raised."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hforch import __version__
from hforch.commands._nvidia import nvidia
from hforch.commands._version_differences import differences
from hforch.config.backends.registry import BACKENDS
from hforch.errors import first_line
from hforch.machine.environment import cpu_name
from hforch.machine.processor import GB, memory, processor
from hforch.runs.processes import fork_safety
from hforch.runs.processes.fork_server import ForkServer
from hforch.runs.processes.preload import libraries_of
from hforch.utils.tested_versions import SETS, versions

EXTRA = re.compile(r"extra == ['\"]([\w-]+)")
NO_ABILITIES = {"all", "dev"}  # extras that add no features


def inspect_machine() -> dict[str, Any]:
    """Return all data as JSON-compatible values. GB and MB are 10^9 and 10^6 bytes."""
    installed = list(packages())
    return {
        "hforch": __version__,
        "machine": machine(),
        "packages": installed,
        "versions": tested_set(installed),
        "workers": workers(),  # before this process initializes accelerators
        "torch": _devices(_torch_devices) | {"build": _torch_build()},
        "nvidia": nvidia(),
        "openvino": _devices(_openvino_devices),
        "cache": cached(),
    }


def machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.platform(), **processor(), **memory()}


def packages() -> Iterator[dict[str, Any]]:
    """Yield each requirement of hforch, including those of extras, with its installed and tested versions.

    Each package is listed once. If several extras require it, `extra` is the extra with the fewest packages.
    """
    from packaging.requirements import Requirement
    from packaging.version import Version

    wants: dict[str, tuple[Requirement, list[str]]] = {}
    for text in declared():
        wanted = Requirement(text)
        found = EXTRA.search(str(wanted.marker))
        extra = found[1] if found else None
        if (wanted.marker and extra is None) or extra in NO_ABILITIES or _canonical(wanted.name) == "hforch":
            continue
        wants.setdefault(_canonical(wanted.name), (wanted, []))[1].append(extra or "")
    sizes = Counter(extra for _, extras in wants.values() for extra in extras)
    for wanted, extras in wants.values():
        extra = None if "" in extras else min(extras, key=lambda name: sizes[name])
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            installed = None
        tested = versions("tested").get(_canonical(wanted.name))
        target = f"hforch[{extra}]" if extra else f"{wanted.name}{wanted.specifier}"
        yield {
            "name": wanted.name,
            "version": installed,
            "wants": str(wanted.specifier),
            "fits": installed is not None and wanted.specifier.contains(installed, prereleases=True),
            "tested": tested,
            # A local suffix (2.13.0+cpu) names a build, not a version.
            "as_tested": installed is not None and tested is not None and Version(installed).public == tested,
            "extra": extra,
            "differs": list(differences(_canonical(wanted.name), installed)) if installed else [],
            "install": f"pip install '{target}'",
        }


def tested_set(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return which set of tested versions is installed.

    Args:
        found: the packages, from `packages`.

    Returns:
        `set`: a name in SETS; None if the versions differ from each. `differ`: the packages that differ from the
        closest set.
    """
    from packaging.version import Version

    installed = {_canonical(row["name"]): Version(row["version"]).public for row in found if row["version"]}
    differ = {
        name: sorted(package for package, number in installed.items() if versions(name).get(package) != number)
        for name in SETS
        if versions(name)
    }
    closest = min(differ, key=lambda name: len(differ[name]), default=None)
    names = differ[closest] if closest else sorted(installed)
    return {"set": None if names else closest, "differ": names}


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name.strip())


def declared() -> list[str]:
    """Return hforch's requirements, from its installed metadata or from pyproject.toml in the repository."""
    try:
        return requires("hforch") or []
    except PackageNotFoundError:
        import tomllib

        file = Path(__file__).parents[2] / "pyproject.toml"
        if not file.is_file():
            return []
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        optional = project["optional-dependencies"]
        return project["dependencies"] + [
            f'{requirement}; extra == "{extra}"' for extra, of_it in optional.items() for requirement in of_it
        ]


def workers() -> dict[str, list[str] | None]:
    """Return the accelerators that importing each installed backend's libraries initializes.

    If there are any, workers of the backend are not forked. None stands for an import that crashes the process. On
    machines without an accelerator, nothing is imported.
    """
    if not fork_safety.are_present():
        return {}
    started = {name: ForkServer(name) for name in BACKENDS if is_installed(libraries_of(name))}
    try:
        return {name: fork_server.initialized() for name, fork_server in started.items()}
    finally:
        for fork_server in started.values():
            fork_server.discard()


def is_installed(libraries: Sequence[str]) -> bool:
    """Return whether all libraries are installed; False for an empty sequence."""
    return bool(libraries) and all(find_spec(library.partition(".")[0]) for library in libraries)


def _devices(find: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    try:
        with _silence():
            return {"error": None, "devices": find()}
    except ModuleNotFoundError as error:
        return {"error": f"not installed ({error.name})", "devices": []}
    except Exception as error:  # a native library can fail in any way
        return {"error": f"failed to load: {first_line(error, with_type=True)}", "devices": []}


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress stderr while the block runs, including output of native code."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _torch_build() -> dict[str, str | None] | None:
    """Return torch's version and its CUDA or HIP version; None if torch is not imported."""
    torch = sys.modules.get("torch")
    built = getattr(torch, "version", None)
    if torch is None or built is None:
        return None
    return {"version": str(torch.__version__), "cuda": built.cuda, "hip": getattr(built, "hip", None)}


def _torch_devices() -> list[dict[str, Any]]:
    import torch

    found = [{"device": "cpu", "name": cpu_name(), "memory_gb": memory()["memory_gb"]}]
    for kind in ("cuda", "xpu"):
        library = getattr(torch, kind, None)
        if library is None or not library.is_available():
            continue
        for number in range(library.device_count()):
            properties = library.get_device_properties(number)
            total = properties.total_memory / GB
            found.append({"device": f"{kind}:{number}", "name": properties.name, "memory_gb": total})
    return found


def _openvino_devices() -> list[dict[str, Any]]:
    import openvino

    core = openvino.Core()
    return [
        {
            "device": name,
            "name": str(core.get_property(name, "FULL_DEVICE_NAME")).strip(),
            "memory_gb": memory()["memory_gb"] if name == "CPU" else _memory_of(core, name),
            "capabilities": [str(one) for one in core.get_property(name, "OPTIMIZATION_CAPABILITIES")],
        }
        for name in core.available_devices
    ]


def _memory_of(core: Any, device: str) -> float | None:
    """Return the memory of an OpenVINO GPU in GB; None for devices that do not report it."""
    try:
        return float(core.get_property(device, "GPU_DEVICE_TOTAL_MEM_SIZE")) / GB
    except (RuntimeError, TypeError, ValueError):
        return None


def cached() -> dict[str, Any]:
    """Return the cache directory, its free space, and its entries, newest first."""
    from hforch.models.cache import cache_home, entries, room

    try:
        found = [describe_entry(entry) for entry in entries()]
        return {"error": None, "home": str(cache_home()), "free_gb": room() / GB, "entries": found}
    except OSError as error:
        return {"error": f"cannot read the cache: {error}", "home": str(cache_home()), "free_gb": None, "entries": []}


def describe_entry(entry: Any) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "kind": entry.kind,
        "name": entry.name,
        "what": entry.what,
        "path": str(entry.path),
        "size_mb": entry.size_mb,
        "created": entry.created.isoformat(),
        "age_s": round((datetime.now(UTC) - entry.created).total_seconds()),
        "complete": entry.complete,
    }
