"""What records and samples have to be like to be compared: they may come from elsewhere, or be damaged."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Loose(BaseModel):
    """Any key may be missing or null, and there may be others."""

    model_config = ConfigDict(extra="allow", strict=True)


class Checks(Loose):
    total: int
    passed: int


class Totals(Loose):
    planned: int | None = None
    samples: int | None = None
    failed: int | None = None
    checks: Checks | None = None


class Metrics(Loose):
    tokens_per_s: Finite | None = None
    tokens_per_s_each: list[Finite] | None = None


class Memory(Loose):
    peak_rss_mb: Finite | None = None
    peak_accelerator_mb: Finite | None = None


class Environment(Loose):
    packages: dict[str, str | None] | None = None
    cpu: dict[str, Any] | None = None
    accelerators: list[Any] | None = None


class OnText(Loose):
    sha256: str | None = None
    windows: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]] | None = None


class AgainstBaseline(Loose):
    baseline: str | None = None


class Scores(Loose):
    metrics: dict[str, Finite | None] | None = None
    absent: dict[str, str] | None = None
    against_baseline: AgainstBaseline | None = None
    on_text: OnText | None = None


class Error(Loose):
    message: str | None = None


class Model(Loose):
    fingerprint: str | None = None


class Record(Loose):
    """So much of record.json as a comparison looks at."""

    status: str | None = None
    overrides: list[str] | None = None
    same_as: str | None = None
    load_key: str | None = None
    job_id: str | None = None
    job: dict[str, dict[str, Any] | None] | None = None
    plan: list[list[str]] | None = None
    model: Model | None = None
    totals: Totals | None = None
    metrics: Metrics | None = None
    timings: dict[str, Finite | None] | None = None
    memory: Memory | None = None
    disk_mb: Finite | None = None
    environment: Environment | None = None
    scores: Scores | None = None
    error: Error | None = None
    started: str | None = None


def flaws(record: Mapping[str, Any]) -> list[str]:
    """What in a record is not as it has to be: paths, and why."""
    try:
        Record.model_validate(dict(record))
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors(include_url=False)]
    return []


NEEDED: Mapping[str, Any] = {"input_id": str, "index": int, "repeat": int, "timings": dict}
MAY: Mapping[str, Any] = {
    **{"text": str, "output_ids": list, "error": dict, "prompt": str, "finish_reason": str, "checks": list},
    **{"prompt_tokens": int, "output_tokens": int},
}


def sample_of(line: bytes) -> dict[str, Any] | None:
    """The sample that a line holds; None if it holds none."""
    try:
        sample = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            sample = json.loads(line)  # a lone surrogate, as a model can produce it, is none for orjson
        except (ValueError, RecursionError):
            return None
    return sample if isinstance(sample, dict) and all(_is_right(sample)) else None


def _is_right(sample: Mapping[str, Any]) -> Iterator[bool]:
    yield all(isinstance(sample.get(name), kind) for name, kind in NEEDED.items())
    yield all(sample.get(name) is None or isinstance(sample[name], kind) for name, kind in MAY.items())
    yield all(isinstance(one, int | float) for one in sample["timings"].values())
    yield "error" in sample
    if sample.get("error") is None:
        yield "input" in sample and isinstance(sample.get("text"), str) and _are_ids(sample.get("output_ids"))
    yield all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("passed"), bool)
        for one in sample.get("checks") or ()
    )


def _are_ids(ids: Any) -> bool:
    try:
        array("q", ids)
    except (TypeError, OverflowError):
        return False
    return isinstance(ids, list)
