"""Write sweeps whose jobs were measured in turns, with noise, checks and scores, so that the decision is known."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from written import sample, write_job

from hforch.config.compose import job_from_overrides
from hforch.records.record import SCHEMA_VERSION

INPUTS, ROUNDS = 30, 8
SWEEPS: Mapping[str, Mapping[str, float]] = {
    "winner": {"fp32": 75.0, "int8": 104.0, "int4": 92.0},
    "tie": {"fp32": 75.0, "int8": 104.0, "int4": 104.1},
    "undecided": {"fp32": 75.0, "int8": 104.0, "int4": 98.0},
}
"""For each outcome of `--optimize tokens_per_s`, the speeds of the jobs."""

NOISE = {"winner": 0.01, "tie": 0.004, "undecided": 0.09}  # standard deviations of the logarithm of a round's speed
MEMORY = {"fp32": 980.0, "int8": 540.0, "int4": 420.0}
PASSED = {"fp32": 29, "int8": 28, "int4": 23}  # of INPUTS checks


def write_measured(directory: Path, outcome: str) -> Path:
    """Write a sweep of three jobs."""
    chance = random.Random(5)
    drift = [chance.gauss(0, 0.1) for _ in range(ROUNDS)]  # of the machine, the same for all jobs of a round
    names = list(SWEEPS[outcome])
    for number, name in enumerate(names):
        noise = [chance.gauss(0, NOISE[outcome]) for _ in range(ROUNDS)]
        each = [
            SWEEPS[outcome][name] * (1 + moved + own - sum(noise) / ROUNDS)
            for moved, own in zip(drift, noise, strict=True)
        ]
        _write(directory / str(number), name, each, is_scored=number > 0, chance=chance)
    noise_of = [{"load_key": str(at), "job": at, "first_s": 1.0, "again_s": 1.02, "drift": 0.02} for at in range(3)]
    jobs = [
        {"number": number, "directory": str(number), "label": f"precision={name}"} for number, name in enumerate(names)
    ]
    jobs = [
        one | {"load_key": one["directory"], "job_id": one["directory"], "overrides": [one["label"]], "job": {}}
        for one in jobs
    ]
    whole = {"schema_version": SCHEMA_VERSION, "asked": {"overrides": []}, "jobs": jobs, "noise": noise_of}
    (directory / "sweep.json").write_text(json.dumps(whole))
    return directory


def _write(directory: Path, name: str, each: list[float], is_scored: bool, chance: random.Random) -> None:
    samples = [_answer(index, name, chance) for index in range(INPUTS)]
    rounds = [
        {"round": at, "load": 0, "seconds": 20.0, "output_tokens": round(20 * one), "tokens_per_s": one}
        for at, one in enumerate(each)
    ]
    more: dict[str, Any] = {}
    lines = [_scores(index, name, chance) for index in range(INPUTS)] if is_scored else []
    if lines:
        positions = sum(one["positions"] for one in lines)
        kl = sum(one["kl_mean"] * one["positions"] for one in lines) / positions
        agreement = 1 - sum(len(one["flips"]) for one in lines) / positions
        scores = {"kl_mean": kl, "kl_mean_se": kl / 10, "top1_agreement": agreement, "top1_agreement_se": 0.01}
        more = {"scores": {"metrics": scores, "against_baseline": {"baseline": "../0"}}}
    passed = sum(one["checks"][0]["passed"] for one in samples)
    job = write_job(
        directory,
        samples,
        overrides=[f"precision={name}"],
        job=job_from_overrides([f"precision={name}"]).model_dump(mode="json"),
        metrics={"tokens_per_s": median(each), "absent": {}},
        memory={"peak_rss_mb": MEMORY[name], "absent": {}},
        totals={"planned": INPUTS, "samples": INPUTS, "checks": {"passed": passed, "total": INPUTS}},
        rounds=rounds,
        interleaved=True,
        **more,
    )
    (job / "scores.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))


def _answer(index: int, name: str, chance: random.Random) -> dict[str, Any]:
    words = [f"word{(index + at) % 17}" for at in range(20)]
    if name != "fp32" and index % (4 if name == "int8" else 2) == 0:
        words[7] = f"{name}-{index}"
    passed = (index * 7) % INPUTS < PASSED[name]
    checks = [{"name": "is correct", "passed": passed, "why": "the answer is wrong"}]
    times = {
        "ttft_ms": 20 + chance.random() * 8,
        "tpot_ms": 9 + chance.random(),
        "latency_ms": 200 + chance.random() * 9,
    }
    ids = [hash_of(word) for word in words]
    return sample(index, " ".join(words), ids, checks=checks, timings=times)


def hash_of(word: str) -> int:
    return sum(map(ord, word))


def _scores(index: int, name: str, chance: random.Random) -> dict[str, Any]:
    kl = (0.004 if name == "int8" else 0.03) * (0.5 + chance.random())
    flips = [3] if index % (9 if name == "int8" else 4) == 0 else []
    return {"input_id": f"input-{index}", "positions": 20, "kl_mean": kl, "kl_max": 4 * kl, "flips": flips, "worst": []}
