"""The `frozen` section of a recipe: the recorded run to reproduce, with its answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from hforch.config.schema import ConfigPart
from hforch.utils.strict_model import Count, NonEmpty

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FrozenOutput(ConfigPart):
    """One answer.

    Attributes:
        sha256: the SHA-256 of the token ids as a JSON list without spaces, or of the UTF-8 text; see
            `Frozen.compared_by`.
        ids: the token ids, separated by spaces; null after the first thousand answers of a run, or if only the text is
            known.
    """

    input_id: NonEmpty
    repeat: Count
    finish_reason: str
    sha256: Digest
    ids: Annotated[str, Field(pattern=r"^(\d+( \d+)*)?$")] | None
    text: str | None


class FrozenMachine(ConfigPart):
    os: str
    python: str
    cpu: str | None
    usable_cores: int | None
    accelerators: list[str]


class Frozen(ConfigPart):
    """A recorded run.

    Attributes:
        started: the start time, ISO 8601.
        overrides: the overrides of the run; the recipe's own values are equivalent.
        needs: overrides that the run requires and that a recipe must not contain.
        job: every value of the configuration, including `needs`.
        model: the fingerprint and the source of the weights.
        plan: the input ids of each batch.
        compared_by: `text` if the backend returned no token ids.
        scores: the scoring metrics, if any; the recipe does not contain their baseline or text, so they are shown,
            not recomputed.
    """

    schema_version: Literal[1]
    started: NonEmpty
    overrides: list[str]
    needs: list[str]
    job: dict[str, Any]
    model: dict[str, str | None]
    packages: dict[str, str | None]
    machine: FrozenMachine
    plan: list[list[str]]
    outputs: list[FrozenOutput]
    scores: dict[str, float | None] | None = None
    compared_by: Literal["token_ids", "text"] = "token_ids"


def digest_of_text(text: str) -> str:
    """Return the SHA-256 of an answer's text, for answers without token ids."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of(ids: Sequence[int]) -> str:
    """Return the SHA-256 of an answer's token ids."""
    return hashlib.sha256(json.dumps(list(ids), separators=(",", ":")).encode()).hexdigest()


def problems(tree: Any) -> list[tuple[str, str]]:
    """Return the errors in the `frozen` section of a recipe, as paths in the section and messages."""
    if not isinstance(tree, Mapping):
        return [("", "must be a mapping written by hforch freeze")]
    try:
        return list(_contradictions(Frozen.model_validate(dict(tree))))
    except ValidationError as error:
        return [(".".join(map(str, one["loc"])), one["msg"].lower()) for one in error.errors(include_url=False)]


def _contradictions(frozen: Frozen) -> Iterator[tuple[str, str]]:
    """Yield an error for each output that was edited, added or removed, which would make the comparison wrong."""
    seen = set()
    for number, one in enumerate(frozen.outputs):
        if one.ids is not None and digest_of([int(id) for id in one.ids.split()]) != one.sha256:
            yield f"outputs.{number}.ids", "do not match sha256"
        if frozen.compared_by == "text" and one.text is not None and digest_of_text(one.text) != one.sha256:
            yield f"outputs.{number}.text", "does not match sha256"
        if (one.input_id, one.repeat) in seen:
            yield f"outputs.{number}", "is a duplicate"
        seen.add((one.input_id, one.repeat))
    planned = {id for batch in frozen.plan for id in batch}
    if not seen:
        yield "outputs", "must not be empty"
    elif planned != {input_id for input_id, _ in seen}:
        yield "outputs", "do not match the inputs in frozen.plan: outputs were added or removed"
