"""Identify the processes of this command: the command itself, its fork servers and workers, and their children."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")

_command: int | None = None


def belong_to(command: int) -> None:
    """Set the process id of the command that this process belongs to; processes that it forks belong to it as well."""
    global _command
    _command = command


def command() -> int:
    """Return the process id of the command; that of this process if it was not started by a command."""
    return _command or os.getpid()


def parent_of(pid: int) -> int:
    """Return the id of a process's parent.

    Raises:
        OSError: the process does not exist.
    """
    return _parent_and_ticks((PROC / str(pid) / "stat").read_bytes())[0]


def cpu_ticks(proc: Path, root: int) -> int:
    """Return the CPU time of a process and its descendants, in clock ticks, including children that have exited.

    The sum does not change when a process exits and its parent waits for it, so differences of it are exact to a tick
    per process.

    Raises:
        OSError: there is no such directory.
        ValueError: the process does not exist, or a file has an unexpected format.
    """
    found: dict[int, tuple[int, int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            try:
                found[int(folder.name)] = _parent_and_ticks((folder / "stat").read_bytes())
            except OSError:  # it has exited
                continue
    if root not in found:
        raise ValueError(f"{proc} does not list process {root}")
    parents = {pid: parent for pid, (parent, _) in found.items()}
    return sum(found[pid][1] for pid in descendants(root, parents))


def descendants(root: int, parents: Mapping[int, int]) -> set[int]:
    """Return the ids of a process and its descendants.

    Args:
        root: the process.
        parents: the parent of each process.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    seen, left = {root}, [root]
    while left:
        new = [pid for pid in children.get(left.pop(), ()) if pid not in seen]
        seen.update(new)
        left += new
    return seen


def _parent_and_ticks(stat: bytes) -> tuple[int, int]:
    """Return the parent, and utime + stime + cutime + cstime, from /proc/PID/stat (see proc_pid_stat(5))."""
    fields = stat.rpartition(b")")[2].split()  # the process name before it may contain spaces and parentheses
    if len(fields) < 15:
        raise ValueError(f"not the contents of /proc/PID/stat: {stat[:60]!r}")
    return int(fields[1]), sum(int(field) for field in fields[11:15])
