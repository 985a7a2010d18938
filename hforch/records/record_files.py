"""What a run leaves behind: record.json, one for the job, and samples.jsonl, one line a sample.

record.json is written whole or not at all; samples.jsonl grows line by line, and `sample_lines.py` judges its lines.
"""

from __future__ import annotations

import io
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from hforch.errors import ConfigError, HforchError, Mistake
from hforch.records.record_schema import flaws
from hforch.records.sample_lines import SAMPLES, Samples
from hforch.utils import files
from hforch.utils.datafiles import parse_json, read_json
from hforch.utils.paths import is_special, open_file
from hforch.utils.redaction import may_hold_known, redacted_override, redacted_tree, without_known

SCHEMA_VERSION = 1
RECORD = "record.json"
SCORES = "scores.jsonl"  # by answer of the baseline, how far a job is from it
DISTRIBUTIONS = "distributions.bin"  # of a baseline, over the next token
OWNER = ".hforch.owner"  # who writes in a directory, on file systems without locks
LONGEST_OWNER = 4096  # bytes of it
PATIENCE_S = 10.0
_locked: dict[Path, int] = {}  # by this process, each with the thread

Status = Literal["ok", "failed", "interrupted", "partial"]
"""ok: every sample was answered. failed: some was not, or none could be. interrupted: by Ctrl-C.
partial: the run has not ended; it goes on now, or it was killed."""


class RecordWriter:
    """Writes one job's record into its directory as the run goes; no other process can meanwhile.

    Args:
        anew: forget the samples that are there.
        fresh: there must be none.
        is_locked: by the process that has started this one for it.

    Raises:
        HforchError: another process writes there, or has written samples although there were to be none.
    """

    def __init__(self, directory: Path, anew: bool = False, fresh: bool = False, is_locked: bool = False) -> None:
        self.directory = directory
        self._stack = ExitStack()
        try:
            if not is_locked:
                self._stack.enter_context(locked(directory))
            if fresh and has_samples(directory):
                hint = "give another directory; nothing of it was touched"
                raise HforchError(f"another run has written its answers in {directory} meanwhile\n    {hint}")
            if is_special(directory / SAMPLES):
                raise HforchError(f"{directory / SAMPLES} cannot be written: it is not a regular file")
            self._samples = self._open("wb" if anew else "ab")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()
        self._stack.close()

    def _open(self, mode: Literal["wb", "ab"]) -> io.FileIO:
        return (self.directory / SAMPLES).open(mode, buffering=0)

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace record.json, whole or not at all; what looks like a credential is not written."""
        plan = {"plan": record["plan"]} if "plan" in record else {}  # ids, and many of them
        redacted = redacted_tree({name: value for name, value in record.items() if name != "plan"})
        write_whole(self.directory / RECORD, {name: (redacted | plan)[name] for name in record})

    def keep(
        self, samples: Samples, wanted: Callable[[Mapping[str, Any]], bool], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Drop the samples that are not wanted, and lines that are none; return so much of the others as is named."""
        self._samples.close()
        kept = []
        with files.replacing(samples.path, binary=True) as file:
            for line, sample in samples.lines():
                if wanted(sample):
                    file.write(line)
                    kept.append({name: sample.get(name) for name in names})
        self._samples = self._open("ab")
        return kept

    def add(self, sample: Mapping[str, Any]) -> None:
        """Append one sample, and hand it to the system at once.

        Raises:
            OSError: it cannot be written; nothing of it stays.
        """
        line = (to_json(sample) + "\n").encode()
        end = self._samples.tell()
        try:
            while line:
                line = line[self._samples.write(line) :]
        except OSError as error:
            with suppress(OSError):
                self._samples.truncate(end)
            error.filename = str(self.directory / SAMPLES)
            raise


def write_whole(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file, whole or not at all."""
    files.write_whole(path, to_json(value, indent=2) + "\n")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let no other process or thread run in a directory meanwhile; this one may lock it again within.

    Raises:
        HforchError: one does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    own = directory.resolve()
    if is_locked(directory):
        yield
        return
    lock = os.open(directory, os.O_RDONLY)
    try:
        try:
            _insist(partial(_lock, lock), directory)
            owned = None
        except OSError:  # a file system without locks
            owned = directory / OWNER
            _insist(partial(_own, owned), directory)
        _locked[own] = threading.get_ident()
        try:
            yield
        finally:
            del _locked[own]
            if owned:
                owned.unlink(missing_ok=True)
    finally:
        os.close(lock)


def is_locked(directory: Path) -> bool:
    """Whether this thread has locked a directory."""
    return _locked.get(directory.resolve()) == threading.get_ident()


def has_samples(directory: Path) -> bool:
    with suppress(OSError):
        return (directory / SAMPLES).stat().st_size > 0
    return False


def _insist(take: Callable[[], None], directory: Path) -> None:
    """Take a lock; who was killed may need a moment to let go of it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return take()
        except (BlockingIOError, FileExistsError) as error:
            if time.monotonic() > until:
                who = f" ({error})" if isinstance(error, FileExistsError) else ""
                hint = "wait until it has ended, or give another directory"
                raise HforchError(f"another run is writing in {directory}{who}\n    {hint}") from None
            time.sleep(0.1)


def _lock(descriptor: int) -> None:
    """Lock a directory that is open. A lock of the directory itself leaves no file in it, as a FileLock would.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file system has no locks.
    """
    from filelock import lock_descriptor

    if not lock_descriptor(descriptor, blocking=False):
        raise BlockingIOError


def _own(file: Path) -> None:
    """Create a file that says who writes in its directory, unless one says so already whose process may still be there.

    Raises:
        FileExistsError: one does; it says who.
    """
    while True:
        try:
            with file.open("x", encoding="utf-8") as created:
                own = {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}
                created.write(json.dumps(own))
            return
        except FileExistsError:
            with suppress(FileNotFoundError):
                with open_file(file) as opened:
                    text = opened.read(LONGEST_OWNER).decode("utf-8", "replace")
                if not _is_gone(text):
                    raise FileExistsError(f"{file} says: {text}") from None
                stale = file.with_name(f"{file.name}.{os.getpid()}.{time.monotonic_ns()}")
                file.rename(stale)  # of several that find it, one moves it away
                stale.unlink()


def _is_gone(text: str) -> bool:
    """Whether a process is known to have ended: it was on this machine, and is not there, or is another one now."""
    try:
        who = parse_json(text)
        here = who["host"] == socket.gethostname()
        return here and _started(int(who["pid"])) != who["started"]
    except (ValueError, KeyError, TypeError, OverflowError):
        return False


def _started(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; None if there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def begin_interrupted(directory: Path, **asked: Any) -> None:
    """Write the record of a job that was interrupted before it wrote one itself."""
    if not (directory / RECORD).exists():
        told = {"type": "KeyboardInterrupt", "message": "interrupted before it began"}
        if "overrides" in asked:
            asked["overrides"] = [redacted_override(one) for one in asked["overrides"]]
        with RecordWriter(directory) as writer:
            writer.write(
                {"schema_version": SCHEMA_VERSION, **asked, "status": "interrupted", "exit_code": 130, "error": told}
            )


def read_record(directory: Path) -> dict[str, Any]:
    """The record of a job's directory.

    Raises:
        OSError: there is none.
        ValueError: it is broken.
    """
    found = read_json(directory / RECORD)
    if not isinstance(found, dict):
        raise ValueError(f"{directory / RECORD} holds no mapping")
    if wrong := flaws(found):
        raise ValueError(f"{directory / RECORD} is not as hforch writes it: {wrong[0]}")
    return found


def known_record(directory: Path) -> dict[str, Any]:
    """The record of a job's directory, which may come from elsewhere.

    Raises:
        ConfigError: it cannot be read, is of a newer version of hforch, or not as hforch writes it.
    """
    path = directory / RECORD
    record = read_versioned(path, {"status": str})
    if found := flaws(record):
        problem = f"{path} is not as hforch writes it: {'; '.join(found[:3])}"
        raise ConfigError([Mistake("", problem, None, "something else has changed it")])
    return record


def read_versioned(path: Path, needs: Mapping[str, type] | None = None) -> dict[str, Any]:
    """A record.json or sweep.json that may come from elsewhere.

    Args:
        needs: keys without which it is of no use, and of which type they have to be.

    Raises:
        ConfigError: it is broken, or of a newer version of hforch.
    """
    hint = "it is written whole, so something else has changed it"
    try:
        found = read_json(path)
    except OSError as error:
        problem = f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError([Mistake("", problem)]) from error
    except ValueError as error:
        raise ConfigError([Mistake("", f"{path} cannot be read: {error}", None, hint)]) from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if type(version) is not int or version < 1:
        raise ConfigError([Mistake("", f"{path} is no record of hforch: it has no schema_version")])
    if version > SCHEMA_VERSION:
        problem = f"{path} has schema version {version}, and this hforch reads up to {SCHEMA_VERSION}"
        raise ConfigError([Mistake("", problem, None, "use a newer hforch")])
    for name, kind in (needs or {}).items():
        if not isinstance(found.get(name), kind):
            raise ConfigError([Mistake("", f"{path} lacks {name}, or has it broken", None, hint)])
    return dict(found)


def read_samples(directory: Path) -> Iterator[dict[str, Any]]:
    """The samples of a job's directory, whichever it planned; lines that are damaged are left out."""
    yield from Samples(directory, {})


def to_json(value: Any, indent: int | None = None, ascii_only: bool = False) -> str:
    """JSON text without known credentials, and with null for numbers that JSON does not have (NaN)."""
    try:
        text = _dumps(value, indent, ascii_only)
    except ValueError:
        text = _dumps(_each(value, _finite), indent, ascii_only)
    if may_hold_known(text):
        text = _dumps(redacted_tree(json.loads(text), without_known), indent, ascii_only)
    # A lone surrogate, which a model can produce, has no UTF-8 form.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dumps(value: Any, indent: int | None, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str, allow_nan=False)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each(item, change) for item in value]
    return change(value)


def _finite(leaf: Any) -> Any:
    return None if isinstance(leaf, float) and not math.isfinite(leaf) else leaf
