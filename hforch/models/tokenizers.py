"""Load tokenizer files with clear errors, and convert the tokenizers of IRs for openvino-genai."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from hforch.errors import BackendError, HforchError, ModelError, PromptError, shown
from hforch.models import cache, subprocesses
from hforch.models.fingerprint import of_files
from hforch.models.folder import CONFIG, TOKENIZER, matching
from hforch.models.ir import read_graph
from hforch.utils.progress import Progress

NEEDED = ("openvino_tokenizer.xml", "openvino_detokenizer.xml", "tokenizer.json")
VERSIONS = ("openvino-tokenizers", "transformers")


def open_tokenizer(file: Path) -> Any:
    """Return the `tokenizers.Tokenizer` in a tokenizer.json.

    Raises:
        ModelError: the file is damaged.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except BaseException as error:
        raise_unless_failed(error)
        raise ModelError(f"{file} is damaged: {shown(str(error))}.") from error


@contextmanager
def loading_tokenizer(folder: Path) -> Iterator[None]:
    """Turn errors that transformers raises while loading a tokenizer into a ModelError that names the file."""
    try:
        yield
    except ImportError:
        raise
    except BaseException as error:
        raise_unless_failed(error)
        if (folder / "tokenizer.json").is_file():
            open_tokenizer(folder / "tokenizer.json")
        _blame_config(folder)
        said = shown(f"{type(error).__name__}: {error}")
        raise ModelError(f"The tokenizer in {folder} cannot be loaded: {said}") from error


def _blame_config(folder: Path) -> None:
    """Raise ModelError if transformers cannot use config.json, which it reads before the tokenizer."""
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(folder, local_files_only=True)
    except ValueError:  # the architecture is defined by custom code
        return
    except Exception as error:
        said = shown(f"{type(error).__name__}: {error}")
        raise ModelError(f"transformers cannot use {folder / 'config.json'}: {said}") from error


@contextmanager
def tokenizing() -> Iterator[None]:
    """Turn errors that a tokenizer raises while encoding text into a PromptError."""
    try:
        yield
    except BaseException as error:
        raise_unless_failed(error)
        said = shown(f"{type(error).__name__}: {error}")
        raise PromptError(f"the model's tokenizer fails on this text: {said}") from error


def check_ids(ids: Sequence[int], rows: int | None) -> None:
    """Raise PromptError if a token id is not less than `rows`, the number of embeddings."""
    if rows is not None and max(ids, default=0) >= rows:
        raise PromptError(
            f"the tokenizer returns token id {max(ids)} for this text, but the model has only {rows:,} tokens: "
            "tokenizer.json and the weights do not match"
        )


def raise_unless_failed(error: BaseException) -> None:
    """Re-raise hforch's own errors and KeyboardInterrupt; return for any other error.

    A panic in the library's Rust code counts as an error, although it is not an Exception.
    """
    if isinstance(error, HforchError):
        raise error
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def tokenizer_of(folder: Path, trust_remote_code: bool, progress: Progress) -> Path:
    """Return a directory with the NEEDED tokenizer files of an IR: the IR's own, or a cached conversion.

    Raises:
        ModelError: the tokenizer is damaged or cannot be converted.
        BackendError: a package that the conversion needs is not installed.
    """
    if all((folder / name).is_file() for name in NEEDED):
        for description in NEEDED[:2]:
            read_graph(folder / description)
        return folder
    names = matching(sorted(path.name for path in folder.iterdir() if path.is_file()), (*CONFIG, *TOKENIZER))
    try:
        versions = [metadata.version(name) for name in VERSIONS]
    except metadata.PackageNotFoundError as error:
        raise BackendError(
            f"{folder} has no converted tokenizer (openvino_tokenizer.xml), and converting one needs {error.name}, "
            "which is not installed: pip install 'hforch[openvino]'"
        ) from error
    said = {"files": of_files([folder / name for name in names]), "versions": versions, "trust": trust_remote_code}
    name = cache.Key("tokenizers", hashlib.sha256(repr(sorted(said.items())).encode()).hexdigest()[:16])
    fill = partial(_fill, folder, name, trust_remote_code, progress)
    return cache.obtain(name, fill, progress).path


def _fill(folder: Path, name: cache.Key, trust_remote_code: bool, progress: Progress, output: Path) -> dict[str, Any]:
    request = {"folder": str(folder), "output": str(output), "trust_remote_code": trust_remote_code}
    purpose = f"Converting the tokenizer of {folder}"
    env = {} if trust_remote_code else {"HF_HUB_OFFLINE": "1"}
    with progress.stage("export", f"the tokenizer of {folder.name} to OpenVINO (cached for later runs)"):
        subprocesses.run("hforch.models.tokenizer_process", request, cache.log_path(name), purpose, env)
    return {"what": f"tokenizer of {folder.name}", "source": {"source": "local", "path": str(folder)}}
