"""The job in a few words, for terminals."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.schema import Job


def header(job: Job) -> dict[str, str]:
    """The job in four words; what its backend ignores is not said."""
    device = job.device
    place = f"{device.kind}:{device.index}" if device.index is not None else device.kind
    parts = {
        "model": job.model.label,
        "backend": job.backend.name,
        "device": device.name or place,
        "precision": job.precision.name,
    }
    return {name: value for name, value in parts.items() if name not in capabilities(job).ignores}
