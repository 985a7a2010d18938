"""Judge answers by checks and count the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hforch.checks.base import LONGEST_SEEN, Check, Column, Sample, Undecided
from hforch.checks.json_schemas import conforms, read_schema, schema_of, validator
from hforch.errors import shown

FITS = "matches generation.json_schema"


class Checks(Protocol):
    """The group `checks` of a job."""

    @property
    def items(self) -> Sequence[Check]: ...

    @property
    def strip(self) -> bool: ...


def judge(
    checks: Checks, echo: bool = False, schema: Mapping[str, Any] | str | None = None
) -> Callable[[Sample], list[dict[str, Any]]]:
    """Return a function that judges a sample and returns its check results: name, passed, and why it failed.

    A failed sample fails all of its checks, including negated ones.

    Args:
        echo: whether texts start with their prompts; prompts are removed before checking.
        schema: the JSON Schema that constrained generation; adds a check that answers match it.
    """
    fits = None if schema is None else validator(schema_of(schema))
    literals = [None if isinstance(check.value, Column) else _literal(check, checks.strip) for check in checks.items]
    named = list(zip(checks.items, names(checks), literals, strict=True))

    def judged(sample: Sample) -> list[dict[str, Any]]:
        if sample["error"] is not None or sample["text"] is None:
            failed = [*(name for _, name, _ in named), *([FITS] if fits else [])]
            return [{"name": name, "passed": False, "why": "no answer"} for name in failed]
        answer = sample["text"].removeprefix(sample["prompt"] or "") if echo else sample["text"]
        text = _stripped(answer, checks.strip)
        results = [
            {"name": name, **_result(check, wanted, sample, text, checks.strip)} for check, name, wanted in named
        ]
        return [*results, {"name": FITS, **_fits(fits, sample, answer)}] if fits else results

    return judged


def columns(checks: Checks) -> set[str]:
    """Return the columns of the inputs that checks refer to."""
    return {check.value.column for check in checks.items if isinstance(check.value, Column)}


def names(checks: Checks) -> list[str]:
    """Return a unique name for each check, such as `contains 'Paris'`, or `not equals {expected}` for a column."""
    found: list[str] = []
    for check in checks.items:
        name = " ".join(["not"] * check.negate + [check.kind, check.describe_value()])
        same = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(f"{name} ({same + 1})" if name in found else name)
    return found


def _literal(check: Check, strip: bool) -> Any:
    file = check.file_of(check.value)
    value = check.prepare(check.value if file is None else read_schema(file))
    return _stripped(value, strip and check.strips_value)


def _stripped(value: Any, strip: bool) -> Any:
    return value.strip() if strip and isinstance(value, str) else value


def _result(check: Check, wanted: Any, sample: Sample, text: str, strip: bool) -> dict[str, Any]:
    if isinstance(check.value, Column):
        wanted = check.prepare(_stripped(sample["input"][check.value.column], strip))
    try:
        holds, seen = check.judge(text, wanted, sample)
    except Undecided as reason:
        return {"passed": False, "why": shown(str(reason), LONGEST_SEEN)}
    passed = holds != check.negate
    return {"passed": passed, "why": None if passed else seen}


def _fits(validator: Any, sample: Sample, text: str) -> dict[str, Any]:
    """Check an answer against the schema that constrained it. If it was truncated, give that as the reason."""
    try:
        passed, seen = conforms(text, validator)
    except Undecided as reason:
        passed, seen = False, shown(str(reason), LONGEST_SEEN)
    cut = {"length": "truncated at max_new_tokens", "stop": "stopped at a stop sequence"}
    why = cut.get(str(sample["finish_reason"]), seen)
    return {"passed": passed, "why": None if passed else why}


# ---------------------------------------------------------------- totals
def totals(samples: Iterable[Sample]) -> dict[str, Any] | None:
    """Count passed checks, in total and for each check; None without checks."""
    each: dict[str, dict[str, Any]] = {}
    for sample in samples:
        for result in sample.get("checks") or ():
            counted = each.setdefault(result["name"], {"name": result["name"], "passed": 0, "total": 0})
            counted["passed"] += bool(result["passed"])
            counted["total"] += 1
    if not each:
        return None
    passed, total = (sum(one[key] for one in each.values()) for key in ("passed", "total"))
    return {"passed": passed, "total": total, "each": list(each.values())}


def missed(counted: Mapping[str, Any] | None, min_pass: float | None) -> bool:
    """Return whether the fraction of passed checks is below `runtime.min_pass`."""
    return bool(counted and min_pass is not None and counted["passed"] / counted["total"] < min_pass)
