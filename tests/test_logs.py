"""The quoted end of a log in the error message about a dead process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hforch.utils import log_tail
from hforch.utils.log_tail import quoted_tail
from hforch.utils.redaction import remember


def quote(folder: Path, text: str | bytes, start: int = 0) -> str:
    log = folder / "hforch.log"
    log.write_bytes(text if isinstance(text, bytes) else text.encode())
    return quoted_tail(log, start)


def said_by(folder: Path, program: str, *options: str) -> str:
    """Return the quoted end of Python's output when a program dies."""
    with (folder / "hforch.log").open("wb") as log:
        subprocess.run([sys.executable, *options, "-c", program], stdout=log, stderr=log, check=False)
    return quoted_tail(folder / "hforch.log")


def test_the_last_lines_are_quoted(tmp_path: Path) -> None:
    assert quote(tmp_path, "first\nsecond\n\n  third\nfourth\n") == "second | third | fourth"
    assert quote(tmp_path, "") == ""
    assert quoted_tail(tmp_path / "absent") == ""


def test_the_message_and_location_of_an_exception_are_quoted(tmp_path: Path) -> None:
    program = "import json\nprint('Loading weights')\ntry:\n    1 / 0\nfinally:\n    json.loads('{')"
    told = said_by(tmp_path, program)
    assert told.startswith("json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes")
    assert told.rpartition(" | ")[2].startswith('File "') and "raw_decode" in told


def test_a_multiline_message_is_quoted_from_its_start(tmp_path: Path) -> None:
    hints = "".join(f"Hint {number} of the library.\n" for number in range(6))
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in load\n    go()\n'
    told = quote(tmp_path, f"{trace}torch.AcceleratorError: CUDA error: device-side assert\n{hints}")
    first, *rest = told.split(" | ")
    assert first == "torch.AcceleratorError: CUDA error: device-side assert"
    assert rest == ["Hint 0 of the library.", 'File "a.py", line 3, in load']


def test_an_earlier_exception_is_not_quoted(tmp_path: Path) -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in load\nValueError: caught\n'
    later = "".join(f"step {number}\n" for number in range(40))
    assert quote(tmp_path, trace + later) == "step 37 | step 38 | step 39"


def test_the_report_of_faulthandler_is_quoted_after_a_signal(tmp_path: Path) -> None:
    told = said_by(tmp_path, "import ctypes\ndef crash():\n    ctypes.string_at(0)\ncrash()", "-X", "faulthandler")
    assert told.startswith('Fatal Python error: Segmentation fault | File "')


def test_the_message_of_sys_exit_is_quoted(tmp_path: Path) -> None:
    program = (
        "import sys, traceback\ntry:\n    sys.exit('no licence')\nexcept BaseException:\n    traceback.print_exc()"
    )
    assert said_by(tmp_path, program) == 'SystemExit: no licence | File "<string>", line 3, in <module>'


def test_output_of_an_earlier_attempt_is_not_quoted(tmp_path: Path) -> None:
    before = "ValueError: of the first attempt\n"
    assert quote(tmp_path, before, len(before)) == ""
    assert quote(tmp_path, f"{before}of the second\n", len(before)) == "of the second"


def test_binary_data_is_skipped(tmp_path: Path) -> None:
    garbage = random.Random(1).randbytes(200_000)
    assert quote(tmp_path, garbage + b"\nout of memory\n" + bytes(range(128, 256)) * 20 + b"\n") == "out of memory"
    told = quote(tmp_path, garbage)
    assert told.isprintable() and len(told) < 3 * log_tail.LONGEST + 50


def test_control_sequences_are_escaped(tmp_path: Path) -> None:
    told = quote(tmp_path, "\x1b[31mred\x1b[0m \x1b]0;title\x07and a bell\x07\n\x1b[2Jcleared\n")
    assert told == "red and a bell\\x07 | cleared"


def test_progress_bars_are_skipped(tmp_path: Path) -> None:
    bars = "".join(f"\r{number:3}%|{'█' * number}| {number}/100" for number in range(100))
    assert quote(tmp_path, f"loading shards\n{bars}\n\r\n") == "loading shards"


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "hforch.log"
    with log.open("wb") as file:
        file.truncate(5 << 30)  # a sparse file, too large to be read completely
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe last line\n")
    assert quoted_tail(log) == "the last line"
    assert quote(tmp_path, "x" * 1_000_000) == ""  # one line with an unknown start
    assert len(quote(tmp_path, f"{'word ' * 10_000}\n" * 3)) < 3 * log_tail.LONGEST + 50


def test_credentials_are_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hforch.utils.redaction._given", {})
    remember("swordfish-123")
    key = f"-----BEGIN PRIVATE KEY-----\n{'QUJD' * 16}\n{'REVG' * 16}\n-----END PRIVATE KEY-----\n"
    assert quote(tmp_path, f"with {key}") == "with ***"
    assert quote(tmp_path, "log\x1b[0min: sword\x1b[1mfish-123\napi_key=0123456789\n") == "login: *** | api_key=***"
    assert "sword" not in quote(tmp_path, f"{'x' * (log_tail.LONGEST - 60)} swordfish-123 {'y' * log_tail.LONGEST}\n")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hforch.log")
    assert quoted_tail(tmp_path / "hforch.log") == ""
