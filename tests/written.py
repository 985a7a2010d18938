"""Write records of made-up runs, so that the expected comparison is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from hforch.records.record import SCHEMA_VERSION

Answer = tuple[str, Sequence[int] | None]


def sample(index: int, text: str, ids: Sequence[int] | None, **more: Any) -> dict[str, Any]:
    """Return a line of samples.jsonl; without `ids` the sample has failed."""
    failed = {"type": "GenerationError", "message": "it broke"} if ids is None else None
    return {
        "index": index,
        "input_id": f"input-{index}",
        "repeat": 0,
        "batch": {"index": index, "size": 1, "place": 0},
        "input": {"question": f"question {index}"},
        "prompt": f"question {index}",
        "text": text,
        "prompt_ids": [1, 2],
        "output_ids": list(ids or []),
        "prompt_tokens": 2,
        "output_tokens": len(ids or []),
        "finish_reason": "length",
        "timings": {} if failed else {"ttft_ms": 10.0 + index, "tpot_ms": 5.0, "latency_ms": 50.0},
        "absent": {},
        "error": failed,
        "checks": [],
        **more,
    }


def write_job(
    directory: Path,
    samples: Sequence[Mapping[str, Any]] = (),
    overrides: Sequence[str] = (),
    job: Mapping[str, Any] | None = None,
    **record: Any,
) -> Path:
    """Write the directory of a run; `job` replaces groups of the default job."""
    usual: dict[str, Any] = {
        "model": {"source": "hub", "id": "m", "revision": None},
        "backend": {"name": "pytorch"},
        "device": {"kind": "cpu"},
        "precision": {"name": "fp32"},
        "ov_config": {},
        "prompt": {"kind": "raw"},
        "runtime": {"seed": 0, "threads": None, "display": "auto", "batch_size": 1},
    }
    whole = {
        "schema_version": SCHEMA_VERSION,
        "status": "ok",
        "started": "2026-01-01T00:00:00.000+00:00",
        "job": usual | dict(job or {}),
        "overrides": list(overrides),
        "job_id": directory.name,
        "load_key": directory.name,
        "model": {"fingerprint": "f" * 64},
        "timings": {"load_s": 1.0},
        "disk_mb": 10.0,
        "environment": {"packages": {}, "cpu": {"name": "a cpu", "usable_cores": 2}, "accelerators": []},
        "plan": [[one["input_id"]] for one in samples if one["repeat"] == 0],
        "metrics": {"tokens_per_s": 20.0, "absent": {}},
        "memory": {"peak_rss_mb": 500.0, "absent": {}},
        "totals": {"planned": len(samples), "samples": len(samples), "checks": None},
        "exit_code": 0,
        "error": None,
        **record,
    }
    directory.mkdir(parents=True)
    (directory / "record.json").write_text(json.dumps(whole))
    (directory / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    return directory


def write_sweep(directory: Path, names: Sequence[str], **about: Any) -> None:
    """Write sweep.json for jobs, including those that were not run."""
    jobs = []
    for number, name in enumerate(names):
        own = {"number": number, "directory": name, "label": f"job={name}", "load_key": name, "job_id": name}
        jobs.append(own | {"overrides": [f"runtime.seed={number}"], "job": {"runtime": {"seed": number}}})
    whole = {"schema_version": SCHEMA_VERSION, "asked": {"overrides": []}, "jobs": jobs, **about}
    (directory / "sweep.json").write_text(json.dumps(whole))


def answers(*given: Answer) -> list[dict[str, Any]]:
    return [sample(index, text, ids) for index, (text, ids) in enumerate(given)]


def precision(name: str) -> dict[str, Any]:
    return {"overrides": [f"precision={name}"], "job": {"precision": {"name": name}}}


def rounds(speed: float, noise: float = 0.01, count: int = 6, **more: Any) -> dict[str, Any]:
    """Return the fields of a record for a speed that was measured in turns with other jobs, with some noise."""
    draw = Random(f"{speed}")
    each = [speed * (1 + noise * draw.uniform(-1, 1)) for _ in range(count)]
    told = [{"round": number, "load": 0, "tokens_per_s": one, "seconds": 2.0} for number, one in enumerate(each)]
    return {"metrics": {"tokens_per_s": speed, "absent": {}, **more}, "rounds": told, "interleaved": True}
