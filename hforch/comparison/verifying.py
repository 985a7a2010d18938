"""Tell whether a run repeats a frozen one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hforch.comparison.drift import first_diff
from hforch.comparison.entries import Entry, is_only_shown, samples_of
from hforch.comparison.freezing import machine_of
from hforch.config.added_keys import with_added_keys
from hforch.config.as_recipe import differing, flat
from hforch.config.frozen import Frozen, FrozenOutput, digest_of, digest_of_text
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.machine.environment import PACKAGES

AROUND = 40  # characters of text shown before and after a difference


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
    # Of a package that is the backend's own, an older recipe has no version.
    for name in sorted(frozen.packages.keys() | (packages.keys() & {*PACKAGES})):
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
