"""Use a local directory as a model: a torch checkpoint or an OpenVINO IR, detected from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.config.models.local import LocalModel
from hforch.errors import HforchError, ModelError
from hforch.models import fingerprint
from hforch.models.cache_files import MB
from hforch.models.checkpoint import Checkpoint, Found, LocalFiles
from hforch.models.folder import survey
from hforch.utils.paths import expanded
from hforch.utils.progress import Progress


def fetch(model: LocalModel, progress: Progress) -> Checkpoint:
    """Return the checkpoint in a directory, without copying it.

    Raises:
        ModelError: the directory does not exist, is a file, or is incomplete; the message names the missing file.
    """
    path = _directory(model)
    source = {"source": "local", "path": str(path)}
    return from_folder(path, model.trust_remote_code, _named(path), source, progress, None)


def examine(model: LocalModel) -> Found:
    path = _directory(model)
    return Found(path, survey(path, model.trust_remote_code, _named(path)).kind)


def _named(path: Path) -> str:
    return f"The directory {path}"


def _directory(model: LocalModel) -> Path:
    path = expanded(model.path).absolute()
    if path.is_file():
        hint = (
            "For a GGUF file, use model=gguf." if path.suffix == ".gguf" else "Set model.path to the file's directory."
        )
        raise ModelError(f"model.path={model.path} is a file; model=local requires a directory. {hint}", "model.path")
    if not path.is_dir():
        raise ModelError(f"model.path: directory not found: {model.path}", "model.path")
    return path


def local_files(model: LocalModel) -> LocalFiles:
    return of_folder(expanded(model.path).absolute(), model.trust_remote_code)


def of_folder(folder: Path, trust_remote_code: bool) -> LocalFiles:
    """Return the LocalFiles of a directory whose files need no conversion, with the fingerprint if it is cached."""
    if not folder.is_dir():
        return LocalFiles(None)
    try:
        return LocalFiles(folder, fingerprint.remembered(survey(folder, trust_remote_code, str(folder)).files))
    except (HforchError, OSError):
        return LocalFiles(folder)


def from_folder(
    path: Path,
    trust_remote_code: bool,
    what: str,
    source: dict[str, Any],
    progress: Progress,
    download_s: float | None,
) -> Checkpoint:
    """Return the checkpoint of a directory that needs no conversion; see `survey` for the errors it raises."""
    contents = survey(path, trust_remote_code, what)
    digest = fingerprint.remembered(contents.files)
    if digest is None:
        with progress.stage("hash", what):
            digest = fingerprint.of_files(contents.files)
    disk_mb = round(sum(file.stat().st_size for file in contents.weights) / MB, 3)
    return Checkpoint(path, contents.kind, digest, source, disk_mb, download_s, None)
