"""Format the messages about a run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from hforch.config.checks import columns_of_options
from hforch.errors import EXIT_UNMET
from hforch.metrics.metric import Metric
from hforch.metrics.registry import ALL, BY_NAME
from hforch.records.sample_lines import was_interrupted
from hforch.utils.rounding import percent, percent_apart

VARIABLE = re.compile(r"\{(\w+)\}")
ENDS = {"stop": "stopped at a stop sequence", "eos": "ended with EOS", "length": "reached max_new_tokens"}
MOST_NAMES = 12  # maximum number of jobs in a list


def header_line(parts: Mapping[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in parts.items())


def stage_line(name: str, detail: str, seconds: float, finished: bool = True) -> str:
    return f"{name}: {detail} ({seconds:.1f} s)" if finished else f"{name}: {detail}: stopped after {seconds:.1f} s"


def answer_lines(
    sample: Mapping[str, Any], done: int, total: int, streamed: bool, columns: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the lines for a finished sample, each with its style, without text that was already streamed.

    Args:
        columns: the columns that the prompt uses.
    """
    if sample["error"] is not None:
        error = sample["error"]
        if was_interrupted(sample):
            yield f"interrupted: input {sample['index'] + 1}", "yellow"
        else:
            yield f"failed: input {sample['index'] + 1}: {error.get('traceback') or error['message']}", "red"
        return
    if not streamed:
        yield f"\n[{done}/{total}] {item_line(sample['input'], columns=columns)}", "cyan"
        if sample["text"]:
            yield sample["text"], ""
    if not sample["text"].strip():
        yield f"(empty answer, {ENDS.get(sample['finish_reason'], sample['finish_reason'])})", "yellow"
    for check in sample.get("checks") or ():
        if not check["passed"]:
            yield f"check failed: {check['name']}: {check['why']}", "yellow"


def item_line(item: Any, longest: int | None = 200, columns: Collection[str] = ()) -> str:
    """Return an input as one line: a string or a single value unchanged, several values with their names.

    Args:
        columns: the columns that the prompt uses; others are omitted. If the input has none of them, or they are
            unknown, only columns for the checks that hforch defines, such as `expected`, are omitted.
    """
    if isinstance(item, Mapping):
        used = {name: item[name] for name in columns if name in item}
        asked = used or {name: value for name, value in item.items() if name not in columns_of_options()} or item
        values = [str(value) for value in asked.values()]
        item = values[0] if len(values) == 1 else ", ".join(f"{name}: {value}" for name, value in asked.items())
    line = " ".join(str(item).split())
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def columns_of(prompt: Any) -> list[str]:
    """Return the columns of the inputs that a recorded prompt uses."""
    if not isinstance(prompt, Mapping):
        return []
    texts = [prompt.get("template"), *(one.get("content") for one in prompt.get("messages") or ())]
    used = [name for text in texts if isinstance(text, str) for name in VARIABLE.findall(text)]
    return list(dict.fromkeys([*([str(prompt["column"])] if prompt.get("column") else []), *used]))


def summary_lines(record: Mapping[str, Any], directory: str) -> tuple[str, str]:
    """Return a line with the results of a run, and a line with its directory."""
    totals = record.get("totals") or {}
    many = (totals.get("planned") or 0) > 1
    parts = [record["status"]] if record["status"] != "ok" else []
    if many:
        succeeded = totals["samples"] - totals["failed"] - totals.get("interrupted", 0)
        parts.append(f"{succeeded} of {totals['planned']} samples succeeded")
    if totals.get("output_tokens"):
        parts.append(f"{totals['output_tokens']} tokens{_ends(totals['finish_reasons'])}")
    known = dict(record) if totals.get("samples") else {**record, "memory": {}}
    parts += (_phrase(metric, known, many) for metric in ALL if metric.summary and metric.read(known) is not None)
    if checks := totals.get("checks"):
        parts.append(_checks(checks, record.get("exit_code")))
    return " · ".join(parts) or "no sample succeeded", f"results: {directory}"


def round_line(round_entry: Mapping[str, Any], rounds: int | None) -> str:
    """Return the result of a round, such as `round 2 of 6: 143.2 tokens/s`.

    Args:
        rounds: the number of rounds; None if the results decide it.
    """
    which = f"round {round_entry['round'] + 1}{'' if rounds is None else f' of {rounds}'}"
    speed, metric = round_entry.get("tokens_per_s"), BY_NAME["tokens_per_s"]
    if speed is None:
        return f"{which}: {round_entry.get('seconds') or 0.0:.1f} s"
    return f"{which}: {metric.summary.format(value=metric.shown(speed))}"


def _phrase(metric: Metric, record: Mapping[str, Any], many: bool) -> str:
    """Return a metric for the summary line, such as `TTFT 60 ms (median)`."""
    value = metric.read(record)
    assert value is not None
    shown = accelerator_mb(record["memory"]) if metric.name == "peak_accelerator_mb" else metric.shown(value)
    more = " (median)" if many and metric.timing else ""
    if metric.name == "energy_j" and (power := BY_NAME["power_w"].read(record)) is not None:
        more = f" ({BY_NAME['power_w'].shown(power)} W)"
    return metric.summary.format(value=shown) + more


def accelerator_mb(memory: Mapping[str, Any]) -> str:
    """Return the peak accelerator memory in MB; for several devices the sum and each, such as `30 (20 + 10)`."""
    devices = [one["allocated_mb"] for one in memory.get("accelerators") or () if one.get("allocated_mb") is not None]
    each = f" ({' + '.join(f'{size:.0f}' for size in devices)})" if len(devices) > 1 else ""
    return f"{memory['peak_accelerator_mb']:.0f}{each}"


def _checks(counted: Mapping[str, Any], code: int | None) -> str:
    """Return the results of the checks, such as `checks: 3 of 4 passed`."""
    enough = "" if code != EXIT_UNMET else ", below runtime.min_pass"
    return f"checks: {counted['passed']} of {counted['total']} passed{enough}"


def failed_check(sample: Mapping[str, Any]) -> str | None:
    """Return the first failed check of a sample, such as `input 2: contains: the answer has no 'Paris'`, or None."""
    failed = (one for one in sample.get("checks") or () if not one["passed"])
    return next((f"input {sample['index'] + 1}: {one['name']}: {one['why']}" for one in failed), None)


def unmet_line(record: Mapping[str, Any], min_pass: float | None, first: str | None) -> str:
    """Return why a job ends with exit code 3.

    Args:
        first: the first failed check.
    """
    counted = record["totals"]["checks"]
    share = percent_apart(counted["passed"] / counted["total"], min_pass or 0.0)
    told = f"{counted['passed']} of {counted['total']} checks passed ({share}); runtime.min_pass requires "
    return told + percent(min_pass or 0.0) + (f"; the first that failed: {first}" if first else "")


def duration(seconds: float) -> str:
    """Return an estimated time in s, min or h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def failure(record: Mapping[str, Any], directory: str) -> str | None:
    """Return the error of a run and the path of its log; None if the run itself has no error."""
    error = record.get("error")
    if not error:
        return None
    return f"{error.get('traceback') or error['message']}\n    log: {directory}/hforch.log"


def _ends(reasons: Mapping[str, int]) -> str:
    """Return the finish reasons, such as `, ended with EOS` for one answer, and with counts for several answers."""
    known = {reason: number for reason, number in reasons.items() if reason in ENDS}
    if not known:
        return ""
    (first, number), *others = known.items()
    if number == 1 and not others:
        return f", {ENDS[first]}"
    told = [f"{number} answer{'s' * (number != 1)} {ENDS[first]}", *(f"{some} {ENDS[one]}" for one, some in others)]
    return f"; {', '.join(told)}"


def job_list(names: Sequence[str]) -> str:
    """Return the names of jobs as `jobs 0, 1, 2`, shortened if there are many."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"job{'s' * (len(names) > 1)} {', '.join(names[:MOST_NAMES])}{more}"
