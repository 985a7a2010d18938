"""Import what running jobs takes, in a process that exists for that."""

from __future__ import annotations

from contextlib import suppress

from hforch.runs.processes.preload import preload, quick_imports


def import_all(backend: str) -> None:
    """Import what jobs on this backend will import."""
    with quick_imports():
        import_runner()
        preload(backend)


def get_ready() -> None:
    """Do what every job will do once, in a worker that waits for its first one; errors are reported by the job."""
    with suppress(Exception):
        import langchain_core.prompts.chat  # noqa: F401

        from hforch.machine.environment import PACKAGES, installed

        for package in PACKAGES:
            installed(package)


def import_runner() -> None:
    """Import hforch's own modules that run a job; what cannot be imported is reported when it is needed."""
    with suppress(Exception):
        import hforch.runs.runner  # noqa: F401
        from hforch.records.record import Record
        from hforch.records.sample import Sample

        Record.model_rebuild()  # here, where it is done once for all workers
        Sample.model_rebuild()
