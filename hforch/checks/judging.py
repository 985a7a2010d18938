"""Judge answers by checks and count the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from hforch.checks.base import LONGEST_SEEN, Check, Column, Sample, Undecided, Verdict
from hforch.checks.json_schemas import conforms, read_schema, schema_of, validator
from hforch.errors import shown

Judge = Callable[[Sample, str], Verdict]
"""A check with its prepared values: returns the verdict on an answer's sample and text, ignoring `negate`."""

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
    named = [
        (name, check.negate, _judge_of(check, checks.strip))
        for name, check in zip(names(checks), checks.items, strict=True)
    ]

    def judged(sample: Sample) -> list[dict[str, Any]]:
        if sample["error"] is not None or sample["text"] is None:
            failed = [*(name for name, _, _ in named), *([FITS] if fits else [])]
            return [{"name": name, "passed": False, "why": "no answer"} for name in failed]
        answer = sample["text"].removeprefix(sample["prompt"] or "") if echo else sample["text"]
        text = _stripped(answer, checks.strip)
        results = [{"name": name, **_result(judge_one, sample, text, negate)} for name, negate, judge_one in named]
        return [*results, {"name": FITS, **_fits(fits, sample, answer)}] if fits else results

    return judged


def each_check(checks: Checks) -> Iterator[tuple[str, Check]]:
    """Yield all checks and the members of those that combine several, with the config paths of the items."""
    for number, check in enumerate(checks.items):
        for one in (check, *check.members):
            yield f"checks.items.{number}", one


def columns(checks: Checks) -> set[str]:
    """Return the columns of the inputs that checks refer to."""
    return {check.value.column for _, check in each_check(checks) if isinstance(check.value, Column)}


def names(checks: Checks) -> list[str]:
    """Return a unique name for each check."""
    found: list[str] = []
    for check in checks.items:
        name = check.name
        same = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(f"{name} ({same + 1})" if name in found else name)
    return found


def _judge_of(check: Check, strip: bool) -> Judge:
    """Return a function that applies a check, ignoring `negate`; values that all inputs share are prepared once."""
    if check.members:
        return _judge_members([(one.name, one.negate, _judge_of(one, strip)) for one in check.members])
    if isinstance(column := check.value, Column):
        return lambda sample, text: _any_holds(
            check, check.alternatives(_stripped(column.cell(sample["input"][column.column]), strip)), sample, text
        )
    literal = _literal(check, strip)
    return lambda sample, text: check.judge(text, literal, sample)


def _any_holds(check: Check, accepted: Sequence[Any], sample: Sample, text: str) -> Verdict:
    """Return the first verdict that holds, or else the first one."""
    verdicts = [check.judge(text, one, sample) for one in accepted]
    first = verdicts[0]
    more = f", nor does any of the other {len(verdicts) - 1} accepted values match" if len(verdicts) > 1 else ""
    return next((one for one in verdicts if one.holds), Verdict(False, f"{first.seen}{more}"))


def _judge_members(members: Sequence[tuple[str, bool, Judge]]) -> Judge:
    def judged(sample: Sample, text: str) -> Verdict:
        reasons = []
        for name, negate, judge_one in members:
            result = _result(judge_one, sample, text, negate)
            if result["passed"]:
                return Verdict(True, f"the answer passes: {name}")
            reasons.append(str(result["why"]))
        return Verdict(False, "; ".join(reasons))

    return judged


def _literal(check: Check, strip: bool) -> Any:
    file = check.file_of(check.value)
    value = check.prepare(check.value if file is None else read_schema(file))
    return _stripped(value, strip and check.strips_value)


def _stripped(value: Any, strip: bool) -> Any:
    if strip and isinstance(value, list | tuple):
        return [_stripped(one, strip) for one in value]
    return value.strip() if strip and isinstance(value, str) else value


def _result(judge_one: Judge, sample: Sample, text: str, negate: bool) -> dict[str, Any]:
    try:
        holds, seen = judge_one(sample, text)
    except Undecided as reason:
        return {"passed": False, "why": shown(str(reason), LONGEST_SEEN)}
    passed = holds != negate
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
