"""What in a stored record, sample or sweep is not as hforch writes it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hforch.records.fields import Part
from hforch.records.lenient import validator
from hforch.records.record import Record
from hforch.records.sample import Sample
from hforch.records.sweep import SweepRecord

KINDS = {
    **{"string_type": "a text", "bool_type": "true or false", "int_type": "a whole number", "float_type": "a number"},
    **{"dict_type": "a mapping", "list_type": "a list"},
}
RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_validate_sample = validator(Sample).validate_python


def flaws(part: type[Part], stored: Mapping[str, Any]) -> list[str]:
    """Return what in a stored part is damaged: the path of each such value, and what is wrong with it."""
    try:
        validator(part).validate_python(dict(stored))
    except ValidationError as error:
        return [_at(one) for one in error.errors(include_url=False, include_input=False)]
    return []


def record_flaws(record: Mapping[str, Any]) -> list[str]:
    """Return what in a stored record.json is damaged."""
    return flaws(Record, record)


def sweep_flaws(sweep: Mapping[str, Any]) -> list[str]:
    """Return what in a stored sweep.json is damaged."""
    return flaws(SweepRecord, sweep)


def sample_flaw(sample: Mapping[str, Any]) -> str | None:
    """Return what in a line of samples.jsonl is damaged; None if nothing is."""
    try:
        _validate_sample(sample)
    except ValidationError as error:
        return _phrase(error.errors(include_url=False, include_input=False)[0])
    if sample["error"] is not None:
        return None
    has_ids = sample.get("output_ids") is not None or "output_ids" in sample["absent"]
    if "input" not in sample or sample.get("text") is None or not has_ids:
        return "it has neither an error nor an answer: input, text and output_ids"
    return None


def _at(error: ErrorDetails) -> str:
    path = ".".join(map(str, error["loc"]))
    return f"it lacks {path}" if error["type"] == "missing" else f"{path}: {error['msg'].lower()}"


def _phrase(error: ErrorDetails) -> str:
    *parents, name = map(str, error["loc"])
    if error["type"] == "missing":
        return f"its {'.'.join(parents)} has no {name}" if parents else f"it has no {name}"
    path = ".".join([*parents, name])
    if error["type"] in KINDS:
        return f"its {path} is not {KINDS[error['type']]}"
    return f"its {path} is out of range" if error["type"] in RANGES else f"its {path}: {error['msg']}"
