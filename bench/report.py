"""Cost of writing, opening and scrolling the report page of a large sweep.

12 jobs answer 1,000 inputs with 128 tokens each; half of the answers differ from the baseline. The page is opened in
headless Chromium; the peer is a plain HTML table of the same answers. Both are scrolled, with a long jump every ten
frames. Then pages for up to 100,000 samples are written: 10 jobs of 10,000.
"""

from __future__ import annotations

import html
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from bench.scale import Scale
from bench.tables import Table
from hforch.scoring.preflight import SHIPPED

WORDS = SHIPPED.read_text(encoding="utf-8").split()
JOBS, TOKENS = 12, 128
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
BROWSER = shutil.which("chromium") or shutil.which("chromium-headless-shell")
FRAMES = """(most) => new Promise((done) => {  // wording: ok
  const grid = document.getElementById("grid") ?? document.scrollingElement;
  const frames = [];
  let last = performance.now(), number = 0;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    grid.scrollTop += number % 10 ? 240 : 3000;
    if (++number < most) requestAnimationFrame(step); else done(frames.slice(2));
  };
  requestAnimationFrame(step);
})"""


def run(scale: Scale) -> Iterator[Table]:
    with TemporaryDirectory() as folder:
        yield opening(Path(folder), scale.pick(JOBS, 2), scale.pick(1000, 20), scale.pick(300, 20), scale.rounds(5))
    with TemporaryDirectory() as folder:
        yield writing(Path(folder), scale.pick((1_000, 10_000), (5,)))


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
    own |= {"batch": {"index": index, "size": 1, "place": 0}}
    return own | {"timings": times, "absent": {}, "error": None, "checks": []}


# ---------------------------------------------------------------- opening
def opening(folder: Path, jobs: int, inputs: int, frames: int, rounds: int) -> Table:
    write_sweep(folder / "sweep", jobs, inputs)
    page, plain = folder / "sweep" / "report.html", folder / "plain.html"
    seconds, _ = run_report(folder / "sweep")
    plain.write_text("".join(plain_table(folder / "sweep", jobs)), encoding="utf-8")
    found: dict[str, list[tuple[float, float]]] = {"hforch": [], "plain": []}
    for _ in range(rounds):
        found["hforch"].append(opened(page, "html[data-ready=whole]", frames))
        found["plain"].append(opened(plain, "table", frames))
    ours, theirs = ([median(one[at] for one in found[name]) for at in (0, 1)] for name in ("hforch", "plain"))
    size = [file.stat().st_size / 1e6 for file in (page, plain)]
    rows = (
        ("interactive after", f"{ours[0]:.2f} s", f"{theirs[0]:.2f} s", f"{ours[0] / theirs[0]:.2f}", "2 s"),
        (
            f"longest of {frames} frames",
            f"{ours[1]:.0f} ms",
            f"{theirs[1]:.0f} ms",
            f"{ours[1] / theirs[1]:.2f}",
            "100 ms",
        ),
        ("file", f"{size[0]:.1f} MB", f"{size[1]:.1f} MB", f"{size[0] / size[1]:.2f}", "15 MB"),
        ("written in", f"{seconds:.1f} s", "-", "-", "-"),
    )
    missed = [
        at for at, (value, most) in enumerate(((ours[0], 2.0), (ours[1], 100.0), (size[0], 15.0))) if value > most
    ]
    columns = ("what", "hforch report", "a plain table", "ratio", "at most")
    return Table(f"{inputs:,} inputs and {jobs} jobs", columns, rows, frozenset(missed))


def plain_table(directory: Path, number_of_jobs: int) -> Iterator[str]:
    jobs = [(directory / str(number) / "samples.jsonl").open(encoding="utf-8") for number in range(number_of_jobs)]
    yield "<!doctype html><meta charset=utf-8><title>answers</title><table border>"
    for lines in zip(*jobs, strict=True):
        cells = (html.escape(json.loads(line)["text"]) for line in lines)
        yield "<tr>" + "".join(f"<td>{cell}" for cell in cells)
    for file in jobs:
        file.close()


def opened(file: Path, ready: str, frames: int) -> tuple[float, float]:
    """Return the seconds until the page is interactive, and the milliseconds of the longest frame while scrolling."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"file://{file}", wait_until="commit")
        page.wait_for_selector(ready, state="attached", timeout=120_000)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")  # wording: ok
        marks = "performance.getEntriesByName('hforch-answers')[0]?.startTime ?? performance.now()"
        seconds = page.evaluate(marks) / 1000
        longest = max(page.evaluate(FRAMES, frames))
        browser.close()
    return seconds, longest


# ---------------------------------------------------------------- writing
def writing(folder: Path, sizes: Sequence[int]) -> Table:
    rows = []
    for inputs in sizes:
        directory = folder / str(inputs)
        write_sweep(directory, 10, inputs)
        seconds, peak = run_report(directory)
        size = (directory / "report.html").stat().st_size / 1e6
        about = (f"{seconds:.1f} s", f"{peak / 1e6:.0f} MB", f"{size:.1f} MB", f"about {min(inputs, 2_400):,}")
        rows.append((f"{10 * inputs:,}", *about))
    return Table("Writing, 10 jobs", ("samples", "written in", "peak RSS", "file", "inputs shown"), rows)


def run_report(directory: Path) -> tuple[float, int]:
    """Return the seconds and the peak resident memory in bytes of `hforch report`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "hforch", "report", str(directory)]
    with psutil.Popen(command, stdout=-3, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
    assert process.returncode == 0
    return time.perf_counter() - started, peak
