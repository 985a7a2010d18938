"""Freeze a run into a recipe that reproduces it."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hforch.checks.json_schemas import schema_of
from hforch.comparison.entries import Entry, samples_of
from hforch.config.as_recipe import differing, recipe_of, to_yaml
from hforch.config.compose import Composed, compose
from hforch.config.credentials import put, recorded
from hforch.config.frozen import Frozen, FrozenOutput, digest_of, digest_of_text
from hforch.config.hydra_adapter.parsing import quoted
from hforch.config.keys import affecting, groups
from hforch.config.models.base import ModelSource
from hforch.config.models.registry import SOURCES
from hforch.config.options import option
from hforch.config.path_settings import with_files
from hforch.config.schema import Job
from hforch.config.untrusted import NAMES_A_FILE, TRUST
from hforch.errors import ConfigError, Mistake, shown
from hforch.inputs import load_inputs
from hforch.records.record_files import RECORD
from hforch.records.sample_lines import SAMPLES
from hforch.utils.paths import expanded
from hforch.utils.redaction import STRUCK

PLAIN = re.compile(r"\$\{[\w.:,{}$]+\}")  # an interpolation that Hydra parses without quotes
IN_FULL = 1000  # outputs stored as token ids and text; the others are stored as digests
WHOLE = "resume the run, or run it again; then freeze it"


# ---------------------------------------------------------------- freezing
def freeze(entry: Entry) -> str:
    """Return the text of a recipe that reproduces a run on any machine that has its model.

    Raises:
        ConfigError: the run is incomplete, or a recipe cannot describe it.
    """
    refuse_halves(entry)
    refuse_redacted(entry)
    _refuse_lacking(entry)
    job, needs = _portable(entry)
    recipe = to_yaml(recipe_of(_left_open(job, entry)))
    with tempfile.TemporaryDirectory(prefix="hforch-freeze-") as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(recipe, encoding="utf-8")
        composed = _composed(file, needs)
    whole = recorded(composed.job.model_dump(mode="json"), composed.from_env)["job"]
    if unlike := sorted(path for path in differing(whole, job)):
        raise ConfigError([Mistake(path, "this value cannot be stored in a recipe") for path in unlike])
    inputs = load_inputs(composed.job.inputs)
    if sorted(one.id for one in inputs) != sorted(chain.from_iterable(entry.record["plan"])):
        problem = "the inputs cannot be restored from the recorded samples"
        raise ConfigError([Mistake("inputs", problem, str(entry.samples), "records do not contain credentials")])
    frozen = _frozen(entry, needs, whole)
    return f"{_head(entry, needs)}{recipe}{to_yaml({'frozen': frozen.model_dump(mode='json')})}"


def refuse_halves(entry: Entry) -> None:
    """Raise ConfigError if a run has failed samples or did not finish."""
    record = entry.record
    if record.get("status") != "ok":
        error = record.get("error") or {}
        failed = (record.get("totals") or {}).get("failed")
        why = error.get("message") or (
            f"{failed} sample{'s' * (failed != 1)} failed" if failed else "it did not finish"
        )
        problem = f"the run is incomplete (status {record.get('status')}): {why}"
        raise ConfigError([Mistake("", problem, str(entry.directory), WHOLE)])


def _refuse_lacking(entry: Entry) -> None:
    """Raise ConfigError if a record lacks keys or its job is invalid."""
    record, path = entry.record, entry.directory / RECORD
    there = {
        "started": record.get("started"),
        "plan": record.get("plan"),
        "model": record.get("model"),
        "environment.packages": (record.get("environment") or {}).get("packages"),
    }
    lacking = [f"{name} is missing" for name, value in there.items() if value in (None, "")]
    try:
        if not record.get("from_env"):  # environment variables are placeholders, which are not valid values
            Job.model_validate(entry.job)
    except ValidationError as error:
        lacking += [f"job.{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()]
    if lacking:
        problem = f"{path} is not a valid record: {'; '.join(lacking[:3])}"
        raise ConfigError([Mistake("", problem, None, "the record was changed after hforch wrote it")])


def refuse_redacted(entry: Entry) -> None:
    """Raise ConfigError if the configuration of a run contained a credential, which its record does not store."""
    if paths := entry.record.get("redacted"):
        problem = f"contained a credential, which the record stores as {STRUCK}; no recipe can reproduce this run"
        hint = "run again with the credential in an environment variable: {}=${{oc.env:NAME}}"
        raise ConfigError([Mistake(path, problem, str(entry.directory), hint.format(path)) for path in paths])


def _from_env(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the interpolations of environment variables, which a recipe must not contain: path and text."""
    for path, text in (entry.record.get("from_env") or {}).items():
        if path.startswith("inputs.items") or path.partition(".")[0] not in ("inputs", "scoring"):
            yield str(path), str(text)


def _left_open(job: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return the values of a job, with `???` (mandatory value) for those that come from environment variables."""
    whole: dict[str, Any] = deepcopy(dict(job))
    for path, _ in _from_env(entry):
        put(whole, tuple(int(step) if step.isdigit() else step for step in path.split(".")), "???")
    return whole


def _portable(entry: Entry) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a job with absolute paths and inline inputs, and overrides to omit from a recipe."""
    job = {group: dict(part) for group, part in entry.job.items()}
    cwd = Path(str(entry.record.get("cwd") or "."))
    needs: list[str] = []
    model = job["model"] = _source(entry).pinned(job["model"], entry.record.get("model") or {})
    if "path" in model:
        model["path"] = str((cwd / expanded(str(model["path"]))).resolve())
    if "items" in job.get("checks", {}):
        items = job["checks"]["items"]
        job["checks"]["items"] = [with_files(one, lambda file: str((cwd / expanded(file)).resolve())) for one in items]
    if isinstance(named := job["generation"].get("json_schema"), str):
        job["generation"]["json_schema"] = _schema(str((cwd / expanded(named)).resolve()))
    if model[TRUST]:
        needs.append(f"model.{TRUST}=true")
    for name, value in job["ov_config"].items():
        if NAMES_A_FILE.search(name.upper()) and value != "":
            needs.append(f"ov_config.{name}={json.dumps(value)}")
    job["inputs"] = {"kind": "inline", "items": _items(entry), "limit": None}
    # Later rounds only measure the same answers again.
    job["runtime"] |= {"rounds": 1, "measure": option("runtime", "default")["measure"]}
    for path, text in _from_env(entry):
        steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
        put(job, steps, text)
        needs.append(f"{path}={text if PLAIN.fullmatch(text) else quoted(text)}")
    # A single run has no baseline, its scores are stored under `frozen`, and a recipe contains no tracker.
    for group in (*(path for path in affecting(("scores",)) if path in groups()), "tracker"):
        job[group] = option(group, "none")
    return job, needs


def _source(entry: Entry) -> type[ModelSource]:
    """Return the class of the model source of a run.

    Raises:
        ConfigError: its record has no valid source.
    """
    name = str((entry.job.get("model") or {}).get("source"))
    if name not in SOURCES:
        problem = f"{entry.directory / RECORD} is not a valid record: job.model.source: unknown source {name!r}"
        raise ConfigError([Mistake("", problem, None, f"available: {', '.join(SOURCES)}")])
    return SOURCES[name]


def _schema(path: str) -> dict[str, Any]:
    try:
        return schema_of(path)
    except ValueError as error:
        raise ConfigError([Mistake("generation.json_schema", f"{path} {error}")]) from error


def _items(entry: Entry) -> list[Any]:
    """Return the inputs that the samples contain, in order."""
    found = {sample["index"]: sample["input"] for sample in samples_of(entry) if sample["repeat"] == 0}
    return [found[index] for index in sorted(found)]


def _answers(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield the samples of the first round of a run.

    Raises:
        ConfigError: samples are missing or damaged; raised after the last sample.
    """
    seen = 0
    for sample in samples_of(entry):
        seen += 1
        if not sample.get("round"):
            yield sample
    told = (entry.record.get("totals") or {}).get("samples")
    if told != seen:
        problem = f"{entry.samples / SAMPLES} has {seen} samples; the record counts {told}"
        raise ConfigError([Mistake("", problem, None, WHOLE)])


def _composed(file: Path, needs: Sequence[str]) -> Composed:
    try:
        return compose(needs, recipe=file)
    except ConfigError as error:
        told = [Mistake(one.path, f"cannot be frozen: {one.problem}", None, one.hint) for one in error.mistakes]
        raise ConfigError(told) from error


def _frozen(entry: Entry, needs: Sequence[str], job: Mapping[str, Any]) -> Frozen:
    record, answers = entry.record, _answers(entry)
    source = {key: value for key, value in record["model"].items() if isinstance(value, str)}
    export = (record["model"].get("export") or {}).get("key")
    by_text = "token_ids" in (record.get("absent") or {})
    return Frozen(
        schema_version=1,
        started=record["started"],
        overrides=record.get("overrides") or [],
        needs=list(needs),
        job=dict(job),
        model={**source, "export": export},
        packages=record["environment"]["packages"],
        machine=machine_of(record),  # type: ignore[arg-type]
        plan=record["plan"],
        outputs=[
            *(_output(one, True, by_text) for one in islice(answers, IN_FULL)),
            *(_output(one, False, by_text) for one in answers),
        ],
        compared_by="text" if by_text else "token_ids",
        scores=(record.get("scores") or {}).get("metrics"),
    )


def machine_of(record: Mapping[str, Any]) -> dict[str, Any]:
    environment = record.get("environment") or {}
    cpu = environment.get("cpu") or {}
    names = [str(one.get("name", one)) if isinstance(one, Mapping) else str(one) for one in _accelerators(environment)]
    about = {"os": environment.get("os", ""), "python": environment.get("python", "")}
    return {**about, "cpu": cpu.get("name"), "usable_cores": cpu.get("usable_cores"), "accelerators": names}


def _accelerators(environment: Mapping[str, Any]) -> list[Any]:
    return list(environment.get("accelerators") or [])


def _output(sample: Mapping[str, Any], in_full: bool, by_text: bool) -> FrozenOutput:
    ids = sample["output_ids"] or []
    return FrozenOutput(
        input_id=sample["input_id"],
        repeat=sample["repeat"],
        finish_reason=sample["finish_reason"],
        sha256=digest_of_text(sample["text"]) if by_text else digest_of(ids),
        ids=" ".join(map(str, ids)) if in_full and not by_text else None,
        text=sample["text"] if in_full else None,
    )


def _head(entry: Entry, needs: Sequence[str]) -> str:
    asked = " ".join(entry.record.get("overrides") or []) or "the defaults"
    lines = [f"Frozen by hforch from a run started {entry.record['started']}: {shown(asked)}"]
    lines += ["Run it: hforch run RECIPE. Verify its outputs: hforch verify RECIPE."]
    if _source(entry).is_local:
        lines += ["The model is a local file or directory: set model.path=... on other machines."]
    if needs:
        lines += [f"Pass on the command line, as a recipe must not contain them: {shown(shlex.join(needs))}"]
    return "".join(f"# {line}\n" for line in lines)
