"""Export torch checkpoints to OpenVINO in a subprocess, and cache the results."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hforch.config.schema import Precision
from hforch.config.untrusted import TRUST
from hforch.errors import BackendError, ModelError
from hforch.machine.environment import installed
from hforch.models import cache, cache_files, subprocesses
from hforch.models.checkpoint import Checkpoint
from hforch.models.ir_precision import describe
from hforch.utils.progress import Progress

__all__ = ["Export", "describe", "export"]

WEIGHT_FORMATS = {"auto": "fp16", "bf16": "fp16", "fp16": "fp16", "fp32": "fp32", "int8": "int8", "int4": "int4"}
VERSIONS = ("optimum-intel", "openvino", "nncf", "transformers", "torch")
FORM = 2  # version of an entry; since 2, exports store token ids of the checkpoint's tokenizer
BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0, "int4": 0.7}  # approximate bytes per parameter


@dataclass(frozen=True)
class Export:
    """An OpenVINO IR in the cache.

    Attributes:
        path: the directory of the IR, with configuration and tokenizer.
        key: digest of the checkpoint's contents, the options, and the versions of the exporting packages.
        export_s: duration of the export in s; None if the IR was cached.
        disk_mb: size of the weight file, in MB of 10^6 bytes.
        weight_format: fp32, fp16, int8 or int4, as read from the IR.
        bits: table of bit widths, as read from the IR; see `ir_precision.describe`.
        token_ids: token ids that the checkpoint's tokenizer gives for `transformers_tokenizer.PROBES`, the probe texts,
            to check other copies of the tokenizer.
    """

    path: Path
    key: str
    export_s: float | None
    disk_mb: float
    weight_format: str
    bits: dict[str, Any]
    token_ids: list[list[int]]


def export(checkpoint: Checkpoint, precision: Precision, trust_remote_code: bool, progress: Progress) -> Export:
    """Return the IR of a torch checkpoint at a precision; export it if it is not cached.

    Raises:
        BackendError: a package that the export needs is not installed.
        ModelError: the checkpoint is already an IR, the exporter does not support its architecture, the group size
            does not divide a layer's width, the disk is full, or the subprocess died.
    """
    if checkpoint.kind == "openvino":
        raise ModelError(f"{checkpoint.path} is already an OpenVINO IR; nothing to export.")
    options = _options(precision, trust_remote_code)
    determined, key, name = _identity(checkpoint.fingerprint, options)
    fill = partial(_fill, checkpoint, options, {"key": key, **determined}, name, progress)
    filled = cache.obtain(name, fill, progress)
    record = filled.record
    result = Export(
        path=filled.path,
        key=key,
        export_s=record["export_s"] if filled.made else None,
        disk_mb=record["disk_mb"],
        weight_format=record["weight_format"],
        bits=record["bits"],
        token_ids=record["token_ids"],
    )
    if result.weight_format != options["weight_format"]:
        progress.note(f"requested {options['weight_format']} weights, but the layers allow only {result.weight_format}")
    return result


def is_made(fingerprint: str, precision: Precision, trust_remote_code: bool) -> bool:
    """Return whether the IR of a checkpoint is in the cache."""
    try:
        _, _, name = _identity(fingerprint, _options(precision, trust_remote_code))
    except BackendError:
        return False
    return cache.look_up(name) is not None


def would_be_reused(name: str, record: Mapping[str, Any]) -> bool:
    """Return whether a run with the installed packages would reuse a cached export.

    Args:
        name: the name of its cache entry.
        record: its entry.json.
    """
    try:
        options = {key: record[key] for key in ("weight_format", "group_size", "group_size_fallback", TRUST)}
        _, _, key = _identity(record["checkpoint"], options)
    except (BackendError, KeyError):
        return False
    return key.name == name


def _identity(fingerprint: str, options: dict[str, Any]) -> tuple[dict[str, Any], str, cache.Key]:
    """Return the inputs that determine an IR, their digest, and the IR's cache key."""
    determined = {"checkpoint": fingerprint, **options, "versions": _versions(), "form": FORM}
    key = hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()
    return determined, key, cache.Key("exports", f"{options['weight_format']}-{key[:16]}")


def _fill(
    checkpoint: Checkpoint,
    options: dict[str, Any],
    said: dict[str, Any],
    name: cache.Key,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    weights = checkpoint.disk_mb * cache_files.MB
    halved = 2 if options["weight_format"] in ("fp32", "fp16") else 1
    cache_files.require_space(folder, int(weights * max(1.0, 2.0 / halved)), f"export {checkpoint.path}")
    start = time.monotonic()
    request = {"checkpoint": str(checkpoint.path), "output": str(folder), **options}
    purpose = f"Exporting {checkpoint.path} to OpenVINO with {options['weight_format']} weights"
    # All files are local, but custom code of a repository may refer to another repository.
    env = {} if options["trust_remote_code"] else {"HF_HUB_OFFLINE": "1"}
    with progress.stage(
        "export", f"{checkpoint.label} to OpenVINO, {options['weight_format']} weights (cached for later runs)"
    ):
        token_ids = subprocesses.run("hforch.models.export_process", request, cache.log_path(name), purpose, env)
    return {
        **said,
        "what": f"{checkpoint.label} in {options['weight_format']}",
        "source": checkpoint.source,
        "export_s": round(time.monotonic() - start, 3),
        "disk_mb": round((folder / "openvino_model.bin").stat().st_size / cache_files.MB, 3),
        "token_ids": token_ids,
        **describe(folder),
    }


def _options(precision: Precision, trust_remote_code: bool) -> dict[str, Any]:
    weight_format = WEIGHT_FORMATS[precision.name]
    grouped = weight_format == "int4"
    return {
        "weight_format": weight_format,
        "group_size": precision.group_size if grouped else None,
        "group_size_fallback": precision.group_size_fallback if grouped else None,
        "trust_remote_code": trust_remote_code,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        if (version := installed(name)) is None:
            raise BackendError(
                f"An OpenVINO export needs {name}, which is not installed: pip install 'hforch[openvino]'"
            )
        found[name] = version
    if (version := installed("openvino-tokenizers")) is not None:
        found["openvino-tokenizers"] = version
    return found
