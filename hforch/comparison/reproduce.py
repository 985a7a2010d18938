"""Freezing a run into a recipe that says everything about it, and telling whether another run repeats it."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from hforch.checks.json_schemas import schema_of
from hforch.comparison.drift import first_diff
from hforch.comparison.entries import Entry, is_only_shown, samples_of
from hforch.config.added_keys import with_added_keys
from hforch.config.as_recipe import differing, flat, recipe_of, to_yaml
from hforch.config.compose import Composed, compose
from hforch.config.credentials import put, recorded
from hforch.config.diagnose.overrides import quoted
from hforch.config.frozen import Frozen, FrozenOutput, digest_of, digest_of_text
from hforch.config.keys import affecting
from hforch.config.options import option
from hforch.config.schema import Job
from hforch.config.untrusted import NAMES_A_FILE, TRUST
from hforch.errors import ConfigError, HforchError, Mistake, shown
from hforch.inputs import load_inputs
from hforch.records.record_files import RECORD
from hforch.records.sample_lines import SAMPLES
from hforch.utils.redaction import STRUCK

PLAIN = re.compile(r"\$\{[\w.:,{}$]+\}")  # an interpolation that Hydra reads without quotes
IN_FULL = 1000  # so many outputs are kept as token ids and texts, the others as digests
AROUND = 40  # characters of text shown before and after a difference
WHOLE = "resume or repeat it, and freeze that"


# ---------------------------------------------------------------- freezing
def freeze(entry: Entry) -> str:
    """The text of a recipe that repeats a run, on any machine that has its model.

    Raises:
        ConfigError: the run is not whole, or a recipe cannot say what it was.
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
        raise ConfigError([Mistake(path, "this value cannot be written into a recipe") for path in unlike])
    inputs = load_inputs(composed.job.inputs)
    if sorted(one.id for one in inputs) != sorted(chain.from_iterable(entry.record["plan"])):
        problem = "what the records say of them does not give the same inputs again"
        raise ConfigError([Mistake("inputs", problem, str(entry.samples), "credentials are not in records")])
    frozen = _frozen(entry, needs, whole)
    return f"{_head(entry, needs)}{recipe}{to_yaml({'frozen': frozen.model_dump(mode='json')})}"


def refuse_halves(entry: Entry) -> None:
    """A run with failures, or one that has not ended, cannot be repeated."""
    record = entry.record
    if record.get("status") != "ok":
        error = record.get("error") or {}
        failed = (record.get("totals") or {}).get("failed")
        why = error.get("message") or (f"{failed} samples failed" if failed else "it has not come to its end")
        problem = f"this run is no whole one ({record.get('status')}): {why}"
        raise ConfigError([Mistake("", problem, str(entry.directory), WHOLE)])


def _refuse_lacking(entry: Entry) -> None:
    """A record from which something was removed, or whose job is none any more."""
    record, path = entry.record, entry.directory / RECORD
    there = {
        "started": record.get("started"),
        "plan": record.get("plan"),
        "model": record.get("model"),
        "environment.packages": (record.get("environment") or {}).get("packages"),
    }
    lacking = [f"it has no {name}" for name, value in there.items() if value in (None, "")]
    try:
        if not record.get("from_env"):  # what stands for a value from the environment fits no type
            Job.model_validate(entry.job)
    except ValidationError as error:
        lacking += [f"job.{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()]
    if lacking:
        problem = f"{path} is not as hforch writes it: {'; '.join(lacking[:3])}"
        raise ConfigError([Mistake("", problem, None, "something else has changed it")])


def refuse_redacted(entry: Entry) -> None:
    """Refuse a run whose record lacks a credential that its configuration held."""
    if paths := entry.record.get("redacted"):
        problem = f"held a credential, of which the record keeps {STRUCK}, so no recipe can repeat this run"
        hint = "run it again with the credential in an environment variable, and {}=${{oc.env:NAME}}"
        raise ConfigError([Mistake(path, problem, str(entry.directory), hint.format(path)) for path in paths])


def _from_env(entry: Entry) -> Iterator[tuple[str, str]]:
    """The interpolations that a recipe may not hold: those that read the environment, by path."""
    for path, text in (entry.record.get("from_env") or {}).items():
        if path.startswith("inputs.items") or path.partition(".")[0] not in ("inputs", "scoring"):
            yield str(path), str(text)


def _left_open(job: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """The values of a job for a recipe: `???` where the environment decides, which nobody can overlook."""
    whole: dict[str, Any] = deepcopy(dict(job))
    for path, _ in _from_env(entry):
        put(whole, tuple(int(step) if step.isdigit() else step for step in path.split(".")), "???")
    return whole


def _portable(entry: Entry) -> tuple[dict[str, Any], list[str]]:
    """The values of a job such that they mean the same anywhere, and the overrides that no recipe may hold."""
    job = {group: dict(part) for group, part in entry.job.items()}
    cwd = Path(str(entry.record.get("cwd") or "."))
    model, needs = job["model"], []
    if model["source"] == "hub":
        model["revision"] = (entry.record.get("model") or {}).get("commit") or model["revision"]
    if "path" in model:
        model["path"] = str((cwd / Path(str(model["path"])).expanduser()).resolve())
    if isinstance(named := job["generation"].get("json_schema"), str):
        job["generation"]["json_schema"] = _schema(str((cwd / Path(named).expanduser()).resolve()))
    if model[TRUST]:
        needs.append(f"model.{TRUST}=true")
    for name, value in job["ov_config"].items():
        if NAMES_A_FILE.search(name.upper()) and value != "":
            needs.append(f"ov_config.{name}={json.dumps(value)}")
    job["inputs"] = {"kind": "inline", "items": _items(entry), "limit": None}
    for path, text in _from_env(entry):
        steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
        put(job, steps, text)
        needs.append(f"{path}={text if PLAIN.fullmatch(text) else quoted(text)}")
    # A run of its own has no baseline, what was scored is under `frozen`; whoever repeats it chooses a tracker.
    for group in (*affecting(("scores",)), "tracker"):
        job[group] = option(group, "none")
    return job, needs


def _schema(path: str) -> dict[str, Any]:
    try:
        return schema_of(path)
    except ValueError as error:
        raise ConfigError([Mistake("generation.json_schema", f"{path} {error}")]) from error


def _items(entry: Entry) -> list[Any]:
    """The inputs, in order, as the samples tell them."""
    found = {sample["index"]: sample["input"] for sample in samples_of(entry) if sample["repeat"] == 0}
    return [found[index] for index in sorted(found)]


def _answers(entry: Entry) -> Iterator[dict[str, Any]]:
    """The samples of a whole run, all that its record counts.

    Raises:
        ConfigError: at the end, if some are missing, or damaged.
    """
    seen = 0
    for sample in samples_of(entry):
        seen += 1
        yield sample
    told = (entry.record.get("totals") or {}).get("samples")
    if told != seen:
        problem = f"{entry.samples / SAMPLES} has {seen} of the {told} samples that the record counts"
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
    lines = [f"Frozen by hforch from a run of {entry.record['started']}: {shown(asked)}"]
    lines += ["hforch run RECIPE runs it anywhere, hforch verify RECIPE says whether it still answers the same."]
    if entry.job["model"]["source"] in ("local", "gguf"):
        lines += ["Its model is a file or folder of one machine: give model.path=... on another."]
    if needs:
        lines += [f"No recipe may hold these, give them on the command line: {shown(shlex.join(needs))}"]
    return "".join(f"# {line}\n" for line in lines)


# ---------------------------------------------------------------- verifying
@dataclass(frozen=True)
class Difference:
    """An answer that is not the frozen one; `at` is the first other token or character, None if it cannot be known."""

    input_id: str
    repeat: int
    at: int | None
    frozen: str | None
    now: str | None


@dataclass
class Verdict:
    """How a run compares with a frozen one.

    Attributes:
        outputs: how many answers were frozen.
        unit: what was compared, tokens or, where there are no token ids, characters.
        missing: the input ids of frozen answers that the run has none for.
        changed: what of configuration, versions and machine is not as it was: name, then, now.
        is_model_known: whether the weights are known to be the same, or known to be others; without a fingerprint
            nobody knows.
    """

    outputs: int
    unit: Literal["tokens", "characters"] = "tokens"
    differences: list[Difference] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[tuple[str, Any, Any]] = field(default_factory=list)
    is_model_known: bool = True

    @property
    def is_identical(self) -> bool:
        return not self.differences and not self.missing


def read_frozen(file: Path) -> Frozen:
    """What a recipe says of the run that it was frozen from.

    Raises:
        ConfigError: it is no recipe, or not a frozen one.
    """
    from hforch.config.config_dirs import find_config_dirs
    from hforch.config.recipes import read_recipe

    data = read_recipe(file, find_config_dirs())
    if data.get("frozen") is None:
        problem = "this recipe was not frozen from a run, so there are no outputs to compare with"
        raise ConfigError(
            [Mistake("frozen", problem, str(file), "hforch freeze JOB_DIR -o RECIPE writes one that was")]
        )
    return Frozen.model_validate(data["frozen"])


def verdict(frozen: Frozen, entry: Entry) -> Verdict:
    """Compare a run with the frozen one.

    Raises:
        HforchError: the run has failed.
    """
    if entry.record.get("status") != "ok":
        error = (entry.record.get("error") or {}).get("message") or "see its samples"
        raise HforchError(f"the run did not come to its end, so there is nothing to compare: {error}")
    by_text = frozen.compared_by == "text" or "token_ids" in (entry.record.get("absent") or {})
    found = Verdict(len(frozen.outputs), "characters" if by_text else "tokens", changed=list(changed(frozen, entry)))
    found.is_model_known = None not in (frozen.model.get("fingerprint"), entry.record["model"].get("fingerprint"))
    wanted = {(one.input_id, one.repeat): one for one in frozen.outputs}
    for sample in samples_of(entry):
        one = wanted.pop((sample["input_id"], sample["repeat"]), None)
        if one is not None and not _is_same(one, sample, frozen, by_text):
            at = _first_difference(one, sample, by_text)
            found.differences.append(Difference(one.input_id, one.repeat, at, *_around(one.text, sample["text"])))
    found.missing = [input_id for input_id, _ in wanted]
    return found


def _is_same(one: FrozenOutput, sample: Mapping[str, Any], frozen: Frozen, by_text: bool) -> bool:
    """Whether an answer is the frozen one.

    Raises:
        HforchError: the frozen one is a digest of token ids, and the answer has none.
    """
    if not by_text:
        return one.sha256 == digest_of(sample["output_ids"] or [])
    if frozen.compared_by == "text":
        return one.sha256 == digest_of_text(sample["text"])
    if one.text is None:
        problem = f"of the frozen answer to input {one.input_id} only a digest of its token ids is kept"
        raise HforchError(f"{problem}, and this run has no token ids to compare it with")
    return one.text == sample["text"]


def _first_difference(one: FrozenOutput, sample: Mapping[str, Any], by_text: bool) -> int | None:
    if by_text:
        return None if one.text is None else first_diff(one.text, sample["text"])
    return None if one.ids is None else first_diff([int(id) for id in one.ids.split()], sample["output_ids"] or [])


def changed(frozen: Frozen, entry: Entry) -> Iterator[tuple[str, Any, Any]]:
    """What is not as it was: in the configuration, the model's files, the batches, the versions, the machine."""
    record = entry.record
    was = with_added_keys(frozen.job)
    then, now = dict(flat(was)), dict(flat(entry.job))
    for path in sorted(differing(was, entry.job)):
        if not is_only_shown(path) and (then.get(path), now.get(path)) != (None, None):
            yield path, then.get(path, "not there"), now.get(path, "not there")
    export = (record["model"].get("export") or {}).get("key")
    if frozen.model.get("export") != export:
        yield "the exported model", frozen.model.get("export"), export
    if frozen.plan != record["plan"]:
        yield "the batches", f"{len(frozen.plan)}", f"{len(record['plan'])}, or other inputs in them"
    packages = record["environment"]["packages"]
    for name in sorted(frozen.packages.keys() | packages.keys()):
        if frozen.packages.get(name) != packages.get(name):
            yield name, frozen.packages.get(name), packages.get(name)
    machine = machine_of(record)
    for name, value in frozen.machine.model_dump().items():
        if value != machine[name]:
            yield name, value, machine[name]


def _around(frozen: str | None, now: str) -> tuple[str | None, str]:
    """Both texts from a little before their first difference to a little after it."""
    if frozen is None:
        return None, now[: 2 * AROUND]
    at = first_diff(frozen, now)
    window = slice(max(0, at - AROUND), at + AROUND)
    return frozen[window], now[window]
