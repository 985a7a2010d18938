"""Run and compare local language models: model x backend x precision x prompt.

`load_llm` and `load_chain` load the model that a configuration describes; `HforchPipeline` wraps an existing
transformers pipeline. `run` and `sweep` run jobs, and `compare` compares them. All are imported on first use, which
keeps `import hforch` fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hforch.utils.telemetry import opt_out

if TYPE_CHECKING:
    from hforch import errors as errors
    from hforch.api.comparing import compare as compare
    from hforch.api.running import run as run
    from hforch.api.running import sweep as sweep
    from hforch.backends.huggingface.pipeline import HforchPipeline
    from hforch.chain import load_chain as load_chain
    from hforch.chain import load_llm as load_llm

__version__ = "0.1.0"
__all__ = ["HforchPipeline", "compare", "load_chain", "load_llm", "run", "sweep"]

opt_out()  # must run before OpenVINO is imported

_HOMES = {
    "load_llm": "hforch.chain",
    "load_chain": "hforch.chain",
    "HforchPipeline": "hforch.backends.huggingface.pipeline",
    "run": "hforch.api.running",
    "sweep": "hforch.api.running",
    "compare": "hforch.api.comparing",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("hforch.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'hforch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List what users need; interactive completion does not import it."""
    return [*__all__, "errors", *(name for name in globals() if name.startswith("__"))]
