"""Compare the outputs of a run with the frozen outputs of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hforch.comparison.entries import Entry, is_only_shown, samples_of
from hforch.comparison.freezing import machine_of
from hforch.config.added_keys import with_added_keys
from hforch.config.as_recipe import differing, flat
from hforch.config.frozen import Frozen, FrozenOutput, digest_of, digest_of_text
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.machine.environment import PACKAGES
from hforch.utils.sequences import first_diff

AROUND = 40  # number of characters shown on each side of a difference


# ---------------------------------------------------------------- verifying
@dataclass(frozen=True)
class Difference:
    """An answer that differs from the frozen one.

    Attributes:
        index: position of the input among the inputs, from 0.
        repeat: number of the repeat, from 0.
        at: index of the first different token or character; None if only a digest was frozen.
    """

    input_id: str
    index: int
    repeat: int
    at: int | None
    frozen: str | None
    now: str | None


@dataclass
class Verdict:
    """The result of comparing a run with a frozen one.

    Attributes:
        outputs: the number of frozen answers.
        unit: what was compared: tokens, or characters if there are no token ids.
        missing: the input ids of the frozen answers that the run does not have.
        changed: changes of configuration, model, batches, versions and machine: name, frozen value, current value.
        is_model_known: whether both runs have a fingerprint of the weights, so that a change is detected.
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
    """Return the frozen run that a recipe contains.

    Raises:
        ConfigError: the file is not a recipe, or not a frozen one.
    """
    from hforch.config.config_dirs import find_config_dirs
    from hforch.config.recipes import read_recipe

    data = read_recipe(file, find_config_dirs())
    if data.get("frozen") is None:
        problem = "not a frozen recipe: it contains no outputs to compare with"
        raise ConfigError(
            [Mistake("frozen", problem, str(file), "create a frozen recipe with: hforch freeze JOB_DIR -o RECIPE")]
        )
    return Frozen.model_validate(data["frozen"])


def verdict(frozen: Frozen, entry: Entry) -> Verdict:
    """Compare a run with the frozen one.

    Raises:
        HforchError: the run failed or did not finish.
    """
    if entry.record.get("status") != "ok":
        error = (entry.record.get("error") or {}).get("message") or "see its samples"
        raise HforchError(f"the run did not finish; nothing to compare: {error}")
    by_text = frozen.compared_by == "text" or "token_ids" in (entry.record.get("absent") or {})
    found = Verdict(len(frozen.outputs), "characters" if by_text else "tokens", changed=list(changed(frozen, entry)))
    found.is_model_known = None not in (frozen.model.get("fingerprint"), entry.record["model"].get("fingerprint"))
    wanted = {(one.input_id, one.repeat): one for one in frozen.outputs}
    for sample in samples_of(entry):
        one = wanted.pop((sample["input_id"], sample["repeat"]), None)
        if one is not None and not _is_same(one, sample, frozen, by_text):
            at = _first_difference(one, sample, by_text)
            texts = _around(one.text, sample["text"])
            found.differences.append(Difference(one.input_id, sample["index"], one.repeat, at, *texts))
    found.missing = [input_id for input_id, _ in wanted]
    return found


def _is_same(one: FrozenOutput, sample: Mapping[str, Any], frozen: Frozen, by_text: bool) -> bool:
    """Return whether an answer equals the frozen one.

    Raises:
        HforchError: the frozen answer is a digest of token ids, but the new answer has no token ids.
    """
    if not by_text:
        return one.sha256 == digest_of(sample["output_ids"] or [])
    if frozen.compared_by == "text":
        return one.sha256 == digest_of_text(sample["text"])
    if one.text is None:
        problem = f"the frozen answer to input {one.input_id} is a digest of token ids"
        raise HforchError(f"{problem}; this run has no token ids to compare with it")
    return one.text == sample["text"]


def _first_difference(one: FrozenOutput, sample: Mapping[str, Any], by_text: bool) -> int | None:
    if by_text:
        return None if one.text is None else first_diff(one.text, sample["text"])
    return None if one.ids is None else first_diff([int(id) for id in one.ids.split()], sample["output_ids"] or [])


def changed(frozen: Frozen, entry: Entry) -> Iterator[tuple[str, Any, Any]]:
    """Yield the changes since the frozen run, in configuration, exported model, batches, versions and machine."""
    record = entry.record
    was = with_added_keys(frozen.job)
    then, now = dict(flat(was)), dict(flat(entry.job))
    for path in sorted(differing(was, entry.job)):
        if not is_only_shown(path) and (then.get(path), now.get(path)) != (None, None):
            yield path, then.get(path, "not set"), now.get(path, "not set")
    export = (record["model"].get("export") or {}).get("key")
    if frozen.model.get("export") != export:
        yield "exported model", frozen.model.get("export"), export
    if frozen.plan != record["plan"]:
        was_number, number = len(frozen.plan), len(record["plan"])
        yield "batches", f"{was_number}", f"{number}{' (with other inputs)' if number == was_number else ''}"
    packages = record["environment"]["packages"]
    # Older recipes do not contain the versions of the backend's packages.
    for name in sorted(frozen.packages.keys() | (packages.keys() & {*PACKAGES})):
        if frozen.packages.get(name) != packages.get(name):
            yield name, frozen.packages.get(name), packages.get(name)
    machine = machine_of(record)
    for name, value in frozen.machine.model_dump().items():
        if value != machine[name]:
            yield name, value, machine[name]


def _around(frozen: str | None, now: str) -> tuple[str | None, str]:
    """Return excerpts of both texts around their first difference, with an ellipsis where text is omitted."""
    if frozen is None:
        return None, _excerpt(now, 0, 2 * AROUND)
    at = first_diff(frozen, now)
    start, end = max(0, at - AROUND), at + AROUND
    return _excerpt(frozen, start, end), _excerpt(now, start, end)


def _excerpt(text: str, start: int, end: int) -> str:
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
