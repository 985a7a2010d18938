"""Find and describe damage in stored records, samples and sweeps."""

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
    **{"string_type": "a string", "bool_type": "a boolean", "int_type": "an integer", "float_type": "a number"},
    **{"dict_type": "a mapping", "list_type": "a list"},
}
RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_validate_sample = validator(Sample).validate_python


def flaws(part: type[Part], stored: Mapping[str, Any]) -> list[str]:
    """Return the invalid values of a stored part, each as its path and the error."""
    try:
        validator(part).validate_python(dict(stored))
    except ValidationError as error:
        return [_by_path(one) for one in error.errors(include_url=False, include_input=False)]
    return []


def record_flaws(record: Mapping[str, Any]) -> list[str]:
    """Return the invalid values of a stored record.json."""
    return flaws(Record, record)


def sweep_flaws(sweep: Mapping[str, Any]) -> list[str]:
    """Return the invalid values of a stored sweep.json."""
    return flaws(SweepRecord, sweep)


def sample_flaw(sample: Mapping[str, Any]) -> str | None:
    """Return the first error in a line of samples.jsonl, or None."""
    try:
        _validate_sample(sample)
    except ValidationError as error:
        return _in_words(error.errors(include_url=False, include_input=False)[0])
    if sample["error"] is not None:
        return None
    has_ids = sample.get("output_ids") is not None or "output_ids" in sample["absent"]
    if "input" not in sample or sample.get("text") is None or not has_ids:
        return "it has neither an error nor an answer (input, text and output_ids)"
    return None


def _by_path(error: ErrorDetails) -> str:
    path = ".".join(map(str, error["loc"]))
    return f"{path} is missing" if error["type"] == "missing" else f"{path}: {error['msg'].lower()}"


def _in_words(error: ErrorDetails) -> str:
    *parents, name = map(str, error["loc"])
    if error["type"] == "missing":
        return f"{'.'.join(parents)}.{name} is missing" if parents else f"{name} is missing"
    path = ".".join([*parents, name])
    if error["type"] in KINDS:
        return f"{path} is not {KINDS[error['type']]}"
    return f"{path} is out of range" if error["type"] in RANGES else f"{path}: {error['msg']}"
