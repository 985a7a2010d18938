"""The options of `backend=pytorch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from hforch.config.backends.base import BackendOptions, Refusal
from hforch.errors import Mistake


class PytorchBackend(BackendOptions):
    name: Literal["pytorch"]
    kv_cache: Literal["auto", "dynamic", "static"]
    compile: bool | Literal["auto"]

    library = "torch"
    refuses = (
        Refusal(
            "device.kind",
            ("npu", "openvino"),
            "is not supported by backend=pytorch; available: cpu, gpu, auto",
            "use backend=openvino, or device=cpu",
        ),
    )
    synonyms = "torch pt hf transformers huggingface eager"
    is_reference = True
    added: ClassVar[Mapping[str, Any]] = {"kv_cache": "dynamic", "compile": False}

    @classmethod
    def mistakes(cls, group: str, tree: Mapping[str, Any]) -> Iterator[Mistake]:
        own = tree["backend"]
        if group == "generation" and (tree["generation"]["num_beams"] or 1) > 1:
            for key, value in (("kv_cache", "static"), ("compile", True)):
                if own[key] == value:
                    problem = "beam search uses a dynamic KV cache and is not compiled"
                    hint = f"use backend.{key}=auto, or generation.num_beams=1"
                    yield Mistake(f"backend.{key}", problem, hint=hint)
        if group == "backend" and own["kv_cache"] == "dynamic" and own["compile"] is True:
            yield Mistake(
                "backend.compile",
                "a compiled forward pass requires a fixed cache size, but backend.kv_cache=dynamic grows at each step",
                hint="use backend.kv_cache=static, or set one of the two to auto",
            )


OPTIONS = PytorchBackend
