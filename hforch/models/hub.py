"""A model of the Hugging Face hub, kept in the hub library's own cache.

HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE count as everywhere, for the library reads them.
A hub that cannot be reached is no failure when a complete copy is in the cache.
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

ANSWER_S = 10.0  # how long the hub may take to answer before the cached copy is used
WAYS_OUT = (
    "Use a copy that is on this machine (model=local model.path=DIR), "
    "or the default model, which needs no hub (model=smollm2)."
)


def fetch(model: HubModel, progress: Progress) -> Checkpoint:
    """The files of the repository that matter, downloaded if they are not in the cache.

    Raises:
        ModelError: no such repository or revision, no access to it, no weights in it, or the hub is out of reach and
            the cache has no complete copy.
    """
    from huggingface_hub import constants

    _check_id(model)
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids to ask the hub"
        return _cached(model, progress, ModelUnavailable(_not_cached(model, reason, "Unset it to download the model.")))
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
        raise ModelError(f"{model.id} on the hub holds no weights that can be loaded. {no_weights(names)}")
    folder, download_s = _download(model, info, choice.names, progress)
    return _checkpoint(model, folder, progress, download_s)


def local_files(model: HubModel) -> LocalFiles:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model.id, revision=model.revision, local_files_only=True))
    except Exception:
        folder = None
    if folder is None or not folder.is_dir():
        return LocalFiles(None, to_do=("download",))
    return of_folder(folder, model.trust_remote_code)


class HubUnreachable(ModelUnavailable):
    """The hub did not say what the repository holds, so that a cached copy may stand in."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def _ask(model: HubModel) -> Any:
    from huggingface_hub import HfApi

    with _explained(model):
        return HfApi().model_info(model.id, revision=model.revision, files_metadata=True, timeout=ANSWER_S)


def _download(model: HubModel, info: Any, names: tuple[str, ...], progress: Progress) -> tuple[Path, float | None]:
    """Where the files are, and how long the download took: None if all were there."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    sizes = {file.rfilename: file.size for file in info.siblings}
    missing = [name for name in names if not isinstance(try_to_load_from_cache(model.id, name, revision=info.sha), str)]
    known = all(sizes[name] is not None for name in missing)
    total = sum(sizes[name] for name in missing) if known else None
    start = time.monotonic()
    patterns = [glob.escape(name) for name in names]
    detail = f"{model.id} from the hub" if missing else f"{model.id}: all files are here"
    with _explained(model), progress.stage("download", detail, total) as advance:
        folder = snapshot_download(
            model.id, revision=model.revision, allow_patterns=patterns, tqdm_class=byte_counter(advance)
        )
    return Path(folder), round(time.monotonic() - start, 3) if missing else None


def _cached(model: HubModel, progress: Progress, otherwise: ModelError) -> Checkpoint:
    """The copy in the cache; `otherwise` is raised when there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model.id, revision=model.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise otherwise from otherwise.__cause__
    try:
        return _checkpoint(model, folder, progress, None)
    except ModelError as error:
        raise ModelUnavailable(f"{error}\nIt cannot be completed now: {otherwise}") from error


def _checkpoint(model: HubModel, folder: Path, progress: Progress, download_s: float | None) -> Checkpoint:
    what = f"The copy of {model.id} in the hub's cache ({folder})"
    source = {"source": "hub", "id": model.id, "revision": model.revision, "commit": folder.name}
    return from_folder(folder, model.trust_remote_code, what, source, progress, download_s)


@contextmanager
def _explained(model: HubModel) -> Iterator[None]:
    """Turn what the hub library raises into ModelError, the cause kept."""
    import httpx
    from huggingface_hub import constants, errors

    where = f"model.id={model.id}"
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"model.revision={model.revision}: {model.id} has no such branch, tag or commit on the hub.",
            "model.revision",
        ) from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{where} is gated: accept its terms on the hub's page of the model, and set HF_TOKEN to a token of that "
            f"account (or run `hf auth login`).",
            "model.id",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{where}: the hub has no such model, or it is private. Check the spelling (ORG/NAME); for a private "
            "model set HF_TOKEN to a token that may read it (or run `hf auth login`).",
            "model.id",
        ) from error
    except (errors.HfHubHTTPError, httpx.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError) as error:
        status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
        if status in (401, 403):
            raise ModelError(
                f"{where}: the hub refuses access ({status}). Set HF_TOKEN to a token that may read it."
            ) from error
        reason = f"the hub answered with HTTP {status}" if status else f"the hub cannot be reached ({_short(error)})"
        raise HubUnreachable(
            _not_cached(model, reason, "Check the connection, HF_ENDPOINT and the proxy."), reason
        ) from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ModelUnavailable(
            f"{where} cannot be downloaded: the hub's cache {constants.HF_HUB_CACHE} cannot be written "
            f"({error.strerror}). Make room there, or set HF_HOME to a folder with room that you may write."
        ) from error


def _not_cached(model: HubModel, reason: str, remedy: str) -> str:
    from huggingface_hub import constants

    at = f" at revision {model.revision}" if model.revision else ""
    return f"{model.id}{at} is not in the cache {constants.HF_HUB_CACHE}, and {reason}. {remedy} {WAYS_OUT}"


def _check_id(model: HubModel) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if expanded(model.id).is_dir() and (model.id.count("/") != 1 or model.id.startswith((".", "~", "/"))):
        problem = f"model.id={model.id} is a folder on this machine: use model=local model.path={model.id}."
        raise ModelError(problem, "model.id")
    try:
        validate_repo_id(model.id)
    except HFValidationError as error:
        raise ModelError(
            f"model.id={model.id!r} is not the id of a model on the hub: expected NAME or ORG/NAME, of letters, "
            "digits, '-', '_' and '.'. For a folder on this machine: model=local model.path=DIR.",
            "model.id",
        ) from error


def _short(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error, 200, with_type=True)
