"""How a torch model keeps keys and values while it generates, and whether its forward pass is compiled.

A dynamic KV cache grows with each token. A static one has its full length from the start, so all steps have one shape,
and torch can compile the forward pass and record it as a CUDA graph. A step then costs what the GPU needs for it, and
not what Python needs to launch hundreds of kernels; but compiling takes most of a minute for each shape. So there are
few shapes: as many rows as a full batch, and lengths in steps. Smaller batches are filled up with rows that nobody
asked for; where most rows would be such, the cache is dynamic.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hforch.backends.huggingface import compiler
from hforch.config.backends.pytorch import PytorchBackend
from hforch.errors import BackendError, ConfigError, Mistake, first_line
from hforch.generation.engine import Work
from hforch.machine.out_of_memory import chain
from hforch.utils.cache_home import cache_home

# One H200, torch 2.11, a Llama of 1.2 B parameters: a step takes 11 to 14 ms, and 2.6 to 4.5 ms when it is compiled, at
# batch 1 and 64; compiling took 37 to 44 s. So it pays from about 4,600 steps on.
PAYS_FROM_STEPS = 5_000
FULL_ENOUGH = 4  # a batch with less than this part of the rows is not filled up
MOST_SHAPES = 6  # torch gives up compiling one function after eight
FIRST_LENGTH = 64
COMPILED = "TORCHINDUCTOR_CACHE_DIR"
COMPILERS = ("torch._dynamo", "torch._inductor", "triton")  # modules whose errors are theirs

log = logging.getLogger("hforch")


@dataclass(frozen=True)
class Execution:
    """What was chosen, and why where that was left to hforch."""

    kv_cache: str
    is_compiled: bool
    why: str | None = None

    def record(self) -> dict[str, Any]:
        return {"kv_cache": self.kv_cache, "compiled": self.is_compiled, "why": self.why}


def choose(asked: PytorchBackend, device: str, lacking: str | None, steps: int | None) -> Execution:
    """How a model is run.

    Args:
        asked: `kv_cache` and `compile`.
        device: torch's device type, such as "cuda".
        lacking: why this model cannot be compiled, from `not_compilable`; None if it can.
        steps: as in `RunJob`.
    """
    if asked.kv_cache == "dynamic":
        return Execution("dynamic", False)
    if asked.kv_cache == "static":
        if asked.compile != "auto":
            return Execution("static", bool(asked.compile))
        if device == "cpu" or lacking is not None:
            return Execution("static", False, f"compile=auto: {lacking or 'on the CPU compiling gains little'}")
        return Execution("static", True, "compile=auto: on a GPU, a static cache is of use to a compiled model only")
    if asked.compile is True:
        return Execution("static", True, "kv_cache=auto: what is compiled needs a static cache")
    if asked.compile is False:
        return Execution("dynamic", False, "kv_cache=auto: a static cache is of use to a compiled model only")
    if device == "cpu":
        return Execution("dynamic", False, "kv_cache=auto: on the CPU compiling gains little")
    if lacking is not None:
        return Execution("dynamic", False, f"kv_cache=auto: {lacking}")
    if steps is None:
        return Execution("dynamic", False, "kv_cache=auto: how much will be generated is not known")
    if steps < PAYS_FROM_STEPS:
        why = f"kv_cache=auto: {steps:,} decoding steps at most; compiling pays from about {PAYS_FROM_STEPS:,} on"
        return Execution("dynamic", False, why)
    return Execution("static", True, f"kv_cache=auto: up to {steps:,} decoding steps, for which compiling pays")


def no_static_cache(model: Any) -> str | None:
    """Why a model cannot be run with a static KV cache; None if it can."""
    if getattr(model, "_can_compile_fullgraph", False):
        return None
    return f"transformers has no static KV cache for {type(model).__name__}"


def not_compilable(model: Any) -> str | None:
    """Why a model's forward pass cannot be compiled for generation; None if it can."""
    if (problem := no_static_cache(model)) is not None:
        return problem
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and not quantizer.is_compileable:
        method = getattr(quantizer.quantization_config, "quant_method", None)
        return f"weights quantized by {getattr(method, 'value', method)} do not compile"
    places = set(map(str, (getattr(model, "hf_device_map", None) or {}).values()))
    if "disk" in places or ("cpu" in places and len(places) > 1):
        return "a part of the model is not on the GPU"
    return None


def _no_compiler(device: str) -> str | None:
    found = compiler.missing_tool(on_cpu=device == "cpu")
    return found.problem if found else None


def length_of(tokens: int) -> int:
    """The length of the cache for so many tokens: up to an eighth more (15 tokens where those are few)."""
    step = FIRST_LENGTH // 4
    while step * 16 < tokens:
        step *= 2
    return max(-(-tokens // step) * step, FIRST_LENGTH)


class KVCaches:
    """The KV caches of one model, by what is asked and what the model can do.

    Args:
        model: of transformers.
        asked: `kv_cache` and `compile`.
        work: what is known when the model is loaded.

    Attributes:
        chosen: how the model is run.
        dropped: how often caches and what was compiled for them were given up.

    Raises:
        BackendError: a static cache or compiling is asked for, and this model cannot be run like that.
    """

    def __init__(self, model: Any, asked: PytorchBackend, work: Work) -> None:
        self.model, self.asked, self.work = model, asked, work
        self._lacking = not_compilable(model) or _no_compiler(model.device.type)
        self._caches: dict[tuple[int, int], Any] = {}
        self.dropped = 0
        self.chosen = self._choose(work)
        if self.chosen.is_compiled and self._lacking is not None:
            raise BackendError(f"backend.compile=true: {self._lacking}; use backend.compile=false, or auto")
        if self.chosen.kv_cache == "static" and (lacking := no_static_cache(model)) is not None:
            raise BackendError(f"backend.kv_cache=static: {lacking}; use backend.kv_cache=dynamic, or auto")

    def expect(self, work: Work) -> None:
        """Choose anew, for what is known now; caches of other sizes give their memory back."""
        before = self._full()
        self.work, self.chosen = work, self._choose(work)
        if self._caches and self._full() != before:
            self.drop()

    def _choose(self, work: Work) -> Execution:
        if work.num_beams > 1:
            return Execution("dynamic", False, "beam search is run with a dynamic cache")
        return choose(self.asked, self.model.device.type, self._lacking, work.steps)

    def _full(self) -> tuple[str, bool, int, int]:
        """Return how a full batch is run: the kind of cache, whether it is compiled, rows, length."""
        return self.chosen.kv_cache, self.chosen.is_compiled, self.work.rows, length_of(self.work.tokens or 1)

    def shape(self, rows: int, tokens: int) -> tuple[int, int] | None:
        """The rows and the length of the static cache for a batch, by the batch and what is expected alone.

        Returns:
            None where the batch is run with a dynamic cache.
        """
        expected = self.work
        if self.chosen.kv_cache == "dynamic" or rows * FULL_ENOUGH < expected.rows:
            return None
        most = expected.tokens or 0
        return max(rows, expected.rows), length_of(most if tokens <= most else tokens)

    def take(self, shape: tuple[int, int]) -> Any:
        """An empty static cache of a shape; None if there are too many shapes already."""
        from transformers import StaticCache

        cache = self._caches.get(shape)
        if cache is None:
            if len(self._caches) >= MOST_SHAPES:
                return None
            cache = self._caches[shape] = StaticCache(config=self.model.config, max_cache_len=shape[1])
        elif cache.is_initialized:
            cache.reset()
        return cache

    def configure(self, config: Any) -> None:
        """Say in the GenerationConfig of a call whether transformers compiles the forward pass."""
        from transformers import CompileConfig

        config.disable_compile = not self.chosen.is_compiled
        if self.chosen.is_compiled:
            _cache_compiled_code()
            config.compile_config = CompileConfig(dynamic=False)
            if self.model.device.type == "cpu":  # elsewhere transformers compiles anyway
                config.compile_config.mode = "default"
                config.compile_config._compile_all_devices = True

    def make_room(self) -> None:
        """Give the memory of all caches back, and fill up no batch any more: a full one has taken too much."""
        self.work = replace(self.work, rows=1)
        self.drop()

    def gives_up_compiling(self, error: Exception) -> bool:
        """Do without a compiled forward pass from now on, if an error is the compiler's and nobody asked to compile."""
        if not self.chosen.is_compiled or self.asked.compile is True or not _is_compiler_error(error):
            return False
        log.warning("compiling failed", exc_info=error)
        self._lacking = f"compiling failed: {first_line(error, with_type=True)}"
        self.chosen = self._choose(self.work)
        self.drop()
        return True

    def drop(self) -> None:
        """Give the memory of all caches back, and forget what was compiled for them."""
        import torch

        self._caches.clear()
        self.dropped += 1
        if hasattr(self.model, "_compiled_call"):
            del self.model._compiled_call
            torch._dynamo.reset()


def _is_compiler_error(error: Exception) -> bool:
    return any(type(one).__module__.startswith(COMPILERS) for one in chain(error))


def _cache_compiled_code() -> None:
    """Let torch keep compiled code in hforch's cache, so that the next process need not compile it again.

    A place that somebody has chosen stays; torch puts its own default into the environment when it first looks.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    with suppress(ConfigError):
        if os.environ.get(COMPILED) in (None, default_cache_dir()):
            os.environ[COMPILED] = str(cache_home() / "compiled")


def check(asked: PytorchBackend, device: str) -> list[Mistake]:
    """What keeps torch from compiling on this machine.

    Args:
        device: its kind, such as `cpu`.
    """
    if asked.compile is not True:
        return []
    found = compiler.missing_tool(on_cpu=device == "cpu")
    if found is None:
        return []
    return [Mistake("backend.compile", found.problem, None, f"{found.hint}; or use backend.compile=false")]
