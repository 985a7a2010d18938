"""Device and properties of a job on OpenVINO, and checks that this machine supports them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hforch.config.schema import Job
from hforch.errors import Mistake
from hforch.utils.cache_home import cache_home
from hforch.utils.paths import expanded

COMPUTE = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # INFERENCE_PRECISION_HINT
CAPABILITIES = {"bf16": "BF16", "fp16": "FP16"}
HINT = "INFERENCE_PRECISION_HINT"
EXACT = {HINT: "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}  # as ov_config=accuracy
KV_KEYS = ("KV_CACHE_PRECISION", "KEY_CACHE_PRECISION", "VALUE_CACHE_PRECISION")
KV_VALUES = ("u8", "u4", "bf16", "f16", "f32", "dynamic")
SMALLER = "use a lower precision, a smaller model, or device=cpu"  # hint for a GPU that is out of memory
# Compiling with one of these breaks every later compilation in the process.
NOT_TRIED = ("ENABLE_CPU_RESERVATION",)


def check(job: Job) -> list[Mistake]:
    """Return errors about settings that OpenVINO does not support on this machine."""
    if job.device.device_map not in (None, "auto") or (job.device.device_map and job.device.kind != "auto"):
        hint = "set device.device_map=null; for OpenVINO's AUTO, use device=auto without device.device_map"
        return [Mistake("device.device_map", "device_map is only supported by backend=pytorch", None, hint)]
    return _check_device(job) or [*_check_precision(job), *_check_ov_config(job)]


def if_cached(folder: Path) -> str:
    """Return a hint for a model that cannot be loaded from hforch's cache; empty for another directory."""
    if not folder.is_relative_to(cache_home()):
        return ""
    return "\nIts cached files may be damaged; to check them: hforch doctor --check-cache"


def device_name(job: Job) -> str:
    """Return OpenVINO's name of the device, such as `CPU`, `GPU.0` or `AUTO`."""
    names = {"cpu": "CPU", "gpu": f"GPU.{job.device.index}", "auto": "AUTO", "npu": "NPU"}
    return names.get(job.device.kind) or str(job.device.name)


def properties(job: Job) -> dict[str, str]:
    """Return the OpenVINO properties for a job's precision and threads, overridden by its ov_config."""
    given = {name: _as_text(value) for name, value in job.ov_config.items()}
    given |= {name: str(expanded(text)) for name, text in given.items() if text.startswith("~/")}
    asked = {HINT: COMPUTE[job.precision.name]} if job.precision.name in COMPUTE else {}
    if job.runtime.threads is not None:
        asked["INFERENCE_NUM_THREADS"] = str(job.runtime.threads)
    return asked | given


def _check_device(job: Job) -> list[Mistake]:
    import openvino

    there = openvino.Core().available_devices
    kind, _, parts = device_name(job).partition(":")
    wanted = [part.strip("() ") for part in parts.split(",")] if parts else [kind]
    known = {*there, *(f"{name}.0" for name in there)}
    absent = [name for name in wanted if name not in known and name != "AUTO"]
    if not absent:
        return []
    path = "device.name" if job.device.kind == "openvino" else "device.kind"
    if job.device.kind == "gpu" and any(name.startswith("GPU") for name in there):
        path = "device.index"
    other = f"device.name={there[0]}" if job.device.kind == "openvino" and there else "device=cpu"
    hint = f"use {other}; available: {', '.join(there)}"
    return [Mistake(path, f"OpenVINO device not found: {', '.join(absent)}", None, hint)]


def _check_precision(job: Job) -> list[Mistake]:
    needed = CAPABILITIES.get(job.precision.name)
    if needed is None or HINT in job.ov_config or device_name(job).partition(":")[0] in ("AUTO", "HETERO", "MULTI"):
        return []
    import openvino

    device = device_name(job)
    capabilities = openvino.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    if needed in capabilities:
        return []
    has = [name for name in ("fp32", "bf16", "fp16") if CAPABILITIES.get(name, "FP32") in capabilities]
    problem = f"this machine's {device} does not support {job.precision.name}"
    return [Mistake("precision.name", problem, None, f"use {' or '.join(f'precision={name}' for name in has)}")]


def _check_ov_config(job: Job) -> list[Mistake]:
    """Compile a model of one operation with each property, which takes milliseconds and finds most errors."""
    import openvino

    mistakes = _check_kv(job)
    model, core = _one_operation(), openvino.Core()
    reported = {mistake.path for mistake in mistakes}
    for name, value in properties(job).items():
        if name in NOT_TRIED or f"ov_config.{name}" in reported:
            continue
        try:
            core.compile_model(model, device_name(job), {name: value})
        except (RuntimeError, TypeError) as error:
            path = f"ov_config.{name}" if name in job.ov_config else "precision.name"
            problem = f"OpenVINO rejected {name}={value} on {device_name(job)}: {short_message(error)}"
            mistakes.append(Mistake(path, problem, None, _nearest_property(core, device_name(job), name)))
    return mistakes


def of_one_operation(job: Job) -> dict[str, Any]:
    """Return the effective properties of a model of one operation, compiled with the job's properties."""
    import openvino

    given = {name: value for name, value in properties(job).items() if name not in NOT_TRIED}
    return read_properties(openvino.Core().compile_model(_one_operation(), device_name(job), given))


def precision_of(
    job: Job, weights: Mapping[str, Any], values: Mapping[str, Any], kv_cache: str | None
) -> dict[str, Any]:
    """Return the precisions of a loaded model, for the record.

    Args:
        weights: the record of the weights.
        values: properties of the compiled model.
        kv_cache: precision of the KV cache; None if unknown.
    """
    return {
        "requested": job.precision.name,
        "compute": values.get(HINT),
        "weights": weights.get("export", {}).get("weight_format"),
        "kv_cache": kv_cache,
    }


def read_properties(compiled: Any) -> dict[str, Any]:
    """Return the properties of a compiled model, by name, as JSON values."""
    values = {}
    for name in compiled.get_property("SUPPORTED_PROPERTIES"):
        if name == "SUPPORTED_PROPERTIES":
            continue
        try:
            values[str(name)] = _property(compiled.get_property(name))
        except (RuntimeError, TypeError, ValueError):
            continue  # some properties are write-only, and a few cannot be converted to Python
    return values


def _one_operation() -> Any:
    import numpy
    import openvino
    from openvino import opset13

    parameter = opset13.parameter([1], numpy.float32)
    return openvino.Model([opset13.relu(parameter)], [parameter])


def _check_kv(job: Job) -> list[Mistake]:
    allowed = ", ".join(KV_VALUES)
    return [
        Mistake(f"ov_config.{name}", f"{job.ov_config[name]!r} is not a KV cache precision; allowed: {allowed}")
        for name in KV_KEYS
        if name in job.ov_config and job.ov_config[name] not in KV_VALUES
    ]


def _nearest_property(core: Any, device: str, name: str) -> str | None:
    from hforch.config.diagnose.suggestions import did_you_mean

    try:
        known = [str(key) for key in core.get_property(device, "SUPPORTED_PROPERTIES")]
    except RuntimeError:
        return None
    return None if name in known else did_you_mean(name, known)


def _property(value: Any) -> Any:
    """Return an OpenVINO property value as a JSON value."""
    if isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "get_type_name"):
        return value.get_type_name()
    if isinstance(value, dict):
        return {str(key): _property(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_property(item) for item in value]
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    return str(value).rpartition(".")[2]


def _as_text(value: Any) -> str:
    return ("YES" if value else "NO") if isinstance(value, bool) else str(value)


def short_message(error: Exception) -> str:
    """Return the relevant sentence of OpenVINO's nested error messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Exception from")]
    message = lines[-1].removeprefix("NotFound: ") if lines else str(error).strip()
    # Remove C++ namespaces and add the space missing in "Wrong value FASTfor property key".
    message = re.sub(r"\bov::(\w+::)+", "", message).removesuffix("; stoi")
    return re.sub(r"(?<=\S)for property key", " for property key", message)
