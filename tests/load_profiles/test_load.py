"""The runner follows a job's load profile: which batches, when, and how often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import ROOT
from repository_copy import Copy

from hforch.config.compose import job_from_overrides
from hforch.inputs import load_inputs
from hforch.load_profiles.base import Batch, Samples
from hforch.load_profiles.registry import OF_ALL_JOBS, all_profiles, profile_of
from hforch.records.record_files import read_record, read_samples
from hforch.runs.sampling import failed_sample

FAKE = ("backend=fake", "inputs=facts", "inputs.limit=8", "runtime.warmup=0", "runtime.batch_size=2")
CONCURRENT = '''
"""Two requests at the same time, each as soon as one of the two before is done."""

from concurrent.futures import ThreadPoolExecutor, as_completed

from hforch.load_profiles.offline import OfflineLoad


class ConcurrentLoad(OfflineLoad):
    def plan(self, job, inputs):
        return super().plan(job, inputs[::-1])

    def run(self, batches, answer):
        threads = ThreadPoolExecutor(2)
        try:
            for done in as_completed([threads.submit(answer, batch) for batch in batches]):
                yield done.result()
        finally:
            threads.shutdown(cancel_futures=True)


PROFILE = ConcurrentLoad()
'''


def test_jobs_have_a_load_profile() -> None:
    assert OF_ALL_JOBS in all_profiles()
    assert profile_of(job_from_overrides(["backend=fake"])) is all_profiles()["offline"]


def test_offline_load_runs_batches_in_order() -> None:
    job = job_from_overrides([*FAKE, "runtime.repeat=2"])
    batches = profile_of(job).plan(job, load_inputs(job.inputs))
    assert [(batch.repeat, batch.index) for batch in batches] == [
        (repeat, index) for repeat in (0, 1) for index in range(4)
    ]
    events: list[str] = []

    def answer(batch: Batch) -> Samples:
        events.append(f"answer {batch.repeat}.{batch.index}")
        return [failed_sample(each, batch, ValueError("not asked")) for each in batch.inputs]

    for batch, samples in zip(batches, profile_of(job).run(batches, answer), strict=True):
        events.append(f"samples {batch.repeat}.{batch.index}")
        assert [sample.input_id for sample in samples] == [each.id for each in batch.inputs]
    assert events == [f"{what} {batch.repeat}.{batch.index}" for batch in batches for what in ("answer", "samples")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A copy of the repository in which all jobs use another profile, defined in one new module."""
    registry = (ROOT / "hforch/load_profiles/registry.py").read_text(encoding="utf-8")
    chosen = registry.replace('OF_ALL_JOBS = "offline"', 'OF_ALL_JOBS = "concurrent"')
    assert chosen != registry
    files = {"hforch/load_profiles/concurrent.py": CONCURRENT, "hforch/load_profiles/registry.py": chosen}
    with Copy(files, tmp_path_factory.mktemp("driven")) as copy:
        yield copy


def test_one_module_adds_a_load_profile(copy: Copy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy.hforch(*FAKE, "backend.token_s=0.02", "generation.max_new_tokens=4", f"hydra.run.dir={out}")
    record, samples = read_record(out), list(read_samples(out))
    ids = [each.id for each in load_inputs(job_from_overrides(FAKE).inputs)]
    assert record["status"] == "ok" and record["totals"]["samples"] == 8
    assert record["plan"][0][0] == ids[-1]
    assert sorted(sample["index"] for sample in samples) == list(range(8))
    summed = sum(sample["timings"]["latency_ms"] for sample in samples if sample["batch"]["place"] == 0) / 1000
    assert 0.1 < record["metrics"]["measured_s"] < 0.8 * summed  # requests overlapped

    lines = (out / "samples.jsonl").read_text().splitlines(keepends=True)
    (out / "samples.jsonl").write_text("".join(lines[:3]))  # one and a half batches
    (out / "record.json").write_text(json.dumps(record | {"status": "partial"}))
    copy.hforch("resume", str(out))
    assert sorted(sample["index"] for sample in read_samples(out)) == list(range(8))
    assert [sample["index"] for sample in read_samples(out)][:2] == [sample["index"] for sample in samples][:2]


def test_fail_fast_stops_after_the_first_failure(copy: Copy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    failing = "backend.failures=[{match: '', error: out of ink, after: 0}]"
    copy.hforch(*FAKE, failing, "backend.token_s=0.02", "runtime.fail_fast=true", f"hydra.run.dir={out}", code=1)
    assert 2 <= len(list(read_samples(out))) <= 4
