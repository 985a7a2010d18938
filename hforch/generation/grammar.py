"""Answers that fit a JSON Schema: at every step only the tokens that may come next are allowed.

llguidance tells which those are (https://github.com/guidance-ai/llguidance). A schema must be one that it can enforce
to the last keyword: what no grammar says would be silently ignored, so it is refused. A backend with another grammar
engine says what that one does not enforce (`Capabilities.unenforced`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hforch.checks.json_schemas import schema_of
from hforch.config.schema import Generation, Job
from hforch.errors import Mistake, UnknownArgument

PATH = "generation.json_schema"
BLANKS = r"\n? {0,12}"
"""What may stand between the parts: enough to indent. With any number of blanks, small models write nothing else."""
Unenforced = Callable[[Mapping[str, Any]], str | None]
"""Returns what of a schema answers cannot be held to, for people; None if they can."""


def resolved(generation: Generation) -> Generation:
    """`generation` with the schema itself where a file is named.

    Raises:
        UnknownArgument: the file cannot be read, or holds no schema.
    """
    if not isinstance(generation.json_schema, str):
        return generation
    try:
        return generation.model_copy(update={"json_schema": schema_of(generation.json_schema)})
    except ValueError as error:
        raise UnknownArgument(f"json_schema={generation.json_schema!r} {error}") from error


def required_schema(generation: Generation, unenforced: Unenforced | None = None) -> Mapping[str, Any] | None:
    """The schema that answers are to be held to; None without one.

    Args:
        unenforced: of the grammar engine; llguidance's if None.

    Raises:
        UnknownArgument: that cannot be done, or not together with what else is asked for.
    """
    schema = resolved(generation).json_schema
    if schema is None:
        return None
    assert not isinstance(schema, str)
    both = {"num_beams": (generation.num_beams or 1) > 1, "ignore_eos": generation.ignore_eos}
    both["min_new_tokens"] = bool(generation.min_new_tokens)
    if excluded := [name for name, is_set in both.items() if is_set]:
        raise UnknownArgument(f"json_schema cannot be kept together with {', '.join(excluded)}")
    if problem := (unenforced or unsupported)(schema):
        raise UnknownArgument(f"json_schema: {problem}")
    return schema


def check(job: Job, unenforced: Unenforced) -> list[Mistake]:
    """What keeps an answer from being held to the job's schema."""
    if job.generation.json_schema is None:
        return []
    try:
        schema = schema_of(job.generation.json_schema)
    except ValueError as error:
        hint = "a path is taken from the folder in which hforch is started"
        return [Mistake(PATH, f"{job.generation.json_schema} {error}", None, hint)]
    problem = unenforced(schema)
    hint = "leave it out, and let a check of kind json_schema look at it afterwards"
    return [Mistake(PATH, problem, None, hint)] if problem else []


def unsupported(schema: Mapping[str, Any]) -> str | None:
    """What of a schema llguidance cannot enforce, for people; None if all of it is."""
    return _llguidance_lacks(json.dumps(schema))


@lru_cache(maxsize=64)
def _llguidance_lacks(schema: str) -> str | None:
    from llguidance import LLMatcher

    wrong, told = LLMatcher.validate_grammar_with_warnings(_grammar(schema))
    if not wrong:
        return None
    said = " ".join(" ".join(told).split())
    return f"the grammar engine cannot enforce this schema: {said.removesuffix('.')}"


def _grammar(schema: str) -> str:
    from llguidance import LLMatcher

    return str(LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_pattern": BLANKS}))


class Guide:
    """A model's vocabulary as llguidance wants it.

    Args:
        tokenizer_json: the contents of tokenizer.json.
        eos: the ids that end an answer.
    """

    def __init__(self, tokenizer_json: str, eos: Sequence[int]) -> None:
        self._json, self.eos = tokenizer_json, list(eos)
        self._tokenizers: dict[int, Any] = {}

    def processor(self, schema: Mapping[str, Any], prompt_tokens: int) -> Any:
        """A logits processor of transformers for one call.

        Args:
            prompt_tokens: how many ids stand before the first generated one, padding included.
        """
        from transformers import LogitsProcessor

        guide = self

        class FitsTheSchema(LogitsProcessor):
            def __init__(self) -> None:
                self.rows: list[Any] = []

            def __call__(self, input_ids: Any, scores: Any) -> Any:
                if input_ids.shape[1] == prompt_tokens:
                    self.rows = [guide._matcher(schema, scores.shape[-1]) for _ in range(input_ids.shape[0])]
                else:
                    for matcher, token in zip(self.rows, input_ids[:, -1].tolist(), strict=True):
                        if not (matcher.is_stopped() or matcher.is_error()):
                            matcher.consume_token(token)
                return _masked(scores, self.rows, guide.eos)

        return FitsTheSchema()

    def _matcher(self, schema: Mapping[str, Any], width: int) -> Any:
        from llguidance import LLMatcher, LLTokenizer

        if width not in self._tokenizers:  # a model may score more ids than the tokenizer has
            self._tokenizers[width] = LLTokenizer(self._json, n_vocab=width, eos_token=self.eos)
        return LLMatcher(self._tokenizers[width], _grammar(json.dumps(schema)))


def _masked(scores: Any, rows: Sequence[Any], eos: Sequence[int]) -> Any:
    """Scores of shape (rows, vocabulary), -inf for what may not come next; where nothing may, an answer ends."""
    import numpy
    import torch

    width = scores.shape[-1]
    mask = numpy.zeros((len(rows), (width + 31) // 32), dtype=numpy.int32)
    for row, matcher in zip(mask, rows, strict=True):
        if not (matcher.is_stopped() or matcher.is_error()):
            matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
    allowed = numpy.unpackbits(mask.view(numpy.uint8), axis=1, bitorder="little")[:, :width]
    for row in allowed:
        if not row.any():
            row[list(eos)] = 1
    return scores.masked_fill(torch.from_numpy(allowed == 0).to(scores.device), float("-inf"))
