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
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import pexpect
from pexpect.spawnbase import SpawnBase

TAKE_THE_TERMINAL = """\
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first terminal that a session's leader opens is the session's
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Screen(SpawnBase):  # type: ignore[misc]
    """pexpect's view of a terminal, read by a thread of its own.

    A program blocks once it has written a few kilobytes that have not been read, so a test that waits for something
    else would wait forever.
    """

    def __init__(self, terminal: int, timeout: float) -> None:
        super().__init__(timeout=timeout, encoding="utf-8", codec_errors="replace")
        self.child_fd = terminal
        self._written: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Read until the last process has closed the terminal; Linux reports that as an error."""
        try:
            while written := os.read(self.child_fd, 65536):
                self._written.put(written)
        except OSError:
            pass
        self._written.put(b"")

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        """Return what was written since the last call, whatever its size; pexpect calls it with seconds to wait."""
        try:
            written = self._written.get(timeout=max(0.0, self.timeout if timeout is None else timeout))
        except Empty:
            raise pexpect.TIMEOUT("nothing more was written") from None
        if not written:
            self._written.put(b"")
            raise pexpect.EOF("the terminal was closed")
        return str(self._decoder.decode(written, final=False))

    def send(self, text: str) -> None:
        os.write(self.child_fd, text.encode())


@dataclass(frozen=True)
class AtTerminal:
    """Attributes:
    screen: pexpect's view of the terminal: `expect`, `send`, `before`.
    """

    process: subprocess.Popen[bytes]
    screen: Screen

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
    try:
        yield AtTerminal(process, Screen(ours, timeout=60))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
