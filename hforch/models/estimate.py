"""Estimate memory and disk use from file headers, without loading weights or downloading files.

The size of the weights follows from the checkpoint's header (safetensors, GGUF, or the size of an OpenVINO IR's .bin)
and the requested precision; the size of the KV cache follows from config.json and the longest prompt.
Libraries and activations are not included, so an estimate is a lower bound: a job whose estimate exceeds the available
memory cannot run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hforch.config.schema import Job
from hforch.models import cache_files, exports
from hforch.models.architecture import context_length, kv_elements, vocabulary
from hforch.models.checkpoint import Kind
from hforch.models.folder import choose
from hforch.models.gguf_header import check_header
from hforch.models.json_files import read_object
from hforch.models.safetensors_header import BITS, read_tensors
from hforch.models.sources import local_files

IN_MEMORY = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0, "int4": 0.5}  # bytes per parameter
SMALLER = ("bf16", "int8", "int4")


@dataclass(frozen=True)
class Needs:
    """The memory layout that a backend uses for a job.

    Attributes:
        weights: the kind of checkpoint that the backend loads; None if it loads none.
        bytes_per_parameter: bytes per parameter in memory; None: as on disk.
        kv_bytes: bytes per element of the KV cache.
        kv_mb: size of a KV cache that is allocated in advance, in MB; None if the cache grows with the sequences.
    """

    weights: Kind | None
    bytes_per_parameter: float | None = None
    kv_bytes: float = 2.0
    kv_mb: float | None = None


@dataclass(frozen=True)
class Estimate:
    """The minimum memory and disk space of a job, in MB of 10^6 bytes.

    Attributes:
        weights_mb, kv_mb: memory of the weights and the KV cache; None if unknown, with the reason in `why`.
        disk_mb: approximate size of the files that a conversion or an export will write.
        to_do: steps before loading: download, convert, export.
        vocabulary: the model's vocabulary size; None if unknown.
        longest: the number of tokens of the longest sequence, prompt plus answer.
        sequences: the number of sequences per batch; the KV cache holds all of them.
    """

    weights_mb: float | None
    kv_mb: float | None
    disk_mb: float | None
    to_do: tuple[str, ...]
    why: str | None = None
    vocabulary: int | None = None
    longest: int = 0
    sequences: int = 0

    @property
    def memory_mb(self) -> float | None:
        return None if self.weights_mb is None else round(self.weights_mb + (self.kv_mb or 0.0), 1)


@dataclass(frozen=True)
class Header:
    """The parameters, stored bytes per parameter and architecture of a model, read without loading weights."""

    parameters: float
    stored: float
    config: dict[str, Any]
    is_ir: bool = False


def estimate(job: Job, needs: Needs, longest: int, sequences: int) -> Estimate:
    """Return the estimate for a job.

    Args:
        job: the job.
        needs: the memory layout that its backend uses.
        longest: the number of tokens of the longest sequence, prompt plus answer.
        sequences: the number of sequences per batch.
    """
    if needs.weights is None:
        return Estimate(0.0, 0.0, 0.0, ())
    files = local_files(job.model)
    to_do = files.to_do
    try:
        header = read_header(files.folder) if files.folder else None
        if header is None and files.gguf:
            header = read_gguf(files.gguf)
    except Exception as error:  # loading the file reports the error; here, the size is unknown
        return Estimate(None, None, None, to_do, f"cannot read the header: {error}")
    if header is None:
        return Estimate(None, None, None, to_do, "the weights are not on this machine yet")
    written = header.parameters * 4.0 if "convert" in to_do else 0.0
    if needs.weights == "openvino" and not header.is_ir:
        digest = files.fingerprint
        made = digest is not None and exports.is_made(digest, job.precision, job.model.trust_remote_code)
        to_do += () if made else ("export",)
        written += 0.0 if made else header.parameters * exports.BYTES[exports.WEIGHT_FORMATS[job.precision.name]]
    return Estimate(
        weights_mb=round(header.parameters * _bytes(needs, header) / cache_files.MB, 1),
        kv_mb=_kv_mb(needs, header.config, longest, sequences),
        disk_mb=round(written / cache_files.MB, 1),
        to_do=to_do,
        vocabulary=vocabulary(header.config),
        longest=longest,
        sequences=sequences,
    )


def smaller_precisions(name: str) -> list[str]:
    """Return the precisions whose weights take less memory than those of `name`, largest first."""
    return [other for other in SMALLER if IN_MEMORY[other] < IN_MEMORY.get(name, 2.0)]


def read_header(folder: Path) -> Header:
    """Read the headers of the weight files in a directory.

    Raises:
        OSError, ModelError: a header cannot be read.
    """
    config = read_object(folder / "config.json")
    choice = choose([path.name for path in folder.iterdir()], False)
    files = [folder / name for name in choice.weights]
    size = sum(file.stat().st_size for file in files)
    if choice.kind == "openvino":
        return Header(size, 1.0, config, is_ir=True)
    if files and files[0].suffix == ".safetensors":
        tensors = [tensor for file in files for tensor in read_tensors(file)]
        number = sum(math.prod(tensor.shape) for tensor in tensors)
        bits = sum(math.prod(tensor.shape) * BITS.get(tensor.dtype, 16) for tensor in tensors)
        return Header(number, bits / 8 / max(number, 1), config)
    stored = 4.0 if str(config.get("dtype") or config.get("torch_dtype")) == "float32" else 2.0
    return Header(size / stored, stored, config)


def read_gguf(file: Path) -> Header:
    """Read the number of parameters and the architecture from a GGUF file."""
    from gguf import GGUFReader

    check_header(file)
    reader = GGUFReader(str(file))
    number = sum(int(tensor.n_elements) for tensor in reader.tensors)

    def value(suffix: str) -> Any:
        found = [field for name, field in reader.fields.items() if name.endswith(suffix)]
        return found[0].contents() if found else None

    config = {
        "num_hidden_layers": value(".block_count"),
        "hidden_size": value(".embedding_length"),
        "num_attention_heads": value(".attention.head_count"),
        "num_key_value_heads": value(".attention.head_count_kv"),
    }
    return Header(number, 4.0, {name: found for name, found in config.items() if found is not None})


def _bytes(needs: Needs, header: Header) -> float:
    """Return the bytes per parameter in memory; 1 for an IR, whose `parameters` are already bytes."""
    if header.is_ir:
        return 1.0
    return header.stored if needs.bytes_per_parameter is None else needs.bytes_per_parameter


def _kv_mb(needs: Needs, config: dict[str, Any], longest: int, sequences: int) -> float | None:
    if needs.kv_mb is not None:
        return needs.kv_mb
    elements = kv_elements(config)
    if elements is None:
        return None
    tokens = min(longest, context_length(config) or longest) * sequences
    return round(elements * needs.kv_bytes * tokens / cache_files.MB, 1)
