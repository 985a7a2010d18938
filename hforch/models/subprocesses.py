"""Run memory-intensive work in a subprocess, so that its memory is freed, its output is logged and a crash is an error.

The parent calls `run`; the subprocess's module ends with `if __name__ == "__main__": answer(work)`. Request and result
are JSON files, so output of libraries cannot be mistaken for a result.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from hforch.errors import BackendError, HforchError, ModelError, ModelUnavailable
from hforch.utils.log_tail import quoted_tail
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.redacted_output import redact_file

ERRORS: dict[str, type[HforchError]] = {error.__name__: error for error in (ModelError, ModelUnavailable, BackendError)}
FULL = 1 << 20  # bytes; with less free space, the disk counts as full


def run(module: str, request: dict[str, Any], log: Path, purpose: str, env: dict[str, str] | None = None) -> Any:
    """Run `python -m MODULE` on a request, and return its result.

    Args:
        module: the module to run; as the main module, it calls `answer`.
        request: JSON-serializable arguments.
        log: the file for the output of the subprocess.
        purpose: the start of error messages, such as `Converting FILE`.
        env: environment variables to add to those of this process.

    Raises:
        ModelError, BackendError: the subprocess raised it, or died; in this case, the message names the log.
        OSError: the disk is full.
    """
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"}
    with tempfile.TemporaryDirectory(prefix="hforch-") as scratch:
        asked, answered = Path(scratch, "request.json"), Path(scratch, "result.json")
        asked.write_text(json.dumps({**request, "parent": os.getpid()}), encoding="utf-8")
        with log.open("wb") as output:
            code = start(module, [asked, answered], output, environment)
        redact_file(log)
        answer = _read(answered)
    if answer is None:
        end = quoted_tail(log)
        told = f"{_end(code)}{f'; last log lines: {end}' if end else ''}"
        raise ModelUnavailable(f"{purpose} failed: the process {told}. Its full log is in {log}.")
    if answer.get("kind") == "OSError":
        raise OSError(errno.ENOSPC, f"{purpose} failed: {answer['error']}")  # cache_files.clear_errors adds a remedy
    if "error" in answer:
        raise _raised(answer) or ModelUnavailable(f"{purpose} failed: {answer['error']} (full log: {log})")
    return answer["result"]


def start(module: str, files: Sequence[Path], output: IO[bytes], environment: Mapping[str, str]) -> int:
    """Run `python -m MODULE FILES` and return its exit code, or the negative number of the signal that killed it."""
    command = [sys.executable, "-P", "-m", module, *map(str, files)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
    ).returncode


def _raised(answer: dict[str, Any]) -> HforchError | None:
    """Return the error that the subprocess raised if its class is in ERRORS, else None."""
    kind = ERRORS.get(answer["kind"])
    if kind is None:
        return None
    return kind(answer["error"], answer["path"]) if issubclass(kind, ModelError) else kind(answer["error"])


def answer(work: Callable[[dict[str, Any]], Any]) -> None:
    """Read the request of `run`, call `work`, and write its result or error. Called in the subprocess."""
    asked, answered = Path(sys.argv[1]), Path(sys.argv[2])
    request = json.loads(asked.read_text(encoding="utf-8"))
    exit_with_parent(request.pop("parent"))
    try:
        result: dict[str, Any] = {"result": work(request)}
    except HforchError as error:
        result = {"error": str(error), "kind": type(error).__name__, "path": getattr(error, "path", None)}
        _log(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise  # other BaseExceptions are failures, such as a panic in a Rust library
        result = {"error": f"{type(error).__name__}: {_first_lines(str(error))}", "kind": None}
        if _disk_is_full(Path(request.get("output", "."))):
            result = {"error": "the disk is full", "kind": "OSError"}
        _log(error)
    temporary = answered.with_suffix(".part")
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(answered)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (usually because the machine ran out of memory)"
    if code < 0:
        return f"was terminated by {signal.Signals(-code).name}"
    return f"exited with code {code} without a result"


def _log(error: BaseException) -> None:
    with suppress(OSError):  # the log may be on the full disk
        traceback.print_exception(error)
        sys.stderr.flush()


def _disk_is_full(folder: Path) -> bool:
    """Return whether the disk is full, which errors of libraries do not show reliably."""
    try:
        return shutil.disk_usage(folder).free < FULL
    except OSError:
        return False


def _first_lines(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."
