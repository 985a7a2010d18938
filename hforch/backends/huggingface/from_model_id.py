"""Convert the arguments of `HforchPipeline.from_model_id` to a Job; each is applied or rejected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hforch.backends.base import capabilities
from hforch.config.backends.registry import BACKENDS
from hforch.config.compose import job_from_overrides
from hforch.config.diagnose.option_hints import did_you_mean_option
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.schema import Job
from hforch.config.shorthand import meaning
from hforch.config.validate import validate
from hforch.errors import UnknownArgument
from hforch.generation.call_arguments import GENERATION, merge, split
from hforch.generation.llm import HforchLLM
from hforch.generation.llm_fields import check_fields
from hforch.utils.paths import expanded

NAMES = {"default": "pytorch", "pytorch": "pytorch", "openvino": "openvino"}
DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "auto": "auto"}
MODEL = ("revision", "trust_remote_code", "attn_implementation")
DTYPE = ("dtype", "torch_dtype")
OUTSIDE = ("backend", "batch_size", "device", "device_map")


def job_of(
    model_id: str,
    task: str = "text-generation",
    backend: str = "default",
    device: int | str | None = None,
    device_map: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    pipeline_kwargs: Mapping[str, Any] | None = None,
    batch_size: int = 4,
) -> Job:
    """Return the job that arguments of LangChain's `HuggingFacePipeline.from_model_id` describe.

    Args:
        model_id: a directory if one with that name exists, otherwise a model id on the Hugging Face Hub.
        task: `text-generation`; no other task is supported.
        backend: `default` (torch), `pytorch` or `openvino`.
        device: -1 or `cpu` for the CPU, n or `cuda:n` for GPU n.
        device_map: a strategy such as `auto`; mutually exclusive with `device`.
        model_kwargs: arguments of the model (revision, trust_remote_code, attn_implementation, dtype), of OpenVINO
            (device, ov_config) or of generation (temperature, max_length, ...).
        pipeline_kwargs: arguments of generation.
        batch_size: maximum number of prompts in a batch.

    Raises:
        UnknownArgument: a name or value is unknown.
        ConfigError: values are invalid or mutually exclusive.
    """
    if task != "text-generation":
        raise UnknownArgument(f"task={task!r}: must be 'text-generation'")
    if backend not in NAMES:
        hint = did_you_mean_option("backend", backend, NAMES)
        raise UnknownArgument(f"backend={backend!r}: must be one of {', '.join(NAMES)}" + (f": {hint}" if hint else ""))
    given = dict(model_kwargs or {})
    on_openvino = BACKENDS[NAMES[backend]].library == "openvino"
    tree = job_from_overrides([f"backend={NAMES[backend]}"]).model_dump()
    tree["model"] = _model(model_id, given)
    tree["device"] = _device(on_openvino, device, device_map, given)
    tree["precision"]["name"] = _precision(given)
    tree["ov_config"] = dict(given.pop("ov_config", None) or {}) if on_openvino else {}
    tree["runtime"]["batch_size"] = batch_size
    generation = {name: given.pop(name) for name in GENERATION if name in given}
    if given:
        raise UnknownArgument("; ".join(_unknown(name) for name in given))
    changes = generation | split({"pipeline_kwargs": dict(pipeline_kwargs or {})})[0]
    job = validate(tree)
    spread = job.device.device_map if job.device.device_map != "auto" else None  # "auto" is OpenVINO's AUTO
    set_keys = {"device.device_map": spread, "model.attn_implementation": job.model.attn_implementation}
    for key in capabilities(job).ignores:
        if set_keys.get(key) is not None:
            raise UnknownArgument(f"{key.split('.')[-1]} has no effect with backend={backend!r}; remove it")
    return job.model_copy(update={"generation": merge(job.generation, changes)})


def check_llm_fields(fields: Mapping[str, Any]) -> None:
    """Check the arguments that are fields of the LLM, before the model is loaded.

    Raises:
        UnknownArgument: a name is unknown, or a value is invalid.
    """
    known = HforchLLM.model_fields.keys() - {"engine", "lease"}
    if unknown := [name for name in fields if name not in known]:
        raise UnknownArgument("; ".join(_unknown_field(name, known) for name in unknown))
    check_fields(fields)


def _unknown_field(name: str, known: Collection[str]) -> str:
    problem = f"unknown argument {name!r} of from_model_id"
    if name in GENERATION:
        return f"{problem}: pass it in pipeline_kwargs"
    if name in MODEL or name in DTYPE:
        return f"{problem}: pass it in model_kwargs"
    hint = did_you_mean(name, [*known, *OUTSIDE, "pipeline_kwargs", "model_kwargs"])
    return f"{problem}{f': {hint}' if hint else ''}"


def _model(model_id: str, given: dict[str, Any]) -> dict[str, Any]:
    found = {name: given.pop(name) for name in MODEL if name in given}
    common = {"trust_remote_code": False, "attn_implementation": None}
    if expanded(model_id).is_dir():
        if found.pop("revision", None) is not None:
            raise UnknownArgument(
                f"revision applies only to models on the Hugging Face Hub, but {model_id} is a directory; remove it"
            )
        return {"source": "local", "path": model_id, **common, **found}
    return {"source": "hub", "id": model_id, "revision": None, **common, **found}


def _device(
    on_openvino: bool, device: int | str | None, device_map: str | None, given: dict[str, Any]
) -> dict[str, Any]:
    if device is not None and device_map is not None:
        raise UnknownArgument("device and device_map are mutually exclusive; remove one")
    found = {"kind": "cpu", "index": None, "name": None, "device_map": None}
    if on_openvino and "device" in given:
        if device is not None or device_map is not None:
            other = "device" if device is not None else "device_map"
            raise UnknownArgument(f"{other} and model_kwargs={{'device': ...}} are mutually exclusive; remove one")
        name = str(given.pop("device"))
        return found if name == "CPU" else found | {"kind": "openvino", "name": name}
    if device_map is not None:
        return found | {"kind": "auto", "device_map": device_map}
    if device is None or device == "cpu":
        return found
    if (stands_for := meaning("device", str(device))) is None or isinstance(device, bool):
        raise UnknownArgument(f"device={device!r}: must be -1 or 'cpu' for the CPU, n or 'cuda:n' for GPU n")
    return found | {"kind": stands_for.option, **stands_for.values}


def _precision(given: dict[str, Any]) -> str:
    asked = [given.pop(name) for name in DTYPE if name in given]
    if len(asked) > 1:
        raise UnknownArgument(f"{' and '.join(DTYPE)} are mutually exclusive; remove one")
    name = str(asked[0]).removeprefix("torch.") if asked else "auto"
    if name not in DTYPES:
        raise UnknownArgument(f"dtype={name!r}: must be one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _unknown(name: str) -> str:
    if name in OUTSIDE:
        return f"unknown key {name!r} in model_kwargs: pass {name}= to from_model_id"
    known = (*MODEL, *DTYPE, *GENERATION, "device", "ov_config")
    hint = did_you_mean(name, known)
    return f"unknown key {name!r} in model_kwargs" + (f": {hint}" if hint else "")
