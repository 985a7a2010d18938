"""The tokenizer files that openvino-genai needs beside an IR, made once where they are missing."""

from __future__ import annotations

import hashlib
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from hforch.errors import BackendError
from hforch.models import cache, process
from hforch.models.fingerprint import of_files
from hforch.models.folder import CONFIG, TOKENIZER, matching
from hforch.progress import Progress

NEEDED = ("openvino_tokenizer.xml", "openvino_detokenizer.xml", "tokenizer.json")
VERSIONS = ("openvino-tokenizers", "transformers")


def tokenizer_of(folder: Path, trust_remote_code: bool, progress: Progress) -> Path:
    """The folder that holds the tokenizer of an IR in the forms that openvino-genai and hforch read: the IR's own, or
    one in the cache where it lacks any of NEEDED.

    Raises:
        ModelError: the tokenizer cannot be converted.
        BackendError: what converts it is not installed.
    """
    if all((folder / name).is_file() for name in NEEDED):
        return folder
    names = matching(sorted(path.name for path in folder.iterdir() if path.is_file()), (*CONFIG, *TOKENIZER))
    try:
        versions = [metadata.version(name) for name in VERSIONS]
    except metadata.PackageNotFoundError as error:
        raise BackendError(
            f"{folder} has no converted tokenizer (openvino_tokenizer.xml), and making one needs {error.name}, which"
            " is not installed: pip install 'hforch[openvino]'"
        ) from error
    said = {"files": of_files([folder / name for name in names]), "versions": versions, "trust": trust_remote_code}
    name = cache.Key("tokenizers", hashlib.sha256(repr(sorted(said.items())).encode()).hexdigest()[:16])
    fill = partial(_fill, folder, name, trust_remote_code, progress)
    return cache.obtain(name, fill, progress).path


def _fill(folder: Path, name: cache.Key, trust_remote_code: bool, progress: Progress, output: Path) -> dict[str, Any]:
    request = {"folder": str(folder), "output": str(output), "trust_remote_code": trust_remote_code}
    purpose = f"Converting the tokenizer of {folder}"
    env = {} if trust_remote_code else {"HF_HUB_OFFLINE": "1"}
    with progress.stage("export", f"the tokenizer of {folder.name} to OpenVINO, once"):
        process.run("hforch.models.converting_tokenizer", request, cache.log_path(name), purpose, env)
    return {"what": f"tokenizer of {folder.name}", "source": {"source": "local", "path": str(folder)}}
