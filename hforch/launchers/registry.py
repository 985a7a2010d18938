"""The registry of launcher adapters."""

from __future__ import annotations

from functools import cache

from hforch import launchers
from hforch.launchers.base import Launcher
from hforch.utils.entries import load_entry, names_of

OTHER_PACKAGES = {
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
    "ray": "hydra-ray-launcher",
    "ray_aws": "hydra-ray-launcher",
    "rq": "hydra-rq-launcher",
}
"""The packages of launchers without an adapter, by option."""


@cache
def all_launchers() -> dict[str, Launcher]:
    """Return the adapters by option name."""
    return {name: load_entry(launchers, name, "LAUNCHER") for name in names_of(launchers)}


def launcher_named(option: str | None) -> Launcher:
    """Return the adapter for `hydra/launcher=OPTION`, or the defaults if it has no adapter."""
    return all_launchers().get(str(option), Launcher())


def launcher_of(target: object) -> Launcher:
    """Return the adapter for a launcher class, or the defaults if it has no adapter.

    Args:
        target: the qualified name of the class, `hydra.launcher._target_`.
    """
    name = str(target).rpartition(".")[2]
    return next((one for one in all_launchers().values() if one.class_name == name), Launcher())


def not_installed(option: str) -> tuple[str, str] | None:
    """Return the problem and the hint for a launcher that Hydra does not find although a package has it, or None."""
    launcher = launcher_named(option)
    package = launcher.package or OTHER_PACKAGES.get(option)
    if not package:
        return None
    wanted = f"'hforch[{launcher.extra}]'" if launcher.extra else package
    return f"{option} requires {package}, which is not installed", f"install it with: pip install {wanted}"
