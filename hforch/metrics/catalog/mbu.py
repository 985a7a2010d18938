"""Model bandwidth utilization (MBU): the fraction of the machine's memory read bandwidth that one stream uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.metrics.metric import Absent, Measured, Metric, is_on_cpu

BYTES = {"float32": 4.0, "f32": 4.0, "bfloat16": 2.0, "bf16": 2.0, "float16": 2.0, "f16": 2.0}
BYTES |= {"u8": 1.0, "i8": 1.0, "u4": 0.5}
NOT_MEASURED = "the read bandwidth of this machine was not measured; to measure it: hforch doctor --bandwidth"
IN_CACHES = "the weights were read faster than the memory bandwidth allows, so some of them are in the CPU caches"


def utilization(measured: Measured) -> float:
    """Return (bytes of weights + bytes of KV cache) / TPOT / the machine's read bandwidth."""
    from hforch.machine import bandwidth

    record = measured.record
    metrics, effective = record.get("metrics") or {}, record.get("effective") or {}
    devices = [str(one) for one in effective.get("device") or ()]
    if not is_on_cpu(devices):
        raise Absent(f"only the bandwidth of CPU memory is measured; the device was {', '.join(devices) or 'none'}")
    if any(len(batch) > 1 for batch in record.get("plan") or ()):
        raise Absent("MBU is defined for one stream, but requests were batched; use runtime.batch_size=1")
    tpot_ms = metrics.get("tpot_ms")
    if not tpot_ms:
        raise Absent((metrics.get("absent") or {}).get("tpot_ms") or "TPOT is unknown")
    gb_per_s = bandwidth.stored(record.get("environment") or {})
    if gb_per_s is None:
        raise Absent(NOT_MEASURED)
    per_token = weight_bytes(measured) + kv_bytes(measured)
    value = per_token / (tpot_ms / 1e3) / (gb_per_s * 1e9)
    if value > 1:
        raise Absent(IN_CACHES)
    return round(value, 4)


def weight_bytes(measured: Measured) -> float:
    """Return the size of the weights in memory, in bytes.

    It is the disk size of an exported model, else the number of parameters times the bytes per parameter.
    """
    from hforch.models.estimate import read_header

    record = measured.record
    if (record.get("model") or {}).get("export"):
        return float(record["disk_mb"]) * 1e6
    precision = _precision(record)
    width = BYTES.get(str(precision.get("weights")))
    if width is None or measured.folder is None:
        raise Absent(f"the size of {precision.get('weights') or 'unknown'} weights in memory is unknown")
    return read_header(measured.folder).parameters * width


def kv_bytes(measured: Measured) -> float:
    """Return the mean number of bytes of KV cache that a decoding step reads, over the steps of all answers."""
    from hforch.models.architecture import kv_elements
    from hforch.models.json_files import read_object

    precision = _precision(measured.record)
    name = precision.get("kv_cache") or precision.get("compute")
    width = BYTES.get(str(name))
    elements = kv_elements(read_object(measured.folder / "config.json")) if measured.folder is not None else None
    if width is None or elements is None:
        raise Absent("the size of the KV cache is unknown")
    good = [one for one in measured.samples if one["error"] is None and one["output_tokens"]]
    steps = sum(one["output_tokens"] for one in good)
    read = sum(one["output_tokens"] * (one["prompt_tokens"] + one["output_tokens"] / 2) for one in good)
    return elements * width * read / steps


def _precision(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (record.get("effective") or {}).get("precision")
    return found if isinstance(found, dict) else {}


METRICS = (
    Metric(
        name="mbu",
        title="MBU",
        unit="%",
        digits=0,
        better="higher",
        level="job",
        kind="speed",
        definition="model bandwidth utilization of one stream on the CPU: (bytes of weights and KV cache read per"
        " token / TPOT) / the machine's read bandwidth, measured by hforch doctor --bandwidth",
        source="Databricks, LLM Inference Performance Engineering, 2023",
        compute=utilization,
        is_share=True,
    ),
)
