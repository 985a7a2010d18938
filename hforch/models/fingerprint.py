"""Digests of file contents, cached by path, size, modification time and inode so that each file is read once."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from hforch.utils.cache_home import cache_home


def of_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the files' names and contents, independent of their directory and order."""
    return _combined({file.name: of_file(file) for file in files})


def remembered(files: Iterable[Path]) -> str | None:
    """Return the result of `of_files` from cached digests, or None if a file is new or has changed."""
    digests = {file.name: remembered_file(file) for file in files}
    known = {name: digest for name, digest in digests.items() if digest is not None}
    return _combined(known) if len(known) == len(digests) else None


def remembered_file(file: Path) -> str | None:
    """Return the cached SHA-256 of a file, or None if the file is new or has changed."""
    return _recall(*_memo(file.resolve()))


def of_new(files: Iterable[Path]) -> str:
    """Return the digest that `of_files` returns, without caching digests; for files that will be moved."""
    return _combined({file.name: of_content(file) for file in files})


def of_file(file: Path) -> str:
    """Return the SHA-256 of a file, from the cache if the file has not changed."""
    return remembered_file(file) or read_again(file)


def read_again(file: Path) -> str:
    """Read a file, cache its SHA-256, and return it."""
    digest = of_content(file)
    remember(file, digest)
    return digest


def of_content(file: Path) -> str:
    """Read a file and return its SHA-256, without using the cache."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remember(file: Path, digest: str) -> None:
    """Cache a file's digest, valid until its size, modification time or inode changes."""
    memo, state = _memo(file.resolve())
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        temporary = memo.with_name(f".{memo.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_text(json.dumps({"state": state, "sha256": digest}), encoding="utf-8")
            temporary.replace(memo)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError:
        return  # without a writable cache, the file is read again


def _memo(resolved: Path) -> tuple[Path, list[int]]:
    """Return the cache file for a file's digest, and the file's current size, modification time and inode."""
    stat = resolved.stat()
    memo = cache_home() / "digests" / hashlib.sha256(str(resolved).encode()).hexdigest()[:32]
    return memo, [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _combined(digests: dict[str, str]) -> str:
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _recall(memo: Path, state: list[int]) -> str | None:
    try:
        kept = json.loads(memo.read_text(encoding="utf-8"))
        return str(kept["sha256"]) if kept["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
