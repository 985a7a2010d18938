"""python -m bench.report [--rounds N]: what the page of a large sweep costs to write, to open and to scroll.

12 jobs answer 1,000 inputs with 128 tokens each, half of them otherwise than the baseline. The page is opened in
headless Chromium; the peer is a plain HTML table of the same answers, as a script of ten lines writes it, in turns.
Both are scrolled through, with a long jump every ten frames. Then 100,000 samples are written, 10 jobs of 10,000.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from rich.table import Table

from bench.__main__ import begun
from hforch.runs.scorable import SHIPPED

WORDS = SHIPPED.read_text(encoding="utf-8").split()
TOKENS = 128
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
FRAMES = """() => new Promise((done) => {
  const grid = document.getElementById("grid") ?? document.scrollingElement;
  const frames = [];
  let last = performance.now(), number = 0;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    grid.scrollTop += number % 10 ? 240 : 3000;
    if (++number < 300) requestAnimationFrame(step); else done(frames.slice(2));
  };
  requestAnimationFrame(step);
})"""


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.report", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each page is opened (5)")
    options = parser.parse_args()
    console = begun()
    with TemporaryDirectory() as folder:
        console.print(opening(Path(folder), options.rounds))
    with TemporaryDirectory() as folder:
        console.print(writing(Path(folder)))
    return 0


# ---------------------------------------------------------------- what is written about
def write_sweep(directory: Path, jobs: int, inputs: int) -> None:
    from hforch.config.compose import job_from_overrides

    chance = random.Random(0)
    for number in range(jobs):
        job = directory / str(number)
        job.mkdir(parents=True)
        with (job / "samples.jsonl").open("w", encoding="utf-8") as file:
            for index in range(inputs):
                file.write(json.dumps(sample(index, number, chance)) + "\n")
        config = job_from_overrides([f"runtime.threads={number + 1}"]).model_dump(mode="json")
        totals = {"planned": inputs, "samples": inputs, "failed": 0, "checks": None}
        about = {"cpu": {"name": "a cpu", "usable_cores": 2}, "packages": {"hforch": "0"}, "os": "Linux"}
        record = {"schema_version": 1, "status": "ok", "job": config, "overrides": [f"runtime.threads={number + 1}"]}
        record |= {
            "totals": totals,
            "environment": about,
            "model": {"fingerprint": "f"},
            "plan": [[f"{index:016x}"] for index in range(inputs)],
            "started": "2026",
        }
        record |= {"metrics": {"tokens_per_s": 20.0 + number}, "memory": {"peak_rss_mb": 900.0 - number}}
        (job / "record.json").write_text(json.dumps(record), encoding="utf-8")


def sample(index: int, job: int, chance: random.Random) -> dict[str, Any]:
    start = index * 7919 % (len(WORDS) - 100)
    words = [*WORDS[start : start + 96]]
    if job and index % 2:
        for at in chance.sample(range(96), 12):
            words[at] = chance.choice(WORDS)
    ids = [chance.randrange(49152) for _ in range(TOKENS)]
    times = {name: round(chance.uniform(5, 900), 3) for name in ("queue_ms", "latency_ms", "ttft_ms", "tpot_ms")}
    question = " ".join(WORDS[start : start + 20])
    own = {"index": index, "input_id": f"{index:016x}", "repeat": 0, "input": {"question": question}}
    own |= {"prompt": f"<|user|>{question}<|assistant|>", "prompt_ids": ids[:30], "prompt_tokens": 30}
    own |= {"text": " ".join(words), "output_ids": ids, "output_tokens": TOKENS, "finish_reason": "length"}
    return own | {"timings": times, "absent": {}, "error": None, "checks": []}


# ---------------------------------------------------------------- opening
def opening(folder: Path, rounds: int) -> Table:
    write_sweep(folder / "sweep", 12, 1000)
    page, plain = folder / "sweep" / "report.html", folder / "plain.html"
    seconds, _ = run_report(folder / "sweep")
    plain.write_text("".join(plain_table(folder / "sweep")), encoding="utf-8")
    found: dict[str, list[tuple[float, float]]] = {"hforch": [], "plain": []}
    for _ in range(rounds):
        found["hforch"].append(opened(page, "html[data-ready=whole]"))
        found["plain"].append(opened(plain, "table"))
    table = Table("what", "hforch report", "a plain table", "ratio", "at most", title="1,000 inputs x 12 jobs, medians")
    ours, theirs = ([median([one[at] for one in found[name]]) for at in (0, 1)] for name in ("hforch", "plain"))
    size = [file.stat().st_size / 1e6 for file in (page, plain)]
    table.add_row("interactive after", f"{ours[0]:.2f} s", f"{theirs[0]:.2f} s", f"{ours[0] / theirs[0]:.2f}", "2 s")
    table.add_row(
        "longest frame of 300", f"{ours[1]:.0f} ms", f"{theirs[1]:.0f} ms", f"{ours[1] / theirs[1]:.2f}", "100 ms"
    )
    table.add_row("file", f"{size[0]:.1f} MB", f"{size[1]:.1f} MB", f"{size[0] / size[1]:.2f}", "15 MB")
    table.add_row("written in", f"{seconds:.1f} s", "-", "-", "-")
    return table


def plain_table(directory: Path) -> Iterator[str]:
    jobs = [(directory / str(number) / "samples.jsonl").open(encoding="utf-8") for number in range(12)]
    yield "<!doctype html><meta charset=utf-8><title>answers</title><table border>"
    for lines in zip(*jobs, strict=True):
        cells = (html.escape(json.loads(line)["text"]) for line in lines)
        yield "<tr>" + "".join(f"<td>{cell}" for cell in cells)
    for file in jobs:
        file.close()


def opened(file: Path, ready: str) -> tuple[float, float]:
    """Seconds until it can be used, and milliseconds of the longest frame while it is scrolled."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"file://{file}", wait_until="commit")
        page.wait_for_selector(ready, state="attached", timeout=120_000)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        marks = "performance.getEntriesByName('hforch-answers')[0]?.startTime ?? performance.now()"
        seconds = page.evaluate(marks) / 1000
        longest = max(page.evaluate(FRAMES))
        browser.close()
    return seconds, longest


# ---------------------------------------------------------------- writing
def writing(folder: Path) -> Table:
    table = Table("samples", "written in", "peak RSS", "file", "inputs shown", title="writing, 10 jobs")
    for inputs in (1_000, 10_000):
        directory = folder / str(inputs)
        write_sweep(directory, 10, inputs)
        seconds, peak = run_report(directory)
        size = (directory / "report.html").stat().st_size / 1e6
        shown = min(inputs, 2_400)
        table.add_row(
            f"{10 * inputs:,}", f"{seconds:.1f} s", f"{peak / 1e6:.0f} MB", f"{size:.1f} MB", f"about {shown:,}"
        )
    return table


def run_report(directory: Path) -> tuple[float, int]:
    """Seconds, and the peak resident memory in bytes, of `hforch report`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "hforch", "report", str(directory)]
    with psutil.Popen(command, stdout=-3, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
    assert process.returncode == 0
    return time.perf_counter() - started, peak


def median(values: Sequence[float]) -> float:
    from statistics import median

    return median(values)


if __name__ == "__main__":
    sys.exit(main())
