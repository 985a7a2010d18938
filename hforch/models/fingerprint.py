"""Digests of file contents. A file is read once: its digest is kept by path, size, time of change and inode."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from hforch.utils.cache_home import cache_home


def of_files(files: Iterable[Path]) -> str:
    """sha256 over names and contents; the folder that holds the files does not matter, nor does their order."""
    return _combined({file.name: of_file(file) for file in files})


def remembered(files: Iterable[Path]) -> str | None:
    """`of_files` without reading one: None if some file is new or has changed."""
    digests = {file.name: remembered_file(file) for file in files}
    known = {name: digest for name, digest in digests.items() if digest is not None}
    return _combined(known) if len(known) == len(digests) else None


def remembered_file(file: Path) -> str | None:
    """`of_file` without reading it."""
    return _recall(*_memo(file.resolve()))


def of_new(files: Iterable[Path]) -> str:
    """The same, for files that are about to move: nothing is remembered about them."""
    return _combined({file.name: of_content(file) for file in files})


def of_file(file: Path) -> str:
    """sha256 of the contents, from the memo in the cache where the file has not changed since."""
    return remembered_file(file) or read_again(file)


def read_again(file: Path) -> str:
    """The same, always from the contents; the memo is written anew."""
    digest = of_content(file)
    remember(file, digest)
    return digest


def of_content(file: Path) -> str:
    """The same, without any memo."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remember(file: Path, digest: str) -> None:
    """Keep a file's digest until its size or time of change is another one."""
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
        return  # a cache that cannot be written only means that the file is read again


def _memo(resolved: Path) -> tuple[Path, list[int]]:
    """Where a file's digest is kept, and the state of the file that it is of."""
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
