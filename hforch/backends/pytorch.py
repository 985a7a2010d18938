"""backend=pytorch: transformers models on the CPU or on any accelerator that torch supports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hforch.backends.base import LoadedModel, PreparedModel, missing_extra, prepared_from
from hforch.backends.capabilities import Capabilities, padded_batches
from hforch.backends.huggingface import kv_cache, torch_device
from hforch.backends.huggingface.kv_cache import KVCaches
from hforch.config.backends.pytorch import PytorchBackend
from hforch.config.schema import Job
from hforch.errors import BackendError, Mistake, ModelError, first_line
from hforch.generation.engine import Work
from hforch.generation.guarded_reader import GuardedReader
from hforch.generation.logit_reader import TorchLogitReader
from hforch.machine import accelerators, out_of_memory
from hforch.models import fetch
from hforch.models.checkpoint import Found
from hforch.models.estimate import IN_MEMORY, Needs, smaller_precisions
from hforch.models.transformers_tokenizer import load_tokenizer
from hforch.utils.progress import Progress

LIBRARIES = (
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.modeling_utils",
    "transformers.tokenization_utils_tokenizers",
    "hforch.backends.huggingface.pipeline",
)
LLM_MODULE = "hforch.backends.huggingface.pipeline"

DTYPES = {
    "auto": "auto",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "int8": "bfloat16",
    "int4": "bfloat16",
}
COMPUTES_IN: Mapping[str, Literal["bf16", "fp16"]] = {"bfloat16": "bf16", "float16": "fp16"}
WEIGHTS = {"int8": "int8", "int4": "nf4"}
QUANTIZERS = {"int8": ("torchao.quantization",), "int4": ("bitsandbytes",)}


def capabilities(job: Job) -> Capabilities:
    precision = job.precision.name
    return Capabilities(
        needs=Needs("torch", IN_MEMORY.get(precision), 4.0 if precision in ("fp32", "auto") else 2.0),
        batching=padded_batches(job),
        ignores=("ov_config", "precision.group_size", "precision.group_size_fallback", "device.name"),
        has_torch_devices=True,
        computes_in=COMPUTES_IN.get(DTYPES.get(precision, "")),
    )


def check(job: Job) -> list[Mistake]:
    assert isinstance(job.backend, PytorchBackend)
    mistakes = kv_cache.check(job.backend, job.device.kind)
    for library in QUANTIZERS.get(job.precision.name, ()):
        quantizer = library.partition(".")[0]
        mistakes += missing_extra(quantizer, "quant", f"precision={job.precision.name} on pytorch", "precision.name")
    return mistakes + torch_device.check(job)


def prepare(job: Job, progress: Progress) -> PreparedModel:
    checkpoint = fetch(job.model, progress)
    check_files(job, Found(checkpoint.path, checkpoint.kind))
    return prepared_from(checkpoint)


def check_files(job: Job, found: Found) -> None:
    if found.kind == "openvino":
        raise ModelError(
            f"model: {found.folder} contains an OpenVINO IR, which pytorch cannot run; use backend=openvino,"
            " or a directory with torch weights (*.safetensors)",
            "model.path",
        )


def load(job: Job, prepared: PreparedModel) -> LoadedModel:
    import torch
    from transformers import AutoModelForCausalLM

    from hforch.backends.huggingface.engine import PipelineEngine
    from hforch.backends.huggingface.pipeline import HforchPipeline, LazyPipeline

    if job.runtime.threads is not None:
        torch.set_num_threads(job.runtime.threads)
    trust = job.model.trust_remote_code
    assert prepared.path is not None
    try:
        tokenizer = load_tokenizer(prepared.path, trust)
        model, found = AutoModelForCausalLM.from_pretrained(
            prepared.path,
            output_loading_info=True,
            dtype=DTYPES[job.precision.name],
            device_map=torch_device.device_map(job),
            quantization_config=_quantization(job.precision.name),
            attn_implementation=job.model.attn_implementation,
            trust_remote_code=trust,
            local_files_only=True,
        )
    except ModelError:
        raise
    except Exception as error:
        if out_of_memory.is_out_of_memory(error):
            raise out_of_memory.translate(error, smaller(job)) from None
        if "ignore_mismatched_sizes" in str(error):
            raise ModelError(
                f"{prepared.path}: shapes of weights differ from those in config.json; the log lists them"
            ) from error
        raise BackendError(f"pytorch cannot load {prepared.path}: {first_line(error, with_type=True)}") from error
    if not WEIGHTS.get(job.precision.name):  # quantizers rename tensors
        check_whole(prepared.path, found["missing_keys"])
    model.eval()
    effective = read_back(model, job.precision.name)
    pipeline = LazyPipeline(model, tokenizer.tokenizer)
    assert isinstance(job.backend, PytorchBackend)
    caches = KVCaches(model, job.backend, Work(job.runtime.batch_size))
    identity = {"weights": prepared.record, **effective, "execution": caches.chosen.record()}
    engine = PipelineEngine(pipeline, identity, kv_caches=caches)
    build = partial(HforchPipeline, pipeline=pipeline, engine=engine, model_id=str(prepared.path))

    def logit_reader() -> GuardedReader:
        return GuardedReader(TorchLogitReader(model, engine.pad), engine.longrope_switch, engine.longest_prompt)

    remarks = (
        *tokenizer.remarks,
        *torch_device.remarks(effective.get("device_map", {})),
        *engine.batch_remarks(job.runtime.batch_size),
    )
    return LoadedModel(
        engine,
        build,
        effective,
        logit_reader,
        remarks,
        partial(accelerators.synchronize, effective["device"]),
        drop=pipeline.drop,
    )


def smaller(job: Job) -> str:
    """Return a hint for a model that does not fit into the memory of its device."""
    others = " or ".join(f"precision={name}" for name in smaller_precisions(job.precision.name))
    spread = "" if job.device.kind == "auto" else ", or device=auto, which distributes it over all GPUs and the CPU"
    return f"use {f'{others}, ' if others else ''}a smaller model{spread}"


def check_whole(folder: Path, missing: Collection[str]) -> None:
    """Raise ModelError if the weights lack tensors of the architecture, which transformers initializes randomly."""
    if missing:
        names = sorted(map(str, missing))
        raise ModelError(
            f"{folder}: {len(names)} tensors of the architecture in config.json are missing from the weights: "
            f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        )


def read_back(model: Any, precision: str) -> dict[str, Any]:
    """Return the devices, precision and attention implementation of a loaded model."""
    import torch

    quantization = getattr(model.config, "quantization_config", None)
    placement = torch_device.placed(model)
    return {
        "device": torch_device.devices_of(model),
        **({"device_map": placement} if placement else {}),
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
    """Return the name of the quantizer, such as `torchao` or `bitsandbytes`; None without quantization."""
    method = getattr(quantization, "quant_method", None)
    return None if method is None else str(getattr(method, "value", method))


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
