"""backend=openvino_genai: exported models through openvino-genai's continuous batching.

It runs the same IRs as backend=openvino. Once an export exists, it imports neither torch nor transformers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from hforch.backends.base import LoadedModel, Longest, PreparedModel, missing_extra
from hforch.backends.capabilities import Batching, Capabilities
from hforch.backends.genai import xgrammar
from hforch.backends.genai.engine import ContinuousEngine
from hforch.backends.genai.engine_check import Engine, check_engine
from hforch.backends.genai.generation_config import unsupported
from hforch.backends.genai.pipeline import generate, open_pipeline
from hforch.backends.ov import device, weights
from hforch.backends.ov.device import device_name, precision_of, properties, short_message
from hforch.config.backends.openvino_genai import OpenVINOGenAIBackend
from hforch.config.schema import Job
from hforch.errors import BackendError, Mistake
from hforch.generation.completion import eos_ids
from hforch.generation.file_tokenizer import FileTokenizer, read_json
from hforch.generation.guarded_reader import GuardedReader
from hforch.generation.logit_reader import openvino_logit_reader
from hforch.machine.out_of_memory import is_out_of_memory, translate
from hforch.models.architecture import context_length, kv_elements, longrope_switch, vocabulary
from hforch.models.checkpoint import Found
from hforch.models.tokenizers import tokenizer_of
from hforch.models.transformers_tokenizer import probe_ids, refuse_other_ids
from hforch.utils.progress import Progress
from hforch.utils.rounding import rounded_apart

LIBRARIES = ("openvino", "openvino_genai", "tokenizers", "jinja2", "numpy")
LLM_MODULE = "hforch.backends.genai.llm"

BLOCK = {"CPU": 32}  # tokens per block of the KV cache; 16 on other devices
BITS = {"f32": 32, "f16": 16, "u8": 8, "u4": 4}
GB = 1 << 30
SCHEDULER = {"max_num_seqs", "max_num_batched_tokens", "enable_prefix_caching", "cache_size"}
"""Options of the backend that are fields of openvino-genai's SchedulerConfig."""


def capabilities(job: Job) -> Capabilities:
    backend = job.backend
    assert isinstance(backend, OpenVINOGenAIBackend)
    kv_mb = None if backend.cache_size is None else round(backend.cache_size * GB / 1e6, 1)
    return Capabilities(
        needs=weights.needs(job, kv_mb),
        batching=Batching(
            backend.max_num_seqs,
            "backend.max_num_seqs",
            backend.window,
            is_continuous=True,
            keeps_prompts=backend.enable_prefix_caching,
        ),
        ignores=("model.attn_implementation", "device.device_map", "runtime.batch_size"),
        unenforced=xgrammar.unsupported,
    )


def check(job: Job) -> list[Mistake]:
    assert isinstance(job.backend, OpenVINOGenAIBackend)
    if missing := missing_extra("openvino_genai", "genai", "backend=openvino_genai", "backend.name"):
        return missing
    return [*device.check(job), *unsupported(job.generation), *_check_cache(job.backend)]


def check_files(job: Job, found: Found) -> None:
    if found.kind == "openvino":
        weights.ready_made(job, found.folder, needs_state=True)


def prepare(job: Job, progress: Progress) -> PreparedModel:
    prepared = weights.prepare(job, progress, needs_state=True)
    assert prepared.path is not None
    return replace(prepared, tokenizer=tokenizer_of(prepared.path, job.model.trust_remote_code, progress))


def verify(job: Job, prepared: PreparedModel, longest: Longest, progress: Progress) -> PreparedModel:
    folder, record = prepared.path, prepared.record
    assert isinstance(job.backend, OpenVINOGenAIBackend) and prepared.checkpoint is not None
    assert folder is not None and prepared.tokenizer is not None
    threads = "INFERENCE_NUM_THREADS"  # does not change results
    engine = Engine(
        prepared.checkpoint.label,
        str(record["export"].get("key") or record["fingerprint"]),
        folder,
        prepared.tokenizer,
        device_name(job),
        {name: value for name, value in properties(job).items() if name != threads},
        job.backend.model_dump(include={"max_num_batched_tokens", "enable_prefix_caching"}),
    )
    verdict = check_engine(engine, read_json(folder / "config.json"), longest, progress)
    return replace(prepared, unscorable=verdict.doubt, engine_check=verdict.record)


def load(job: Job, prepared: PreparedModel) -> LoadedModel:
    from hforch.backends.genai.llm import GenAILLM

    backend, folder = job.backend, prepared.path
    assert isinstance(backend, OpenVINOGenAIBackend) and folder is not None and prepared.tokenizer is not None
    tokenizer = FileTokenizer(prepared.tokenizer)
    found = probe_ids(tokenizer.encode, tokenizer.named.get("eos_token")) if prepared.token_ids else []
    refuse_other_ids(prepared.tokenizer, found, prepared.token_ids)
    config, shipped = read_json(folder / "config.json"), read_json(folder / "generation_config.json")
    given: dict[str, Any] = dict(properties(job))
    if backend.prompt_lookup:
        given["prompt_lookup"] = True
    extra = {"num_assistant_tokens": backend.num_assistant_tokens, "max_ngram_size": backend.max_ngram_size}
    extra = extra if backend.prompt_lookup else {}
    eos = eos_ids(shipped.get("eos_token_id"), config.get("eos_token_id"), tokenizer.id_of("eos_token"))
    try:
        scheduler = backend.model_dump(include=SCHEDULER)
        pipe = open_pipeline(folder, prepared.tokenizer, device_name(job), scheduler, given)
        block_bytes = _try(pipe, eos, extra)
    except Exception as error:
        if is_out_of_memory(error):
            raise translate(error, device.SMALLER) from None
        raise BackendError(_cannot_load(job, folder, config, error)) from error
    effective = _effective(job, prepared, backend, _kv_precision(config, block_bytes, job))
    engine = ContinuousEngine(
        pipe,
        tokenizer,
        eos,
        shipped,
        {"weights": prepared.record, "backend": backend.model_dump(), **effective},
        context_length(config),
        backend.max_num_seqs,
        extra,
        vocabulary(config),
    )

    def logit_reader() -> GuardedReader:
        reader = openvino_logit_reader(folder, device_name(job), dict(properties(job)), min(eos, default=0))
        return GuardedReader(reader, longrope_switch(config))

    return LoadedModel(engine, partial(GenAILLM, engine=engine), effective, logit_reader=logit_reader)


def _check_cache(backend: OpenVINOGenAIBackend) -> list[Mistake]:
    has = psutil.virtual_memory().available / GB
    if backend.cache_size is None or backend.cache_size <= has:
        return []
    free = rounded_apart(has, backend.cache_size)
    problem = f"a KV cache of {backend.cache_size} GB exceeds the free memory ({free} GB)"
    return [
        Mistake("backend.cache_size", problem, None, "use a smaller value, or null to let the cache grow as needed")
    ]


def _try(pipe: Any, eos: list[int], extra: dict[str, Any]) -> int:
    """Generate one token, because some models load but fail to generate.

    Returns:
        the size of the KV cache in bytes: the size of one block, unless a cache size is configured.
    """
    generate(pipe, [([min(eos, default=0)], {"max_new_tokens": 1, **extra})])
    return int(pipe.get_metrics().cache_size_in_bytes)


def _cannot_load(job: Job, folder: Path, config: dict[str, Any], error: Exception) -> str:
    kind = config.get("model_type", "unknown")
    return (
        f"openvino_genai cannot run {folder} (architecture {kind!r}) on {device_name(job)}: {short_message(error)}\n"
        f"backend=openvino supports more models.{device.if_cached(folder)}"
    )


def _effective(job: Job, prepared: PreparedModel, backend: OpenVINOGenAIBackend, kv: str | None) -> dict[str, Any]:
    """Return the effective settings.

    The engine does not expose its compiled model. The properties are therefore read from a model of one operation,
    compiled with the same properties, and the precision of the KV cache is derived from its size.
    """
    values = device.of_one_operation(job)
    return {
        "device": [device_name(job)],
        "precision": precision_of(job, prepared.record, values, kv),
        "ov_config": values,
        "threads": values.get("INFERENCE_NUM_THREADS"),
        "scheduler": backend.model_dump(exclude={"name"}),
    }


def _kv_precision(config: dict[str, Any], block_bytes: int, job: Job) -> str | None:
    """Return the precision of the KV cache, derived from the size of one block; None if it cannot be derived.

    A block is slightly larger than its elements, because quantized elements have scales.
    """
    assert isinstance(job.backend, OpenVINOGenAIBackend)
    elements = (kv_elements(config) or 0) * BLOCK.get(device_name(job), 16)
    if job.backend.cache_size is not None:  # more than one block is allocated
        return None
    bits = 8 * block_bytes / elements if elements else 0
    return next((name for name, size in BITS.items() if size <= bits < 2 * size), None)
