"""Describe a recorded run as lines of text: its configuration, answers, checks, metrics and warnings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from hforch.comparison.entries import Entry
from hforch.metrics.registry import ALL
from hforch.report.wording import answer_lines, columns_of, failure, item_line, summary_lines

LONGEST_VALUE = 80  # maximum length of a configuration value
INDENT = "  "
Line = tuple[str, str]  # text and style


def run_lines(entry: Entry, samples: Iterable[Mapping[str, Any]], only_failed: bool = False) -> Iterator[Line]:
    """Yield the lines that describe a run, each with its style.

    Args:
        samples: its samples.
        only_failed: whether to omit answers that passed all checks.
    """
    record = entry.record
    yield f"{entry.directory}", "bold"
    yield from _origin(record)
    yield "", ""
    yield "configuration", "bold"
    yield from ((f"{INDENT}{line}", "") for line in configuration_lines(entry.job))
    for warning in record.get("warnings") or ():
        yield f"warning: {warning}", "yellow"
    planned = int((record.get("totals") or {}).get("planned") or 0)
    yield from _answers(samples, planned, only_failed, columns_of(entry.get("prompt")))
    known = [(one.label, one.shown(value)) for one in ALL if (value := one.read(record)) is not None]
    if known:
        yield "", ""
        yield "metrics", "bold"
        width = max(len(name) for name, _ in known)
        yield from ((f"{INDENT}{name:<{width}}  {value}", "") for name, value in known)
    yield "", ""
    if message := failure(record, str(entry.directory)):
        yield message, "red"
    if record.get("totals"):
        yield summary_lines(record, "")[0], "bold" if record.get("status") == "ok" else "red"


def _origin(record: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the command of a run, its status and its times."""
    words = ["run", str(record["recipe"])] if record.get("recipe") else []
    for flag in ("config_dir", "config_name"):
        words += [f"--{flag.replace('_', '-')}", str(record[flag])] if record.get(flag) else []
    overrides = [str(text) for text in record.get("overrides") or ()]
    yield f"command: {shlex.join(['hforch', *words, *overrides])}", ""
    times = [_local(record.get(name)) for name in ("started", "finished")]
    told = [f"status: {record.get('status')}"]
    told += [f"{name} {when}" for name, when in zip(("started", "finished"), times, strict=True) if when]
    yield ", ".join(told), ""
    if record.get("same_as"):
        yield f"answers: of the equal job in {record['same_as']}", ""


def _local(text: Any) -> str | None:
    """Return a time of a record in the local time zone; None if it is missing."""
    try:
        return datetime.fromisoformat(str(text)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None


def configuration_lines(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each group, with the values that are set."""
    width = max(map(len, job), default=0)
    for group, part in job.items():
        values = {key: value for key, value in (part or {}).items() if value not in (None, [], {})}
        told = ", ".join(f"{key}: {_value(value)}" for key, value in values.items())
        yield f"{group:<{width}}  {told or '-'}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return item_line(text, LONGEST_VALUE)


def has_failed(sample: Mapping[str, Any]) -> bool:
    """Return whether a sample has no answer, or one that failed a check."""
    return sample["error"] is not None or any(not check["passed"] for check in sample.get("checks") or ())


def _answers(
    samples: Iterable[Mapping[str, Any]], planned: int, only_failed: bool, columns: Collection[str]
) -> Iterator[Line]:
    """Yield each input with its answer, and whether it passed each check and why not."""
    omitted = 0
    for number, sample in enumerate(samples, 1):
        if only_failed and not has_failed(sample):
            omitted += 1
            continue
        if sample["error"] is not None:
            yield f"\n[{number}/{max(planned, number)}] {item_line(sample['input'], columns=columns)}", "cyan"
        yield from answer_lines(sample, number, max(planned, number), streamed=False, columns=columns)
        for check in sample.get("checks") or ():
            if check["passed"] and sample["error"] is None:
                yield f"check passed: {check['name']}", "green"
    if omitted:
        yield f"\nomitted: {omitted} without an error or a failed check", "dim"
