"""A short description of a job for terminals."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.schema import Job


def header(job: Job) -> dict[str, str]:
    """Return the job's model, backend, device and precision, without those that its backend ignores."""
    device = job.device
    place = f"{device.kind}:{device.index}" if device.index is not None else device.kind
    parts = {
        "model": job.model.label,
        "backend": job.backend.name,
        "device": device.name or place,
        "precision": job.precision.name,
    }
    return {name: value for name, value in parts.items() if name not in capabilities(job).ignores}
