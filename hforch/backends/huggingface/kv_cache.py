"""Choose between a dynamic and a static KV cache for a torch model, and whether to compile its forward pass.

A dynamic KV cache grows with each token. A static one has its full length from the start, so all steps have the same
shape, and torch can compile the forward pass and record it as a CUDA graph. The duration of a step is then determined
by the GPU's computation, not by the time Python needs to launch hundreds of kernels. Because compiling takes most of a
minute per shape, only a few shapes are used: the number of rows is always that of a full batch, and lengths are
rounded. Smaller batches are padded with extra rows; a batch that would consist mostly of padding uses a dynamic cache.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hforch.backends.huggingface import compiler
from hforch.config.backends.pytorch import PytorchBackend
from hforch.errors import BackendError, ConfigError, Mistake, first_line
from hforch.generation.engine import Work
from hforch.machine.out_of_memory import chain
from hforch.utils.cache_home import cache_home

# Measured on one H200 with torch 2.11 and a Llama of 1.2 B parameters, batch sizes 1 and 64: a step takes 11 to 14 ms,
# or 2.6 to 4.5 ms when compiled; compiling takes 37 to 44 s. Compiling pays off from about 4,600 steps.
PAYS_FROM_STEPS = 5_000
FULL_ENOUGH = 4  # a batch with fewer than 1/4 of the rows is not padded
MOST_SHAPES = 6  # torch stops compiling a function after eight shapes
FIRST_LENGTH = 64
COMPILED = "TORCHINDUCTOR_CACHE_DIR"
COMPILERS = ("torch._dynamo", "torch._inductor", "triton")  # modules that define the compiler's errors

log = logging.getLogger("hforch")


@dataclass(frozen=True)
class Execution:
    """The kind of KV cache, and whether the model is compiled; `why` is the reason for an automatic choice."""

    kv_cache: str
    is_compiled: bool
    why: str | None = None

    def record(self) -> dict[str, Any]:
        return {"kv_cache": self.kv_cache, "compiled": self.is_compiled, "why": self.why}


def choose(asked: PytorchBackend, device: str, lacking: str | None, steps: int | None) -> Execution:
    """Choose the kind of KV cache, and whether to compile the model.

    Args:
        asked: the configured `kv_cache` and `compile`.
        device: torch's device type, such as "cuda".
        lacking: why the model cannot be compiled, from `not_compilable`; None if it can.
        steps: maximum number of decoding steps (see `Work`); None if unknown.
    """
    if asked.kv_cache == "dynamic":
        return Execution("dynamic", False)
    if asked.kv_cache == "static":
        if asked.compile != "auto":
            return Execution("static", bool(asked.compile))
        if device == "cpu" or lacking is not None:
            return Execution("static", False, f"compile=auto: {lacking or 'compiling gains little on the CPU'}")
        return Execution("static", True, "compile=auto: on a GPU, a static cache only helps compiled models")
    if asked.compile is True:
        return Execution("static", True, "kv_cache=auto: compiling requires a static cache")
    if asked.compile is False:
        return Execution("dynamic", False, "kv_cache=auto: a static cache only helps compiled models")
    if device == "cpu":
        return Execution("dynamic", False, "kv_cache=auto: compiling gains little on the CPU")
    if lacking is not None:
        return Execution("dynamic", False, f"kv_cache=auto: {lacking}")
    if steps is None:
        return Execution("dynamic", False, "kv_cache=auto: the number of decoding steps is unknown")
    if steps < PAYS_FROM_STEPS:
        why = f"kv_cache=auto: at most {steps:,} decoding steps; compiling pays off from about {PAYS_FROM_STEPS:,}"
        return Execution("dynamic", False, why)
    return Execution("static", True, f"kv_cache=auto: up to {steps:,} decoding steps; compiling pays off")


def cache_argument() -> str:
    """Return the name of the argument of `generate` that takes a KV cache."""
    from transformers.generation import utils

    return "cache" if "cache" in getattr(utils, "ALL_CACHE_NAMES", ()) else "past_key_values"


def no_static_cache(model: Any) -> str | None:
    """Return why a model cannot run with a static KV cache, or None if it can."""
    if getattr(model, "_can_compile_fullgraph", False):
        return None
    return f"transformers does not support a static KV cache for {type(model).__name__}"


def not_compilable(model: Any) -> str | None:
    """Return why a model's forward pass cannot be compiled for generation, or None if it can."""
    if (problem := no_static_cache(model)) is not None:
        return problem
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and not quantizer.is_compileable:
        method = getattr(quantizer.quantization_config, "quant_method", None)
        return f"models quantized with {getattr(method, 'value', method)} cannot be compiled"
    places = set(map(str, (getattr(model, "hf_device_map", None) or {}).values()))
    if "disk" in places or ("cpu" in places and len(places) > 1):
        return "part of the model is not on the GPU"
    return None


def _no_compiler(device: str) -> str | None:
    found = compiler.missing_tool(on_cpu=device == "cpu")
    return found.problem if found else None


def length_of(tokens: int) -> int:
    """Return the cache length for a number of tokens: at least 64, and rounded up by at most 15 tokens or 1/8."""
    step = FIRST_LENGTH // 4
    while step * 16 < tokens:
        step *= 2
    return max(-(-tokens // step) * step, FIRST_LENGTH)


class KVCaches:
    """The static KV caches of one model, by shape.

    Args:
        model: a transformers model.
        asked: the configured `kv_cache` and `compile`.
        work: the expected workload, as known when the model is loaded.

    Attributes:
        chosen: the kind of KV cache, and whether the model is compiled.
        dropped: how often the caches and their compiled code were discarded.

    Raises:
        BackendError: a static cache or compiling is configured, but the model does not support it.
    """

    def __init__(self, model: Any, asked: PytorchBackend, work: Work) -> None:
        self.model, self.asked, self.work = model, asked, work
        self._lacking = not_compilable(model) or _no_compiler(model.device.type)
        self._caches: dict[tuple[int, int], Any] = {}
        self.dropped = 0
        self.chosen = self._choose(work)
        if self.chosen.is_compiled and self._lacking is not None:
            raise BackendError(f"backend.compile=true: {self._lacking}; use backend.compile=false or auto")
        if self.chosen.kv_cache == "static" and (lacking := no_static_cache(model)) is not None:
            raise BackendError(f"backend.kv_cache=static: {lacking}; use backend.kv_cache=dynamic or auto")

    def expect(self, work: Work) -> None:
        """Update the choice for the expected workload; discard all caches if the shape of a full batch changes."""
        before = self._full()
        self.work, self.chosen = work, self._choose(work)
        if self._caches and self._full() != before:
            self.drop()

    def _choose(self, work: Work) -> Execution:
        if work.num_beams > 1:
            return Execution("dynamic", False, "beam search uses a dynamic cache")
        return choose(self.asked, self.model.device.type, self._lacking, work.steps)

    def _full(self) -> tuple[str, bool, int, int]:
        """Return the kind of cache, whether it is compiled, the rows and the length of a full batch."""
        return self.chosen.kv_cache, self.chosen.is_compiled, self.work.rows, length_of(self.work.tokens or 1)

    def shape(self, rows: int, tokens: int) -> tuple[int, int] | None:
        """Return the rows and the length of the static cache for a batch; None if the batch uses a dynamic cache.

        The shape depends only on the batch and on the expected workload.

        Args:
            rows: number of prompts.
            tokens: length of the longest sequence, prompt and answer together.
        """
        expected = self.work
        if self.chosen.kv_cache == "dynamic" or rows * FULL_ENOUGH < expected.rows:
            return None
        most = expected.tokens or 0
        return max(rows, expected.rows), length_of(most if tokens <= most else tokens)

    def take(self, shape: tuple[int, int]) -> Any:
        """Return an empty static cache of a shape; None if there are already too many shapes."""
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
        """Set in the GenerationConfig of a call whether transformers compiles the forward pass."""
        from transformers import CompileConfig

        config.disable_compile = not self.chosen.is_compiled
        if self.chosen.is_compiled:
            _cache_compiled_code()
            enable_cuda_graphs()
            config.compile_config = CompileConfig(dynamic=False)
            if self.model.device.type == "cpu":  # on other devices, transformers compiles by default
                config.compile_config.mode = "default"
                config.compile_config._compile_all_devices = True

    def make_room(self) -> None:
        """Free the memory of all caches, and stop padding batches, after a full batch ran out of memory."""
        self.work = replace(self.work, rows=1)
        self.drop()

    def disable_compiling_after(self, error: Exception) -> bool:
        """Disable compiling if the compiler raised `error` and compiling was not requested.

        Returns:
            whether compiling was disabled.
        """
        if not self.chosen.is_compiled or self.asked.compile is True or not _is_compiler_error(error):
            return False
        log.warning("compiling failed", exc_info=error)
        self._lacking = f"compiling failed: {first_line(error, with_type=True)}"
        self.chosen = self._choose(self.work)
        self.drop()
        return True

    def drop(self) -> None:
        """Free the memory of all caches, and discard the code compiled for them."""
        import torch

        self._caches.clear()
        self.dropped += 1
        if hasattr(self.model, "_compiled_call"):
            del self.model._compiled_call
            torch._dynamo.reset()


def _is_compiler_error(error: Exception) -> bool:
    return any(type(one).__module__.startswith(COMPILERS) for one in chain(error))


def _cache_compiled_code() -> None:
    """Let torch store compiled code in hforch's cache, so that later processes do not compile it again.

    A directory set by the user is kept; torch's own default, which torch puts into the environment, is replaced.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    with suppress(ConfigError):
        if os.environ.get(COMPILED) in (None, default_cache_dir()):
            os.environ[COMPILED] = str(cache_home() / "compiled")


def enable_cuda_graphs() -> None:
    """Let the current thread record CUDA graphs.

    Before torch 2.13, only the thread that imported this module of torch, and autograd's threads, can do so.
    """
    from torch._C import _is_key_in_tls, _stash_obj_in_tls
    from torch._inductor import cudagraph_trees

    state: dict[str, Any] = {"tree_manager_containers": {}, "tree_manager_locks": defaultdict(threading.Lock)}
    for name, value in state.items():
        if not hasattr(cudagraph_trees.local, name) and not _is_key_in_tls(name):
            setattr(cudagraph_trees.local, name, value)
            _stash_obj_in_tls(name, value)


def check(asked: PytorchBackend, device: str) -> list[Mistake]:
    """Return an error if compiling is requested but not possible on this machine.

    Args:
        device: kind of device, such as `cpu`.
    """
    if asked.compile is not True:
        return []
    found = compiler.missing_tool(on_cpu=device == "cpu")
    if found is None:
        return []
    return [Mistake("backend.compile", found.problem, None, f"{found.hint}, or use backend.compile=false")]
