"""Download models from the Hugging Face Hub into the cache of huggingface_hub.

huggingface_hub reads HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE as usual. If the Hub
cannot be reached, a complete copy in the cache is used.
"""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hforch.config.models.hub import HubModel
from hforch.errors import ModelError, ModelUnavailable, first_line
from hforch.models.cache_files import UNWRITABLE
from hforch.models.checkpoint import Checkpoint, LocalFiles
from hforch.models.folder import choose, no_weights
from hforch.models.hub_progress import byte_counter
from hforch.models.local import from_folder, of_folder
from hforch.utils.paths import expanded
from hforch.utils.progress import Progress

ANSWER_S = 10.0  # timeout in s, after which the cached copy is used
WAYS_OUT = (
    "use a local copy (model=local model.path=DIR) or the default model (model=smollm2), which does not need the Hub."
)


def fetch(model: HubModel, progress: Progress) -> Checkpoint:
    """Return the checkpoint of a repository; download the files that are not cached.

    Raises:
        ModelError: the repository or revision does not exist, is not accessible or has no weights; or the Hub cannot be
            reached and the cache has no complete copy.
    """
    from huggingface_hub import constants

    _check_id(model)
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) disables access to the Hub"
        return _cached(model, progress, ModelUnavailable(_not_cached(model, reason, "Unset it to download the model,")))
    try:
        info = _ask(model)
    except ModelError as error:
        if isinstance(error, HubUnreachable):
            checkpoint = _cached(model, progress, error)
            progress.note(f"{error.reason}: using the cached copy of {model.id}, {checkpoint.source['commit'][:12]}")
            return checkpoint
        raise
    choice = choose([file.rfilename for file in info.siblings or []], model.trust_remote_code)
    if not choice.weights:
        names = [file.rfilename for file in info.siblings or []]
        raise ModelError(f"{model.id} on the Hub has no loadable weights. {no_weights(names)}")
    folder, download_s = _download(model, info, choice.names, progress)
    return _checkpoint(model, folder, progress, download_s)


def local_files(model: HubModel) -> LocalFiles:
    try:
        folder = _cached_folder(model)
    except Exception:
        folder = None
    if folder is None or not folder.is_dir():
        return LocalFiles(None, to_do=("download",))
    return of_folder(folder, model.trust_remote_code)


def examine(model: HubModel) -> None:
    _check_id(model)


class HubUnreachable(ModelUnavailable):
    """The Hub did not return the repository's file list; a cached copy may be used instead."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def _ask(model: HubModel) -> Any:
    from huggingface_hub import HfApi

    with _explained(model):
        return HfApi().model_info(model.id, revision=model.revision, files_metadata=True, timeout=ANSWER_S)


def _download(model: HubModel, info: Any, names: tuple[str, ...], progress: Progress) -> tuple[Path, float | None]:
    """Return the directory of the files, and the duration of the download in s, or None if all files were cached."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    sizes = {file.rfilename: file.size for file in info.siblings}
    missing = [name for name in names if not isinstance(try_to_load_from_cache(model.id, name, revision=info.sha), str)]
    known = all(sizes[name] is not None for name in missing)
    total = sum(sizes[name] for name in missing) if known else None
    start = time.monotonic()
    patterns = [glob.escape(name) for name in names]
    detail = f"{model.id} from the Hub" if missing else f"{model.id}: all files cached"
    with _explained(model), progress.stage("download", detail, total) as advance:
        folder = snapshot_download(
            model.id, revision=model.revision, allow_patterns=patterns, tqdm_class=byte_counter(advance)
        )
    return Path(folder), round(time.monotonic() - start, 3) if missing else None


def _cached(model: HubModel, progress: Progress, otherwise: ModelError) -> Checkpoint:
    """Return the cached copy, or raise `otherwise`."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _cached_folder(model)
    except LocalEntryNotFoundError:
        raise otherwise from otherwise.__cause__
    try:
        return _checkpoint(model, folder, progress, None)
    except ModelError as error:
        raise ModelUnavailable(f"{error}\nMissing files cannot be downloaded: {otherwise}") from error


def _cached_folder(model: HubModel) -> Path:
    """Return the directory of the cached copy, which may be incomplete.

    Raises:
        LocalEntryNotFoundError: the cache has no copy.
    """
    from huggingface_hub import snapshot_download

    # Without patterns, later versions of huggingface_hub require all files of the repository, also unneeded ones.
    return Path(snapshot_download(model.id, revision=model.revision, local_files_only=True, allow_patterns=[]))


def _checkpoint(model: HubModel, folder: Path, progress: Progress, download_s: float | None) -> Checkpoint:
    what = f"The cached copy of {model.id} ({folder})"
    source = {"source": "hub", "id": model.id, "revision": model.revision, "commit": folder.name}
    return from_folder(folder, model.trust_remote_code, what, source, progress, download_s)


@contextmanager
def _explained(model: HubModel) -> Iterator[None]:
    """Turn errors raised by huggingface_hub into ModelError, with the original error as its cause."""
    import httpx
    from huggingface_hub import constants, errors

    where = f"model.id={model.id}"
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"model.revision={model.revision}: branch, tag or commit not found in {model.id} on the Hub.",
            "model.revision",
        ) from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{where} is gated: accept the terms on its model page, and set HF_TOKEN to a token of the same account "
            f"(or run `hf auth login`).",
            "model.id",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{where}: model not found on the Hub, or private. Check the spelling (ORG/NAME); for a private model, set "
            "HF_TOKEN to a token with read access (or run `hf auth login`).",
            "model.id",
        ) from error
    except (errors.HfHubHTTPError, httpx.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError) as error:
        status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
        if status in (401, 403):
            raise ModelError(
                f"{where}: the Hub denied access (HTTP {status}). Set HF_TOKEN to a token with read access."
            ) from error
        reason = f"the Hub responded with HTTP {status}" if status else f"the Hub cannot be reached ({_short(error)})"
        raise HubUnreachable(
            _not_cached(model, reason, "Check the connection, HF_ENDPOINT and the proxy,"), reason
        ) from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ModelUnavailable(
            f"{where} cannot be downloaded: the Hub cache {constants.HF_HUB_CACHE} cannot be written "
            f"({error.strerror}). Free some space, or set HF_HOME to a writable directory with enough space."
        ) from error


def _not_cached(model: HubModel, reason: str, remedy: str) -> str:
    from huggingface_hub import constants

    at = f" at revision {model.revision}" if model.revision else ""
    return f"{model.id}{at} is not in the cache {constants.HF_HUB_CACHE}, and {reason}. {remedy} or {WAYS_OUT}"


def _check_id(model: HubModel) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if expanded(model.id).is_dir() and (model.id.count("/") != 1 or model.id.startswith((".", "~", "/"))):
        problem = f"model.id={model.id} is a local directory: use model=local model.path={model.id}."
        raise ModelError(problem, "model.id")
    try:
        validate_repo_id(model.id)
    except HFValidationError as error:
        raise ModelError(
            f"model.id={model.id!r} is not a valid Hub model ID: expected NAME or ORG/NAME, with letters, digits, "
            "'-', '_' and '.'. For a local directory, use model=local model.path=DIR.",
            "model.id",
        ) from error


def _short(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error, 200, with_type=True)
