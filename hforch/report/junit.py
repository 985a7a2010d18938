"""Export the checks of a comparison as JUnit XML, for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePath
from typing import Any
from xml.etree import ElementTree

from hforch.comparison.entries import Entry, samples_of
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.records.sample_lines import was_interrupted
from hforch.report.wording import columns_of, item_line
from hforch.utils.sanitize import for_xml

LONGEST_NAME = 120  # maximum number of characters of a question in the name of a test


def to_junit(comparison: Comparison) -> str:
    """Return JUnit XML with a test suite for each job and a test case for each check of a sample.

    A suite is named after the settings that differ between the jobs, or after model, backend and precision; a test case
    after the question. Failed samples and unfinished jobs are errors; interrupted samples are skipped.
    """
    root = ElementTree.Element("testsuites", name="hforch")
    names = suite_names(comparison.rows)
    for row in comparison.rows:
        suite = ElementTree.SubElement(root, "testsuite", name=for_xml(names[row.entry.name]))
        counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        cases = Cases(row.entry)
        for case in chain(chain.from_iterable(map(cases.of, samples_of(row.entry))), _case_of_job(row)):
            suite.append(case)
            counts["tests"] += 1
            counts["failures"] += case.find("failure") is not None
            counts["errors"] += case.find("error") is not None
            counts["skipped"] += case.find("skipped") is not None
        suite.attrib |= {name: str(number) for name, number in counts.items()}
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def suite_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return a unique name for each job: its configuration, with the job's name if another has the same."""
    labels = {row.entry.name: row.label if row.axes else _configuration(row.entry) for row in rows}
    said = list(labels.values())
    return {name: label if said.count(label) == 1 else f"{label} ({name})" for name, label in labels.items()}


def _configuration(entry: Entry) -> str:
    """Return a job's model, backend and precision, such as `model=gpt2 backend=openvino precision=int8`."""
    model = entry.overrides.get("model")
    if model in (None, "hub", "local", "gguf"):
        found = (entry.get(f"model.{key}") for key in ("id", "path", "file", "source"))
        model = next((str(one) for one in found if one), "")
        model = model if entry.get("model.id") else PurePath(model).name
    parts = {"model": model, "backend": entry.get("backend.name"), "precision": entry.get("precision.name")}
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


class Cases:
    """Makes the test cases of a job, with unique names.

    Args:
        entry: the job.
    """

    def __init__(self, entry: Entry) -> None:
        self._columns = columns_of(entry.get("prompt"))
        self._inputs: dict[str, int] = {}  # the input that has a question as its name

    def of(self, sample: Mapping[str, Any]) -> Iterator[ElementTree.Element]:
        """Yield a case for each check of a sample, or one for its error."""
        name = for_xml(self._name(sample))
        if sample["error"] is not None:
            case = ElementTree.Element("testcase", classname="answer", name=name)
            kind = "skipped" if was_interrupted(sample) else "error"
            ElementTree.SubElement(case, kind, message=for_xml(sample["error"]["message"]))
            yield case
            return
        for check in sample.get("checks") or []:
            case = ElementTree.Element("testcase", classname=for_xml(check["name"]), name=name)
            if not check["passed"]:
                failure = ElementTree.SubElement(
                    case, "failure", message=for_xml(str(check.get("why") or "check failed"))
                )
                failure.text = for_xml(str(sample["text"]))
            yield case

    def _name(self, sample: Mapping[str, Any]) -> str:
        """Return the question, with the number of the input if an earlier input has the same, and of a later repeat."""
        item, index = sample["input"], sample["index"]
        name = item_line(item, LONGEST_NAME, self._columns) or f"input {index + 1}"
        if self._inputs.setdefault(name, index) != index:
            name = f"{name} (input {index + 1})"
        return name + (f" (repeat {sample['repeat'] + 1})" if sample["repeat"] else "")


def _case_of_job(row: Row) -> Iterator[ElementTree.Element]:
    """Yield an error case if the job did not finish."""
    why = row.entry.unfinished
    if why is not None:
        case = ElementTree.Element("testcase", classname="job", name=for_xml(row.entry.name))
        ElementTree.SubElement(case, "error", message=for_xml(why))
        yield case
