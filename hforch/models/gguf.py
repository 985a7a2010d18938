"""Convert GGUF files to torch checkpoints with float32 weights in a subprocess, and cache the results."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from hforch.config.models.gguf import GGUFModel
from hforch.errors import ModelError
from hforch.models import cache, fingerprint, subprocesses
from hforch.models.checkpoint import Checkpoint, LocalFiles
from hforch.models.gguf_header import check_header
from hforch.utils.paths import expanded
from hforch.utils.progress import Progress

VERSION = 1  # conversion version; bump it to reconvert all files


def fetch(model: GGUFModel, progress: Progress) -> Checkpoint:
    """Return the converted checkpoint of a GGUF file; convert the file if it is not cached.

    Raises:
        ModelError: the path is not a GGUF file, or see `converted`.
    """
    path = _file(model)
    digest = fingerprint.remembered_file(path)
    if digest is None:
        check_header(path)  # takes milliseconds; hashing the file can take minutes
        with progress.stage("hash", str(path)):
            digest = fingerprint.of_file(path)
    source = {"source": "gguf", "path": str(path), "sha256": digest}
    return converted(path, digest, source, progress, None)


def examine(model: GGUFModel) -> None:
    path = _file(model)
    if fingerprint.remembered_file(path) is None:
        check_header(path)


def _file(model: GGUFModel) -> Path:
    path = expanded(model.path).absolute()
    if path.is_dir():
        raise ModelError(
            f"model.path={model.path} is a directory; model=gguf requires a file. For a directory, use model=local.",
            "model.path",
        )
    if not path.is_file():
        raise ModelError(f"model.path: file not found: {model.path}", "model.path")
    _check_start(path)
    return path


def local_files(model: GGUFModel) -> LocalFiles:
    file = expanded(model.path).absolute()
    digest = fingerprint.remembered_file(file) if file.is_file() else None
    return of_conversion(digest, LocalFiles(None, to_do=("convert",), gguf=file))


def of_conversion(digest: str | None, otherwise: LocalFiles) -> LocalFiles:
    """Return the cached conversion of the file with this SHA-256, or else `otherwise`."""
    ready = look_up(digest, {}) if digest else None
    return LocalFiles(ready.path, ready.fingerprint) if ready else otherwise


def look_up(digest: str, source: dict[str, Any]) -> Checkpoint | None:
    """Return the cached conversion of the file with this SHA-256, or None."""
    found = cache.look_up(_name(digest))
    return _checkpoint(found, source, None) if found else None


def converted(
    file: Path, digest: str, source: dict[str, Any], progress: Progress, download_s: float | None
) -> Checkpoint:
    """Return the torch checkpoint of a GGUF file; convert the file if it is not cached.

    Args:
        file: the GGUF file.
        digest: the file's SHA-256.
        source: the origin of the file, for the record.
        progress: shows the conversion.
        download_s: duration of the download in s, or None.

    Raises:
        ModelError: the file is not a GGUF file, is truncated, or has an architecture or a tokenizer that cannot be
            converted; or the converted model fails the likelihood check.
    """
    name = _name(digest)
    filled = cache.obtain(name, partial(_fill, file, digest, name, progress), progress)
    return _checkpoint(filled, source, download_s)


def _fill(file: Path, digest: str, name: cache.Key, progress: Progress, folder: Path) -> dict[str, Any]:
    start = time.monotonic()
    with progress.stage("convert", f"{file.name} to a float32 checkpoint (cached for later runs)"):
        said = subprocesses.run(
            "hforch.models.gguf_process",
            {"file": str(file), "output": str(folder)},
            cache.log_path(name),
            f"Converting {file}",
            env={"HF_HUB_OFFLINE": "1"},
        )
    files = [path for path in folder.iterdir() if path.is_file()]
    return {
        "what": f"{file.name} in float32",
        "sha256": digest,
        "conversion": VERSION,
        **said,
        "convert_s": round(time.monotonic() - start, 3),
        "fingerprint": fingerprint.of_new(files),
    }


def _checkpoint(filled: cache.Filled, source: dict[str, Any], download_s: float | None) -> Checkpoint:
    record = filled.record
    return Checkpoint(
        path=filled.path,
        kind="torch",
        fingerprint=record["fingerprint"],
        source={**source, **{key: record[key] for key in ("architecture", "quantization", "weights", "likelihood")}},
        disk_mb=record["disk_mb"],
        download_s=download_s,
        convert_s=record["convert_s"] if filled.made else None,
    )


@lru_cache(maxsize=64)
def _name(digest: str) -> cache.Key:
    key = f"{digest} {VERSION} {metadata.version('transformers')}"
    return cache.Key("checkpoints", f"gguf-{hashlib.sha256(key.encode()).hexdigest()[:16]}")


def _ascii(data: bytes) -> str:
    """Return bytes as a quoted string, with escapes for those that are not printable ASCII."""
    return repr(data)[1:]


def _check_start(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(4)
    if start != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file: it starts with {_ascii(start)}, not 'GGUF'.", "model.path")
