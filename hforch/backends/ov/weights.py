"""Weights of the OpenVINO backends: an existing IR, or the export of a torch checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hforch.backends.base import PreparedModel, prepared_from
from hforch.config.schema import Job
from hforch.errors import ModelError
from hforch.models import fetch
from hforch.models.estimate import IN_MEMORY, Needs
from hforch.utils.progress import Progress

KV_BYTES = {"u8": 1.0, "i8": 1.0, "u4": 0.5, "f16": 2.0, "bf16": 2.0, "f32": 4.0}
WEIGHTS = {"fp32": "fp32", "bf16": "fp16", "fp16": "fp16", "int8": "int8", "int4": "int4"}


def needs(job: Job, kv_mb: float | None = None) -> Needs:
    """Return the weights and the KV cache that an OpenVINO backend requires for a job.

    Args:
        kv_mb: size of the KV cache in MB, if it is allocated when the model is loaded.
    """
    kv_bytes = 4.0 if job.precision.name == "fp32" else 2.0
    asked = str(job.ov_config.get("KV_CACHE_PRECISION", ""))
    return Needs("openvino", IN_MEMORY.get(job.precision.name, 2.0), KV_BYTES.get(asked, kv_bytes), kv_mb)


def prepare(job: Job, progress: Progress, needs_state: bool = False) -> PreparedModel:
    """Return the IR of a job, exported if necessary.

    Args:
        needs_state: whether the backend requires an IR whose KV cache is its state.
    """
    from hforch.models.exports import export

    checkpoint = fetch(job.model, progress)
    prepared = prepared_from(checkpoint)
    if checkpoint.kind == "openvino":
        return replace(prepared, record=prepared.record | {"export": ready_made(job, checkpoint.path, needs_state)})
    exported = export(checkpoint, job.precision, job.model.trust_remote_code, progress)
    seconds = prepared.seconds | ({"export_s": exported.export_s} if exported.export_s is not None else {})
    how = {"key": exported.key, "weight_format": exported.weight_format, "bits": exported.bits}
    record = prepared.record | {"export": how}
    return replace(
        prepared,
        path=exported.path,
        seconds=seconds,
        disk_mb=exported.disk_mb,
        record=record,
        token_ids=exported.token_ids,
    )


def ready_made(job: Job, folder: Path, needs_state: bool) -> dict[str, Any]:
    """Return a description of the weights of an existing IR.

    Raises:
        ModelError: the IR is damaged, has no suitable KV cache, or does not have the requested precision.
    """
    ir = _read(folder, (folder / "openvino_model.xml").stat().st_mtime_ns)
    if not ir.is_stateful:
        path = "model.path" if job.model.source == "local" else "model"
        if not ir.has_cache_inputs:
            problem = "has no KV cache, which hforch requires; load the torch checkpoint, or export it again with"
            again = "optimum-cli export openvino --task text-generation-with-past"
            raise ModelError(f"The OpenVINO IR in {folder} {problem}: {again}", path)
        if needs_state:
            lacking = f"which backend={job.backend.name} does not support; use backend=openvino"
            problem = f"keeps its KV cache in inputs (stateful=False), {lacking}"
            raise ModelError(f"The OpenVINO IR in {folder} {problem}", path)
    found = ir.weights
    asked = WEIGHTS.get(job.precision.name)
    if asked is not None and asked != found["weight_format"]:
        raise ModelError(
            f"precision={job.precision.name}: the model in {folder} is an OpenVINO IR with"
            f" {found['weight_format']} weights, which cannot be converted; use precision=auto, or load the torch"
            " checkpoint",
            "precision.name",
        )
    return dict(found)


@dataclass(frozen=True)
class ReadyMade:
    """What `ready_made` needs to know about an IR."""

    is_stateful: bool
    has_cache_inputs: bool
    weights: dict[str, Any]


@lru_cache(maxsize=8)
def _read(folder: Path, changed: int) -> ReadyMade:
    """Read an IR, which takes seconds for a large one; `changed` is when the file was last changed."""
    from hforch.models.ir import read_graph
    from hforch.models.ir_precision import describe_graph

    graph = read_graph(folder / "openvino_model.xml")
    return ReadyMade(graph.is_stateful, graph.has_cache_inputs, describe_graph(folder, graph))
