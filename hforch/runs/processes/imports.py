"""Import everything that jobs need, in a worker or fork server."""

from __future__ import annotations

from contextlib import suppress

from hforch.runs.processes.preload import preload, quick_imports


def import_all(backend: str) -> None:
    """Import the modules that jobs of a backend use."""
    with quick_imports():
        import_runner()
        preload(backend)


def get_ready() -> None:
    """Load what every job needs, while a worker waits for its first job; ignore errors, which the job reports."""
    with suppress(Exception):
        import langchain_core.prompts.chat  # noqa: F401

        from hforch.machine.environment import PACKAGES, installed

        for package in PACKAGES:
            installed(package)


def import_runner() -> None:
    """Import hforch's own modules that run a job; ignore errors, which recur on first use."""
    with suppress(Exception):
        import hforch.runs.runner  # noqa: F401
        from hforch.records.record import Record
        from hforch.records.sample import Sample

        Record.model_rebuild()  # once for all forked workers
        Sample.model_rebuild()
