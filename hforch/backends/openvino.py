"""backend=openvino: exported models through optimum-intel, on any OpenVINO device."""

from __future__ import annotations

from functools import partial
from typing import Any

from hforch.backends.base import LoadedModel, PreparedModel, missing_extra
from hforch.backends.capabilities import Capabilities, padded_batches
from hforch.backends.ov import device
from hforch.backends.ov.device import device_name, precision_of, properties, read_properties, short_message
from hforch.backends.ov.weights import needs, prepare, ready_made
from hforch.config.schema import Job
from hforch.errors import BackendError, Mistake, ModelError
from hforch.generation.guarded_reader import GuardedReader
from hforch.generation.logit_reader import OpenVINOLogitReader
from hforch.machine.out_of_memory import is_out_of_memory, translate
from hforch.models.checkpoint import Found
from hforch.models.transformers_tokenizer import load_tokenizer, refuse_other_ids

__all__ = ["LIBRARIES", "capabilities", "check", "load", "prepare"]

LIBRARIES = (
    "openvino",
    "optimum.intel.openvino.modeling_decoder",
    "transformers.models.auto.tokenization_auto",
    "transformers.tokenization_utils_tokenizers",
    "hforch.backends.huggingface.pipeline",
)
LLM_MODULE = "hforch.backends.huggingface.pipeline"


def capabilities(job: Job) -> Capabilities:
    return Capabilities(
        needs=needs(job),
        batching=padded_batches(job),
        ignores=("model.attn_implementation", "device.device_map"),
    )


def check(job: Job) -> list[Mistake]:
    for module in ("optimum.intel", "openvino"):
        if missing := missing_extra(module, "openvino", "backend=openvino", "backend.name"):
            return missing
    return device.check(job)


def check_files(job: Job, found: Found) -> None:
    if found.kind == "openvino":
        ready_made(job, found.folder, needs_state=False)


def load(job: Job, prepared: PreparedModel) -> LoadedModel:
    from optimum.intel import OVModelForCausalLM

    from hforch.backends.huggingface.engine import PipelineEngine
    from hforch.backends.huggingface.pipeline import HforchPipeline, LazyPipeline

    trust = job.model.trust_remote_code
    assert prepared.path is not None
    try:
        tokenizer = load_tokenizer(prepared.path, trust)
        refuse_other_ids(prepared.path, tokenizer.probe_ids() if prepared.token_ids else [], prepared.token_ids)
        model = OVModelForCausalLM.from_pretrained(
            str(prepared.path),  # optimum-intel logs an error if this is a Path
            export=False,
            device=device_name(job),
            ov_config=properties(job),
            trust_remote_code=trust,
            compile=True,
        )
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise translate(error, device.SMALLER) from None
        raise BackendError(
            f"OpenVINO cannot load {prepared.path} on {device_name(job)}: {short_message(error)}"
            f"{device.if_cached(prepared.path)}"
        ) from error
    effective = read_back(model, job, prepared)
    pipeline = LazyPipeline(model, tokenizer.tokenizer)
    engine = PipelineEngine(pipeline, identity={"weights": prepared.record, **effective})
    build = partial(HforchPipeline, pipeline=pipeline, engine=engine, model_id=str(prepared.path))
    return LoadedModel(
        engine,
        build,
        effective,
        logit_reader=lambda: GuardedReader(
            OpenVINOLogitReader(model.request.get_compiled_model(), engine.pad, owner=model), engine.longrope_switch
        ),
        remarks=(*tokenizer.remarks, *engine.batch_remarks(job.runtime.batch_size)),
        drop=pipeline.drop,
    )


def read_back(model: Any, job: Job, prepared: PreparedModel) -> dict[str, Any]:
    """Return the devices, precision and properties that the compiled model reports."""
    values = read_properties(model.request.get_compiled_model())
    devices = values.get("EXECUTION_DEVICES")
    return {
        "device": devices if isinstance(devices, list) else [str(devices or device_name(job))],
        "precision": precision_of(job, prepared.record, values, values.get("KV_CACHE_PRECISION")),
        "ov_config": values,
        "threads": values.get("INFERENCE_NUM_THREADS"),
    }
