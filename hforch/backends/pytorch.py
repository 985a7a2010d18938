"""backend=pytorch: transformers models, on the CPU or on whatever accelerator torch knows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hforch.backends import grammar, kv_cache
from hforch.backends.base import Loaded, Prepared, first_line, missing_extra, prepared_from
from hforch.backends.engine import Work
from hforch.backends.kv_cache import KVCaches
from hforch.backends.pipeline import HforchPipeline, LatePipeline, PipelineEngine
from hforch.backends.teacher import TorchTeacher
from hforch.config.schema import Job, PytorchBackend
from hforch.errors import BackendError, Mistake, ModelError
from hforch.models import fetch
from hforch.models.tokenizers import loading_tokenizer
from hforch.progress import Progress

IGNORES = ("ov_config", "precision.group_size", "precision.group_size_fallback", "device.name")
LIBRARIES = (
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.modeling_utils",
    "transformers.tokenization_utils_tokenizers",
)

DTYPES = {
    "auto": "auto",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "int8": "bfloat16",
    "int4": "bfloat16",
}
WEIGHTS = {"int8": "int8", "int4": "nf4"}
NO_ACCELERATORS = ("cpu", "disk", "meta")
QUANTIZERS = {"int8": "torchao", "int4": "bitsandbytes"}


def check(job: Job) -> list[Mistake]:
    mistakes = [*grammar.check(job), *kv_cache.check(job)]
    if quantizer := QUANTIZERS.get(job.precision.name):
        mistakes += missing_extra(quantizer, "quant", f"precision={job.precision.name} on pytorch", "precision.name")
    if job.device.kind == "npu":
        mistakes.append(Mistake("device.kind", "pytorch does not run on an NPU", None, "use backend=openvino"))
    if job.device.kind == "gpu":
        mistakes += _check_gpu(job)
    return mistakes


def prepare(job: Job, progress: Progress) -> Prepared:
    checkpoint = fetch(job.model, progress)
    if checkpoint.kind == "openvino":
        raise ModelError(
            f"model: {checkpoint.path} holds an OpenVINO IR, which pytorch cannot run; use backend=openvino,"
            " or a folder with torch weights (*.safetensors)",
            "model.path",
        )
    return prepared_from(checkpoint)


def load(job: Job, prepared: Prepared) -> Loaded:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if job.runtime.threads is not None:
        torch.set_num_threads(job.runtime.threads)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trust = job.model.trust_remote_code
    assert prepared.path is not None
    try:
        with loading_tokenizer(prepared.path):
            tokenizer = AutoTokenizer.from_pretrained(prepared.path, local_files_only=True, trust_remote_code=trust)
        model, found = AutoModelForCausalLM.from_pretrained(
            prepared.path,
            output_loading_info=True,
            dtype=DTYPES[job.precision.name],
            device_map=device_map(job),
            quantization_config=_quantization(job.precision.name),
            attn_implementation=job.model.attn_implementation,
            trust_remote_code=trust,
            local_files_only=True,
        )
    except ModelError:
        raise
    except Exception as error:
        if "ignore_mismatched_sizes" in str(error):
            raise ModelError(
                f"{prepared.path}: its weights have other shapes than its config.json describes; the log names them"
            ) from error
        raise BackendError(f"pytorch cannot load {prepared.path}: {first_line(error)}") from error
    if not WEIGHTS.get(job.precision.name):  # quantizers give tensors other names
        check_whole(prepared.path, found["missing_keys"])
    model.eval()
    effective = read_back(model, job.precision.name)
    pipeline = LatePipeline(model, tokenizer)
    assert isinstance(job.backend, PytorchBackend)
    caches = KVCaches(model, job.backend, Work(job.runtime.batch_size))
    identity = {"weights": prepared.record, **effective, "execution": caches.chosen.record()}
    engine = PipelineEngine(pipeline, identity, kv_caches=caches)
    build = partial(HforchPipeline, pipeline=pipeline, engine=engine, model_id=str(prepared.path))
    teacher = partial(TorchTeacher, model, engine.pad)
    return Loaded(engine, build, effective, accelerator_mb, teacher, partial(synchronize, effective["device"]))


def check_whole(folder: Path, missing: Collection[str]) -> None:
    """Raise ModelError if transformers has made up tensors that config.json describes and the weights lack."""
    if missing:
        names = sorted(map(str, missing))
        raise ModelError(
            f"{folder}: its weights lack {len(names)} of the tensors that config.json describes: "
            f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        )


def device_map(job: Job) -> Any:
    """What transformers' `device_map` is: a strategy of accelerate, or everything on one device."""
    if job.device.device_map is not None:
        return job.device.device_map
    if job.device.kind == "gpu":
        import torch

        return {"": f"{torch.accelerator.current_accelerator().type}:{job.device.index}"}
    return {"": "cpu"}


def read_back(model: Any, precision: str) -> dict[str, Any]:
    """What was really loaded."""
    import torch

    quantization = getattr(model.config, "quantization_config", None)
    devices = sorted({str(device) for device in (getattr(model, "hf_device_map", None) or {"": model.device}).values()})
    return {
        "device": devices,
        "precision": {
            "requested": precision,
            "compute": str(model.dtype).removeprefix("torch."),
            "weights": WEIGHTS.get(precision, str(model.dtype).removeprefix("torch.")),
            "quantizer": _method(quantization),
            "quantization": quantization.to_dict() if quantization is not None else None,
        },
        "attn_implementation": model.config._attn_implementation,
        "threads": torch.get_num_threads(),
    }


def _method(quantization: Any) -> str | None:
    """`torchao`, `bitsandbytes`, ... as a plain string; None without quantization."""
    method = getattr(quantization, "quant_method", None)
    return None if method is None else str(getattr(method, "value", method))


def accelerator_mb() -> float | None:
    """The peak of memory that torch has taken on all accelerators, in MB (10^6 bytes)."""
    import torch

    if not torch.cuda.is_available():
        return None
    return sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())) / 1e6


def synchronize(devices: Sequence[str]) -> None:
    """Wait until the accelerators among a model's devices (`cpu`, `cuda:0`, `0`, `disk`) have done their work."""
    import torch

    for device in devices:
        if device.partition(":")[0] not in NO_ACCELERATORS:
            torch.accelerator.synchronize(int(device) if device.isdigit() else device)


def accelerators() -> list[str]:
    """The devices that torch has besides the CPU, such as `cuda:0`."""
    import torch

    if not torch.accelerator.is_available():
        return []
    kind = torch.accelerator.current_accelerator().type
    return [f"{kind}:{index}" for index in range(torch.accelerator.device_count())]


def _check_gpu(job: Job) -> list[Mistake]:
    there = accelerators()
    if not there:
        return [Mistake("device.kind", "there is no GPU that torch can use", None, "devices here: cpu; use device=cpu")]
    if job.device.index is not None and job.device.index >= len(there):
        problem = f"there is no GPU number {job.device.index}"
        return [Mistake("device.index", problem, None, f"devices here: cpu, {', '.join(there)}")]
    return []


def _quantization(precision: str) -> Any:
    if precision == "int8":
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    if precision == "int4":
        import torch
        from transformers import BitsAndBytesConfig

        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    return None
