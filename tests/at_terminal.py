"""Run a program at its own terminal, started with subprocess.

pexpect.spawn forks Python itself, which is unsafe in a process that has run threads of other libraries, as the tests
of the backends do.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pexpect import fdpexpect

TAKE_THE_TERMINAL = """\
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first terminal that a session's leader opens is the session's
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@dataclass(frozen=True)
class AtTerminal:
    """Attributes:
    screen: pexpect's view of the terminal: `expect`, `send`, `before`.
    """

    process: subprocess.Popen[bytes]
    screen: Any

    def exit_code(self) -> int:
        return self.process.wait(timeout=60)


@contextmanager
def python_at_terminal(words: Sequence[str], cwd: Path, rows: int = 40, columns: int = 100) -> Iterator[AtTerminal]:
    """Run `python WORDS` as the session leader of a terminal that the test controls; kill it after the block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_THE_TERMINAL, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        start_new_session=True,
    )
    os.close(theirs)
    screen = fdpexpect.fdspawn(ours, encoding="utf-8", codec_errors="replace", timeout=60)
    try:
        yield AtTerminal(process, screen)
    finally:
        screen.close()
        if process.poll() is None:
            process.kill()
        process.wait()
