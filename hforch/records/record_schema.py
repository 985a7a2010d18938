"""The shape of records and samples, which may come from elsewhere or be damaged."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from hforch.metrics.registry import ALL

Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0, lt=2**53)]


class Loose(BaseModel):
    """Any key may be missing or null, and there may be others."""

    model_config = ConfigDict(extra="allow", strict=True)


class Checks(Loose):
    total: Number
    passed: Number


class Totals(Loose):
    planned: Number | None = None
    samples: Number | None = None
    failed: Number | None = None
    prompt_tokens: Number | None = None
    output_tokens: Number | None = None
    finish_reasons: dict[str, Number] | None = None
    checks: Checks | None = None


def _metrics(section: str) -> dict[str, Any]:
    """Return a field for each metric that a section of the record holds, under its earlier names too."""
    found = (metric for metric in ALL if metric.section == section)
    return {name: (Finite | None, None) for metric in found for name in (metric.name, *metric.aliases)}


Metrics = create_model(
    "Metrics",
    __base__=Loose,
    tokens_per_s_each=(list[Finite] | None, None),
    energy_of=(list[str] | None, None),
    **_metrics("metrics"),
)


class Device(Loose):
    device: str | None = None
    allocated_mb: Finite | None = None
    reserved_mb: Finite | None = None


Memory = create_model("Memory", __base__=Loose, accelerators=(list[Device] | None, None), **_metrics("memory"))


class Warmup(Loose):
    batch_size: Number | None = None
    prompt_tokens: Number | None = None
    num_beams: Number | None = None
    cache_length: Number | None = None
    rounds: Number | None = None
    seconds: Finite | None = None
    deviation: Finite | None = None
    ended_by: str | None = None
    steady: bool | None = None
    error: str | None = None


class Cpu(Loose):
    name: str | None = None
    usable_cores: Number | None = None


class Environment(Loose):
    packages: dict[str, str | None] | None = None
    os: str | None = None
    python: str | None = None
    cpu: Cpu | None = None
    accelerators: list[Any] | None = None


class Process(Loose):
    start: str | None = None
    because: list[str] | None = None


class OnText(Loose):
    sha256: str | None = None
    windows: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]] | None = None


class AgainstBaseline(Loose):
    baseline: str | None = None
    of: str | None = None


class Scores(Loose):
    metrics: dict[str, Finite | None] | None = None
    absent: dict[str, str] | None = None
    whole: bool | None = None
    against_baseline: AgainstBaseline | None = None
    on_text: OnText | None = None


class Effective(Loose):
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class Error(Loose):
    message: str | None = None


class Export(Loose):
    key: str | None = None


class Model(Loose):
    fingerprint: str | None = None
    commit: str | None = None
    export: Export | None = None


class Record(Loose):
    """So much of record.json as is read back."""

    status: str | None = None
    overrides: list[str] | None = None
    same_as: str | None = None
    load_key: str | None = None
    job_id: str | None = None
    job: dict[str, dict[str, Any] | None] | None = None
    plan: list[list[str]] | None = None
    model: Model | None = None
    totals: Totals | None = None
    metrics: Metrics | None = None  # type: ignore[valid-type]
    timings: dict[str, Finite | None] | None = None
    warmup: list[Warmup] | None = None
    memory: Memory | None = None  # type: ignore[valid-type]
    disk_mb: Finite | None = None
    environment: Environment | None = None
    process: Process | None = None
    scores: Scores | None = None
    error: Error | None = None
    started: str | None = None
    finished: str | None = None
    planned: Number | None = None
    resumed: Number | None = None
    exit_code: Number | None = None
    effective: Effective | None = None
    parallel: bool | None = None
    shared_accelerator: str | None = None
    absent: dict[str, str] | None = None
    accelerators: list[dict[str, Any]] | None = None
    shared_load: bool | None = None
    warnings: list[str] | None = None
    cwd: str | None = None
    recipe: str | None = None
    config_dir: str | None = None
    config_name: str | None = None


def flaws(record: Mapping[str, Any]) -> list[str]:
    """What in a record is not as it has to be: paths, and why."""
    try:
        Record.model_validate(dict(record))
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors(include_url=False)]
    return []


NEEDED: Mapping[str, type] = {
    **{"input_id": str, "index": int, "repeat": int, "batch": dict},
    **{"timings": dict, "absent": dict, "finish_reason": str},
}
MAY: Mapping[str, type] = {
    **{"text": str, "prompt": str, "prompt_ids": list, "output_ids": list, "error": dict, "checks": list},
    **{"prompt_tokens": int, "output_tokens": int},
}
WORDS = {str: "a text", int: "a whole number", dict: "a mapping", list: "a list"}
LARGEST = 1e15  # of a number in a sample; of milliseconds, 30,000 years


def sample_flaw(sample: Mapping[str, Any]) -> str | None:
    """Return what in a sample is not as it has to be; None if nothing is."""
    for name, kind in NEEDED.items():
        if type(sample.get(name)) is not kind:
            return f"its {name} is not {WORDS[kind]}" if name in sample else f"it has no {name}"
    for name, kind in MAY.items():
        if type(sample.get(name)) is not kind and sample.get(name) is not None:
            return f"its {name} is not {WORDS[kind]}"
    for name in ("index", "repeat", "prompt_tokens", "output_tokens"):
        if not 0 <= (sample.get(name) or 0) < LARGEST:
            return f"its {name} is out of range"
    if type(sample["batch"].get("index")) is not int:
        return "its batch has no index"
    for one in sample["timings"].values():
        if type(one) not in (int, float) or not -LARGEST < one < LARGEST:
            return "its timings are not all numbers"
    return _answer_flaw(sample) or _checks_flaw(sample.get("checks") or ())


def _answer_flaw(sample: Mapping[str, Any]) -> str | None:
    if "error" not in sample:
        return "it has no error, which is null where there is an answer"
    if sample["error"] is not None:
        return None if isinstance(sample["error"].get("message"), str) else "its error has no message"
    has_ids = sample.get("output_ids") is not None or "output_ids" in sample["absent"]
    if "input" not in sample or sample.get("text") is None or not has_ids:
        return "it has neither an error nor an answer: input, text and output_ids"
    if not _are_ids(sample.get("output_ids") or []) or not _are_ids(sample.get("prompt_ids") or []):
        return "its token ids are not all whole numbers"
    return None


def _checks_flaw(checks: Any) -> str | None:
    for one in checks:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or type(one.get("passed")) is not bool:
            return "its checks are not all checks"
        if not isinstance(one.get("why"), str | None):
            return "the reason of a check is not a text"
    return None


def _are_ids(ids: list[Any]) -> bool:
    try:
        array("q", ids)
    except (TypeError, OverflowError):
        return False
    return True
