"""What `hforch doctor` looks at. A library that does not import is part of the answer, not the end of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, requires, version
from io import StringIO
from typing import Any

from hforch import __version__
from hforch.runs.environment import cpu_name

GB = 1_000_000_000
EXTRAS = ("openvino", "quant")


def look() -> dict[str, Any]:
    """Everything, as plain data. Sizes in GB and MB of 10^9 and 10^6 bytes."""
    return {
        "hforch": __version__,
        "machine": machine(),
        "packages": list(packages()),
        "torch": _devices(_torch_devices),
        "openvino": _devices(_openvino_devices),
        "cache": cache(),
    }


def machine() -> dict[str, Any]:
    import psutil

    memory = psutil.virtual_memory()
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": cpu_name(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 0,
        "threads": os.cpu_count() or 0,
        "memory_gb": memory.total / GB,
        "memory_free_gb": memory.available / GB,
    }


def packages() -> Iterator[dict[str, Any]]:
    """What hforch's own metadata asks for, with and without extras, and what is installed of it."""
    from packaging.requirements import Requirement

    for text in declared():
        wanted = Requirement(text)
        extra = next((name for name in EXTRAS if wanted.marker and f'"{name}"' in str(wanted.marker)), None)
        if wanted.marker and extra is None:
            continue  # of the extras, only those that add abilities
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            installed = None
        target = f"hforch[{extra}]" if extra else f"{wanted.name}{wanted.specifier}"
        yield {
            "name": wanted.name,
            "version": installed,
            "wants": str(wanted.specifier),
            "fits": installed is not None and wanted.specifier.contains(installed, prereleases=True),
            "extra": extra,
            "install": f"pip install '{target}'",
        }


def declared() -> list[str]:
    """hforch's requirements, from its installed metadata or else from pyproject.toml beside it."""
    try:
        return requires("hforch") or []
    except PackageNotFoundError:
        import tomllib
        from pathlib import Path

        file = Path(__file__).parents[2] / "pyproject.toml"
        if not file.is_file():
            return []
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        optional = project["optional-dependencies"]
        return project["dependencies"] + [
            f'{requirement}; extra == "{extra}"' for extra in EXTRAS for requirement in optional[extra]
        ]


def _devices(find: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    try:
        with redirect_stderr(StringIO()):
            return {"error": None, "devices": find()}
    except ModuleNotFoundError as error:
        return {"error": f"not installed ({error.name})", "devices": []}
    except Exception as error:  # a native library can fail in any way
        return {"error": f"does not load: {type(error).__name__}: {str(error).splitlines()[0]}", "devices": []}


def _torch_devices() -> list[dict[str, Any]]:
    import torch

    found = [{"device": "cpu", "name": cpu_name(), "memory_gb": None}]
    for kind in ("cuda", "xpu"):
        library = getattr(torch, kind, None)
        if library is None or not library.is_available():
            continue
        for number in range(library.device_count()):
            properties = library.get_device_properties(number)
            memory = properties.total_memory / GB
            found.append({"device": f"{kind}:{number}", "name": properties.name, "memory_gb": memory})
    return found


def _openvino_devices() -> list[dict[str, Any]]:
    import openvino

    core = openvino.Core()
    return [
        {
            "device": name,
            "name": str(core.get_property(name, "FULL_DEVICE_NAME")).strip(),
            "capabilities": [str(one) for one in core.get_property(name, "OPTIMIZATION_CAPABILITIES")],
        }
        for name in core.available_devices
    ]


def cache() -> dict[str, Any]:
    from hforch.models.cache import entries, home

    try:
        found = [
            {
                "kind": entry.kind,
                "name": entry.name,
                "what": entry.what,
                "path": str(entry.path),
                "size_mb": entry.size_mb,
                "created": entry.created.isoformat(),
                "complete": entry.complete,
            }
            for entry in entries()
        ]
        return {"error": None, "home": str(home()), "entries": found}
    except OSError as error:
        return {"error": f"cannot be read: {error}", "home": str(home()), "entries": []}
