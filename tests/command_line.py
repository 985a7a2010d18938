"""hforch as somebody types it."""

from __future__ import annotations

import subprocess
import sys


def hforch(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """What a command printed; it ended with this code, and with no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "hforch", *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "internal error" not in done.stderr
    return done
