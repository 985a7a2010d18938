"""All launchers that hforch has an adapter for: the modules of this folder."""

from __future__ import annotations

from functools import cache

from hforch import launchers
from hforch.launchers.base import Launcher
from hforch.utils.entries import load_entry, names_of


@cache
def all_launchers() -> dict[str, Launcher]:
    """Return the adapters, each by the name of its option."""
    return {name: load_entry(launchers, name, "LAUNCHER") for name in names_of(launchers)}


def launcher_named(option: str | None) -> Launcher:
    """Return the adapter of the launcher that `hydra/launcher=OPTION` chooses, or what is assumed without one."""
    return all_launchers().get(str(option), Launcher())


def launcher_of(target: object) -> Launcher:
    """Return the adapter of the launcher with this class, or what is assumed without one.

    Args:
        target: the dotted name of the class, `hydra.launcher._target_`.
    """
    name = str(target).rpartition(".")[2]
    return next((one for one in all_launchers().values() if one.class_name == name), Launcher())
