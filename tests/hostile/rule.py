"""The rule that hforch must follow for every hostile input, and the number of inputs of each kind.

A command finishes soon, with a documented exit code and without a traceback; nothing unescaped reaches the terminal,
and only the command's own files change. HFORCH_HOSTILE=all tries all inputs, HFORCH_HOSTILE=50 fifty of each kind; the
default is a few. They are the same in every test run.
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
"""Seconds after which a command counts as hanging."""
CODES = frozenset({0, 1, 2, 3})
attempts = 0
"""How many commands the running test has tried."""
LONGEST = 100_000
"""The characters that a command may print."""
SCALE = "HFORCH_HOSTILE"


def count(whole: int, share: int) -> int:
    """Return the number of examples of a kind.

    Args:
        whole: the number with HFORCH_HOSTILE=all; HFORCH_HOSTILE=N tries N, but at most this number.
        share: the number without HFORCH_HOSTILE.
    """
    scale = os.environ.get(SCALE, "")
    return whole if scale == "all" else min(int(scale), whole) if scale else min(share, whole)


def examples(whole: int, share: int) -> settings:
    """Return settings of hypothesis for this many examples, the same ones in every test run."""
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
    """Run a command and check that it follows the rule.

    Args:
        env: added to this process's environment.
    """
    global attempts
    attempts += 1
    try:
        done = run(*words, cwd=cwd, env={**os.environ, **(env or {})}, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"hforch {' '.join(words)} did not finish within {SECONDS} s")
    return judged(done, codes)


def judged(done: subprocess.CompletedProcess[str], codes: Collection[int] = CODES) -> subprocess.CompletedProcess[str]:
    """Assert that a finished command followed the rule."""
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
    """Assert that nothing in these folders changes while the block runs, except in those of `but`."""
    before = _contents(folders, but)
    yield
    after = _contents(folders, but)
    changed = sorted(str(one) for one in before.keys() | after.keys() if before.get(one) != after.get(one))
    assert not changed


def _contents(folders: Collection[Path], but: Collection[Path]) -> dict[Path, str]:
    """Return each file with its digest, each link with its target, and each folder."""
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
