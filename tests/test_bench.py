"""Every benchmark runs, with one round of minimal work; the results are meaningless."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import contestant, tables
from bench.__main__ import BENCHES, main
from bench.ratios import Ratio
from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table
from bench.workload import WORKLOADS, prompts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
LOADS_NO_MODEL = {"help", "decisions", "records", "faults", "report"}
ON_OPENVINO = {
    "throughput",
    "scheduler",
    "sweep",
    "sweep-processes",
    "warmup",
    "scoring",
    "extras",
    "noise",
    "decisions-real",
}
"""Those that need OpenVINO, other than those named after it."""


def marked(name: str) -> Any:
    marks = [] if name in LOADS_NO_MODEL else [pytest.mark.slow]
    return pytest.param(name, marks=[*marks, pytest.mark.openvino] if name in ON_OPENVINO else marks)


@pytest.mark.parametrize("name", [marked(name) for name in BENCHES])
def test_each_benchmark_runs(name: str) -> None:
    if name == "report":
        from browser import chromium

        chromium()  # skips the test without Chromium
    found = list(BENCHES[name].run(Scale(smoke=True)))
    ratios = [one for one in found if isinstance(one, Ratio)]
    made = [one for one in found if isinstance(one, Table)]
    assert ratios or made
    for table in [*made, *([tables.ratio_table(ratios)] if ratios else [])]:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert all(one.ours and one.theirs and min(one.ours + one.theirs) > 0 for one in ratios)


@pytest.mark.slow
@pytest.mark.parametrize("name", contestant.CONTESTANTS)
def test_every_contestant_answers(name: str) -> None:
    folder = prepared("backend=pytorch") if "pytorch" in name else prepared("backend=openvino", "precision=int8")
    work = contestant.CONTESTANTS[name](str(folder))
    tokens, first = work(prompts("chat", folder)[:2], 2)
    assert 0 < tokens <= 4
    assert len(first) == (2 if name.startswith("hforch") else 0)


def test_the_command_runs_and_writes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = tables.marks("help")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    command = [sys.executable, "-m", "bench", "help", "--smoke", "--write", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "trivial Hydra app" in done.stdout, done.stderr
    text = page.read_text()
    assert text.startswith(f"before\n{begin}\n`python -m bench help`, on ") and text.endswith(f"|\n{end}\nafter\n")
    assert "old" not in text and "| --help, vs. a trivial Hydra app |" in text
    with pytest.raises(SystemExit, match="lacks the markers"):
        tables.page_with("sweep", [page])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["swep"], "unknown benchmark swep"),
        (["help", "--rounds", "0"], "--rounds: must be at least 1"),
    ],
)
def test_invalid_arguments_are_reported(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


def test_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BENCHES)


def test_the_pages_have_markers_for_every_benchmark() -> None:
    for name in BENCHES:
        assert tables.page_with(name, [PAGE, ROOT / "README.md"])


def test_brackets_are_printed() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.Table("", ("install",), [["hforch[genai]"]]).for_terminal())
    assert "hforch[genai]" in console.export_text()


def test_workloads_have_the_documented_size() -> None:
    assert set(WORKLOADS) == {"chat", "long"}
    assert len((ROOT / "bench" / "workloads" / "chat.txt").read_text().splitlines()) == 64
