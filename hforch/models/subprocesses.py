"""Heavy work in a process of its own: its memory is freed, its chatter goes to a log, its death is only a failure.

The parent calls `run`; a module made for it ends with `if __name__ == "__main__": answer(work)`. Request and result
are JSON files, so nothing that a library prints can be mistaken for an answer.
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
FULL = 1 << 20  # bytes: on a disk with less room than this, a failure to write is a full disk


def run(module: str, request: dict[str, Any], log: Path, purpose: str, env: dict[str, str] | None = None) -> Any:
    """Let `python -m module` work on a request, in this process's environment with `env` on top.

    Args:
        module: ends with a call of `answer`.
        request: what it is asked, as JSON.
        log: where all it prints goes.
        purpose: what it is for; the beginning of a message, such as `Converting FILE`.

    Raises:
        ModelError, BackendError: what it raised; or it died, or was killed: the message names the log.
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
        told = f"{_end(code)}{f', and its log ends with: {end}' if end else ''}"
        raise ModelUnavailable(f"{purpose} failed: the process {told}. What it said is in {log}.")
    if answer.get("kind") == "OSError":
        raise OSError(errno.ENOSPC, f"{purpose} failed: {answer['error']}")  # the cache knows what to say of it
    if "error" in answer:
        raise _raised(answer) or ModelUnavailable(f"{purpose} failed: {answer['error']} (the whole story is in {log})")
    return answer["result"]


def start(module: str, files: Sequence[Path], output: IO[bytes], environment: Mapping[str, str]) -> int:
    """Run `python -m MODULE FILES`, wait for it, and return its exit code, negative for the signal that ended it."""
    command = [sys.executable, "-P", "-m", module, *map(str, files)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
    ).returncode


def _raised(answer: dict[str, Any]) -> HforchError | None:
    """The error as it was raised over there, if it is one of ours."""
    kind = ERRORS.get(answer["kind"])
    if kind is None:
        return None
    return kind(answer["error"], answer["path"]) if issubclass(kind, ModelError) else kind(answer["error"])


def answer(work: Callable[[dict[str, Any]], Any]) -> None:
    """The other side of `run`: read the request, do the work, write the result or the error."""
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
            raise  # all else is a failure; a panic in a library of Rust is no Exception
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
        return "was killed (often: the machine ran out of memory)"
    if code < 0:
        return f"died of {signal.Signals(-code).name}"
    return f"ended with code {code} and no answer"


def _log(error: BaseException) -> None:
    with suppress(OSError):  # the log may lie on the disk that is full
        traceback.print_exception(error)
        sys.stderr.flush()


def _disk_is_full(folder: Path) -> bool:
    """Libraries raise errors of their own when they cannot write, in many words; so the disk itself is asked."""
    try:
        return shutil.disk_usage(folder).free < FULL
    except OSError:
        return False


def _first_lines(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."
