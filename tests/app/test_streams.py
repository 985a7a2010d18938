"""Processes with closed standard streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hforch.records.record_files import read_record

FAKE = "backend=fake inputs=numbers_in_french runtime.warmup=0"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_run_succeeds_with_closed_streams(tmp_path: Path, closed: str) -> None:
    for kind, words in (("run", FAKE), ("sweep", f"-m {FAKE} runtime.seed=1,2")):
        directory = tmp_path / kind
        line = f'"{sys.executable}" -m hforch {words} hydra.{kind}.dir={directory} {closed}'
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done
        assert "Traceback" not in done.stderr
        for record in directory.rglob("record.json"):
            assert read_record(record.parent)["status"] == "ok"
