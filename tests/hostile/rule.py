"""The rule that every hostile input is held to, and how many inputs of a kind are tried.

A command ends soon, with a documented exit code, and without a traceback; nothing raw reaches the terminal, and no file
changes that is not its own. HFORCH_HOSTILE=all tries them all, HFORCH_HOSTILE=50 fifty of each kind; without it a few
are tried. They are the same ones every time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import run
from hypothesis import HealthCheck, Phase, settings

from hforch.utils.sanitize import is_visible

SECONDS = 20
"""What takes longer counts as a hang."""
CODES = frozenset({0, 1, 2, 3})
attempts = 0
"""How many commands the test that runs has tried."""
LONGEST = 100_000
"""Characters that a command may print."""
SCALE = "HFORCH_HOSTILE"


def count(whole: int, share: int) -> int:
    """The number of examples of a kind.

    Args:
        whole: with HFORCH_HOSTILE=all; HFORCH_HOSTILE=N tries N, but not more than this.
        share: if it is not set.
    """
    scale = os.environ.get(SCALE, "")
    return whole if scale == "all" else min(int(scale), whole) if scale else min(share, whole)


def examples(whole: int, share: int) -> settings:
    """Settings of hypothesis for so many examples, the same ones every time."""
    return settings(
        max_examples=count(whole, share),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # each example is a command: shrinking one takes minutes
        suppress_health_check=list(HealthCheck),
    )


def attempt(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, codes: Collection[int] = CODES
) -> subprocess.CompletedProcess[str]:
    """Run a command and hold it to the rule.

    Args:
        env: added to this process's environment.
    """
    global attempts
    attempts += 1
    try:
        done = run(*words, cwd=cwd, env={**os.environ, **(env or {})}, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"hforch {' '.join(words)} has not ended after {SECONDS} s")
    return judged(done, codes)


def judged(done: subprocess.CompletedProcess[str], codes: Collection[int] = CODES) -> subprocess.CompletedProcess[str]:
    """Assert that a command that has ended kept the rule."""
    told = f"{done.args}\nexit code {done.returncode}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    assert done.returncode in codes, told
    for text in (done.stdout, done.stderr):
        assert "Traceback (most recent call last)" not in text, told
        assert "internal error" not in text, told
        assert len(text) < LONGEST, told[:1000]
        assert not (raw := {one for one in text if one not in "\n\t" and not is_visible(one)}), (raw, told)
    assert done.returncode == 0 or done.stdout.strip() or done.stderr.strip(), told
    return done


@contextmanager
def untouched(*folders: Path, but: Collection[Path] = ()) -> Iterator[None]:
    """Assert that nothing in these folders changes meanwhile, except in those of `but`."""
    before = _contents(folders, but)
    yield
    after = _contents(folders, but)
    changed = sorted(str(one) for one in before.keys() | after.keys() if before.get(one) != after.get(one))
    assert not changed


def _contents(folders: Collection[Path], but: Collection[Path]) -> dict[Path, str]:
    """Each file with a digest, each link with its target, each folder."""
    return {one: _state(one) for folder in folders for one in _below(folder, but)}


def _below(folder: Path, but: Collection[Path]) -> Iterator[Path]:
    for one in sorted(folder.iterdir()) if folder not in but else ():
        if one in but:
            continue
        yield one
        if one.is_dir() and not one.is_symlink():
            yield from _below(one, but)


def _state(one: Path) -> str:
    if one.is_symlink():
        return f"link {one.readlink()}"
    if one.is_file():
        return f"file {one.stat().st_mtime_ns} {hashlib.sha256(one.read_bytes()).hexdigest()}"
    return "folder" if one.is_dir() else "special"
