"""Convert exceptions of Hydra, OmegaConf and PyYAML, raised while reading and composing configs, to clear messages."""

from __future__ import annotations

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

REFUSALS = (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, AssertionError, RecursionError)
SEARCH_PATH = "Config search path:"
NOISE = ("full_key:", "object_type=", "reference_type=", "See https")


def explain(error: BaseException) -> str:
    """Return the reason of a library's exception on one line."""
    if isinstance(error, RecursionError):
        return "it contains itself or is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8 (byte {error.object[error.start]:#04x} at position {error.start})"
    if isinstance(error, ReaderError):
        return (
            f"the character #x{ord(error.character):04x} is not allowed"
            if isinstance(error.character, str)
            else str(error.reason)
        )
    if isinstance(error, MarkedYAMLError):
        return str(error.problem or error.context)
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "a number has too many digits"
    return _library_message(error) or "Hydra cannot compose it"


def _library_message(error: BaseException) -> str:
    """Return Hydra's message and the first line of the OmegaConf message that caused it, without internal details."""
    lines = [*str(error).splitlines(), *(str(error.__cause__).splitlines()[:1] if error.__cause__ else [])]
    told = [line.strip() for line in lines[: lines.index(SEARCH_PATH) if SEARCH_PATH in lines else None]]
    return "; ".join(line.rstrip(".") for line in told if line and not line.startswith(NOISE))
