"""The job in a few words, for terminals."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.schema import Job


def header(job: Job) -> dict[str, str]:
    """The job in four words; what its backend ignores is not said."""
    model, device = job.model, job.device
    weights = {"hub": "id", "local": "path", "gguf": "path", "wheel": "file"}[model.source]
    place = f"{device.kind}:{device.index}" if device.index is not None else device.kind
    parts = {
        "model": str(getattr(model, weights)).rpartition("/" if model.source == "wheel" else "\0")[2],
        "backend": job.backend.name,
        "device": device.name or place,
        "precision": job.precision.name,
    }
    return {name: value for name, value in parts.items() if name not in capabilities(job).ignores}
