"""The `frozen` part of a recipe: what a run that is to be repeated was like, and what it answered."""

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
        sha256: over the token ids as a JSON list without spaces, or over the text in UTF-8; see `Frozen.compared_by`.
        ids: the token ids, with spaces between; none beyond the first thousand answers of a run, or where only text is
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
    """What a run was like.

    Attributes:
        started: when it was, ISO 8601.
        overrides: how it was asked for; the recipe's own values say the same.
        needs: overrides without which it is another run, and which no recipe may hold.
        job: every value of the configuration, with `needs`.
        model: the fingerprint of its weights, and where they came from.
        plan: the input ids of each batch.
        compared_by: `text` where the backend gave no token ids.
        scores: the metrics of scoring, if it was scored; what they were taken against is not in the recipe, so they
            are told and not taken again.
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
    """What stands for an answer of which only the text is known."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of(ids: Sequence[int]) -> str:
    """What stands for the token ids of an answer."""
    return hashlib.sha256(json.dumps(list(ids), separators=(",", ":")).encode()).hexdigest()


def problems(tree: Any) -> list[tuple[str, str]]:
    """What is wrong with such a part of a recipe: paths below `frozen`, and why."""
    if not isinstance(tree, Mapping):
        return [("", "must be a mapping, as hforch freeze writes it")]
    try:
        return list(_contradictions(Frozen.model_validate(dict(tree))))
    except ValidationError as error:
        return [(".".join(map(str, one["loc"])), one["msg"].lower()) for one in error.errors(include_url=False)]


def _contradictions(frozen: Frozen) -> Iterator[tuple[str, str]]:
    """Outputs that somebody has changed, added or taken away by hand would make a wrong verdict."""
    seen = set()
    for number, one in enumerate(frozen.outputs):
        if one.ids is not None and digest_of([int(id) for id in one.ids.split()]) != one.sha256:
            yield f"outputs.{number}.ids", "are not those that sha256 was taken of"
        if frozen.compared_by == "text" and one.text is not None and digest_of_text(one.text) != one.sha256:
            yield f"outputs.{number}.text", "is not that which sha256 was taken of"
        if (one.input_id, one.repeat) in seen:
            yield f"outputs.{number}", "is there twice"
        seen.add((one.input_id, one.repeat))
    planned = {id for batch in frozen.plan for id in batch}
    if not seen:
        yield "outputs", "there are none, so there is nothing to compare with"
    elif planned != {input_id for input_id, _ in seen}:
        yield "outputs", "are not those of the inputs in frozen.plan: some were added or taken away"
