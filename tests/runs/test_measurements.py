"""Memory peaks, metrics and totals of a job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hforch.records.rounds import Round
from hforch.runs.rounds import measured
from hforch.runs.sample_metrics import count, summarize

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the high-water mark")


def in_a_process_of_its_own(program: str) -> dict[str, dict[str, float]]:
    """Run a program in a new process, where no memory freed by earlier tests is reused, and return what it prints."""
    program = f"import json\nfrom hforch.runs.memory_meter import MemoryMeter\nMB = 1_000_000\n{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return dict(json.loads(done.stdout))


@LINUX
def test_peak_memory_excludes_earlier_jobs() -> None:
    found = in_a_process_of_its_own("""
with MemoryMeter() as before:
    big = bytearray(300 * MB)
    big[::4096] = b"x" * len(big[::4096])
    high = before.peaks()
    del big
with MemoryMeter() as after:
    print(json.dumps({"high": high, "low": after.peaks()}))
""")
    high, low = found["high"], found["low"]
    assert high["peak_rss_mb"] - low["peak_rss_mb"] > 250
    assert high["peak_rss_anon_mb"] - low["peak_rss_anon_mb"] > 250
    assert high["peak_rss_mb"] >= high["peak_rss_anon_mb"]


@LINUX
def test_a_mapped_file_counts_as_file_backed(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * 200_000_000)
    found = in_a_process_of_its_own(f"""
import mmap
with MemoryMeter() as meter, open({str(path)!r}, "rb") as file:
    empty = meter.peaks()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        sum(mapped[at] for at in range(0, len(mapped), 4096))
        print(json.dumps({{"empty": empty, "full": meter.peaks()}}))
""")
    assert found["full"]["peak_rss_file_mb"] - found["empty"]["peak_rss_file_mb"] > 150
    assert found["full"]["peak_rss_anon_mb"] - found["empty"]["peak_rss_anon_mb"] < 50


def sample(**more: Any) -> dict[str, Any]:
    plain = {
        "error": None,
        "repeat": 0,
        "finish_reason": "eos",
        "prompt_tokens": 3,
        "output_tokens": 10,
        "timings": {"ttft_ms": 5.0, "queue_ms": 1.0, "latency_ms": 50.0},
        "absent": {"tpot_ms": "fewer than two output tokens"},
    }
    return plain | more


def summarized(samples: list[dict[str, Any]], timed: list[dict[str, Any]], walls: dict[int, float]) -> dict[str, Any]:
    """Return the metrics of samples, of which the ones in `timed` were measured in one round."""
    entry = measured(Round(round=0, load=0), timed, walls, is_whole=True)
    return summarize(samples, [entry] if walls else []).dump()


def test_tokens_per_second_is_output_tokens_divided_by_wall_time() -> None:
    samples = [sample(), sample(output_tokens=30)]
    assert summarized(samples, samples, {0: 2.0})["tokens_per_s"] == 20.0


def test_the_speed_of_a_job_is_the_median_of_its_repeats() -> None:
    samples = [sample(repeat=repeat) for repeat in range(3)]
    metrics = summarized(samples, samples, {0: 1.0, 1: 0.1, 2: 2.0})
    assert (metrics["tokens_per_s"], metrics["tokens_per_s_each"]) == (10.0, [10.0, 100.0, 5.0])


def test_samples_from_before_a_resume_do_not_count_for_speed() -> None:
    old, new = sample(), sample(output_tokens=30)
    assert summarized([old, new], [new], {0: 2.0})["tokens_per_s"] == 15.0
    assert "resumed" in summarized([old], [], {})["absent"]["tokens_per_s"]


def test_a_timing_is_the_median_over_samples_that_have_it() -> None:
    samples = [sample(timings={"ttft_ms": value}) for value in (1.0, 2.0, 9.0)]
    samples.append(sample(timings={}, error={"type": "X", "message": ""}))
    metrics = summarized(samples, samples, {0: 1.0})
    assert metrics["ttft_ms"] == 2.0
    assert metrics["absent"]["tpot_ms"] == "fewer than two output tokens"


def test_failed_samples_are_counted_and_add_no_tokens() -> None:
    failed = sample(error={"type": "X", "message": ""}, output_tokens=None, prompt_tokens=None, finish_reason="error")
    totals = count([sample(), failed], 3)
    assert totals.dump() == {
        "planned": 3,
        "samples": 2,
        "failed": 1,
        "interrupted": 0,
        "prompt_tokens": 3,
        "output_tokens": 10,
        "finish_reasons": {"eos": 1, "error": 1},
        "checks": None,
    }
    assert summarized([failed], [failed], {0: 1.0})["absent"]["ttft_ms"] == "no sample succeeded"


def test_speed_is_absent_if_the_number_of_tokens_is_unknown() -> None:
    found = summarized([sample(), sample(output_tokens=None)], [sample(), sample(output_tokens=None)], {0: 2.0})
    assert "tokens_per_s" not in found
    assert found["absent"]["tokens_per_s"] == "the number of output tokens is unknown"
