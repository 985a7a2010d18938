"""A handwritten sweep for the report page: three jobs, one of them the baseline, with drift, failures and checks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from written import rounds, sample, write_job

from hforch.config.compose import job_from_overrides

TEXT = "the light of a lamp on the cape is seen from far away when the night is clear and still"
WORDS = TEXT.split(" ")
INPUTS = 40


def text_of(index: int, job: str) -> str:
    own = WORDS[index % len(WORDS) :] + WORDS[: index % len(WORDS)]
    if job == "int8" and index % 4 == 0:
        own[5] = "another"
    if job == "int4":
        own = [*own[:3], "something", "else", "entirely", *own[-3:]]
    return " ".join(own).capitalize() + "."


def answer(index: int, job: str, **more: Any) -> dict[str, Any]:
    text = text_of(index, job)
    ids = [len(word) for word in text.split()]
    finish = "length" if index % 5 == 0 else "eos"
    checks = [{"name": "mentions light", "passed": "light" in text, "why": "the answer does not contain 'light'"}]
    timings = {"ttft_ms": 20.0 + index + 10 * len(job), "tpot_ms": 5.0 + index % 7, "latency_ms": 90.0, "queue_ms": 0.1}
    own = {"prompt_tokens": 9, "checks": checks, "finish_reason": finish, "timings": timings}
    return sample(index, text, ids, **own, prompt=f"<|user|>question {index}<|assistant|>", **more)


def answers_of(job: str) -> list[dict[str, Any]]:
    found = [answer(index, job) for index in range(INPUTS)]
    if job == "int4":
        failed = sample(7, "", None)
        found[7] = failed | {"text": None, "finish_reason": "error", "prompt": None}
    return found


def scored(number: int) -> dict[str, Any]:
    metrics = {"kl_mean": 0.01 * 10**number, "kl_mean_se": 0.002, "top1_agreement": 0.9, "top1_agreement_se": 0.01}
    return {"scores": {"metrics": metrics, "against_baseline": {"baseline": "../0"}}}


def score_lines(number: int) -> list[dict[str, Any]]:
    """Return the lines of scores.jsonl; their means are the metrics that `scored` returns."""
    lines = []
    for index in range(INPUTS):
        kl, flips = 0.01 * 10**number * (0.8 if index % 2 else 1.2), [] if index % 2 else [3, 8]
        lines.append({**(worst(index) if index == 0 else {}), "input_id": f"input-{index}", "positions": 10})
        lines[-1] |= {"kl_mean": kl, "kl_max": 1.25, "flips": flips}
    return [{"worst": [], **line} for line in lines]


def worst(index: int) -> dict[str, Any]:
    tokens = [{"id": n, "text": f" word{n}", "log_probability": -0.5 - n} for n in range(5)]
    own = {"kl": 1.25, "position": 3, "before": "The light of", "read": {"id": 1, "text": " a"}}
    line = {"input_id": f"input-{index}", "positions": 9, "kl_mean": 0.2, "kl_max": 1.25, "flips": [3]}
    return line | {"worst": [own | {"baseline": tokens, "job": tokens[::-1]}]}


def write_reported(directory: Path) -> Path:
    """Write a sweep of fp32, int8 and int4 jobs."""
    speeds = {"fp32": (20.0, 1800.0), "int8": (41.5, 900.0), "int4": (38.0, 800.0)}
    for number, (name, (speed, memory)) in enumerate(speeds.items()):
        samples = answers_of(name)
        failed = sum(one["error"] is not None for one in samples)
        passed = sum(check["passed"] for one in samples for check in one["checks"])
        totals = {"planned": INPUTS, "samples": INPUTS, "failed": failed}
        totals |= {"checks": {"passed": passed, "total": INPUTS - failed}}
        more: dict[str, Any] = scored(number) if number else {}
        job = write_job(
            directory / str(number),
            samples,
            overrides=[f"precision={name}"],
            job=job_from_overrides([f"precision={name}"]).model_dump(mode="json"),
            **rounds(speed),
            memory={"peak_rss_mb": memory, "absent": {}},
            totals=totals,
            status="failed" if failed else "ok",
            **more,
        )
        if number:
            (job / "scores.jsonl").write_text("".join(json.dumps(one) + "\n" for one in score_lines(number)))
    return directory


def write_hostile(directory: Path, texts: Sequence[str], names: Mapping[str, str]) -> Path:
    """Write a sweep of two jobs with hostile text in everything untrusted: model, prompt, input, errors."""
    for number, speed in enumerate((10.0, 20.0)):
        samples = [
            sample(
                index, text if number else f"{text} (baseline)", [1, 2, number], prompt=text, input={text[:60]: text}
            )
            for index, text in enumerate(texts)
        ]
        for one in samples:
            one["checks"] = [{"name": names["check"], "passed": False, "why": names["why"]}]
        broken = sample(len(texts), "", None) | {"error": {"type": "E", "message": names["error"]}, "text": None}
        write_job(
            directory / str(number),
            [*samples, broken],
            overrides=[f"model={names['model']}-{number}", f"prompt.template={names['prompt']}"],
            job={
                "model": {"source": "local", "path": f"{names['model']}-{number}"},
                "prompt": {"kind": names["prompt"]},
            },
            metrics={"tokens_per_s": speed, "absent": {}},
            environment={
                "packages": {names["model"]: names["model"]},
                "cpu": {"name": names["model"]},
                "os": names["os"],
            },
            cwd=names["cwd"],
            recipe=names["cwd"],
            status="failed",
            totals={"planned": len(samples) + 1, "samples": len(samples) + 1, "failed": 1, "checks": None},
            error={"message": names["error"]},
        )
    return directory
