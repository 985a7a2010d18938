"""Constrain answers to a JSON Schema, by allowing only valid tokens at each step.

llguidance (https://github.com/guidance-ai/llguidance) determines the valid tokens. It must be able to enforce every
keyword of a schema; otherwise the schema is rejected, because the keyword would be silently ignored. A backend with
another grammar engine reports what that engine does not enforce (`Capabilities.unenforced`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hforch.checks.json_schemas import schema_of
from hforch.config.schema import Generation, Job
from hforch.errors import Mistake, UnknownArgument
from hforch.generation.bounded_schema import bounded, has_huge_numbers

PATH = "generation.json_schema"
MOST_BLANKS = 12
BLANKS = rf"\n? {{0,{MOST_BLANKS}}}"
"""Allowed whitespace: enough to indent. If it were unlimited, small models would generate nothing else."""
Unenforced = Callable[[Mapping[str, Any]], str | None]
"""Returns a message about the parts of a schema that cannot be enforced; None if all can."""


def resolved(generation: Generation) -> Generation:
    """Return `generation` with its schema loaded if `json_schema` is a file path.

    Raises:
        UnknownArgument: the file cannot be read or does not contain a schema.
    """
    if not isinstance(generation.json_schema, str):
        return generation
    try:
        return generation.model_copy(update={"json_schema": schema_of(generation.json_schema)})
    except ValueError as error:
        raise UnknownArgument(f"json_schema={generation.json_schema!r} {error}") from error


def require_eos(eos: Collection[int]) -> None:
    """Raise UnknownArgument if no EOS can end an answer that is valid against a JSON Schema."""
    if not eos:
        raise UnknownArgument(
            "json_schema requires a model with an EOS token, which ends an answer, but this model has none (no"
            " eos_token_id in its config.json and generation_config.json, and no eos_token in its tokenizer)"
        )


def required_schema(generation: Generation, unenforced: Unenforced | None = None) -> Mapping[str, Any] | None:
    """Return the schema to enforce, or None.

    Args:
        unenforced: see `Capabilities.unenforced`; llguidance's by default.

    Raises:
        UnknownArgument: the schema cannot be enforced, or conflicts with other generation settings.
    """
    schema = resolved(generation).json_schema
    if schema is None:
        return None
    assert not isinstance(schema, str)
    both = {"num_beams": (generation.num_beams or 1) > 1, "ignore_eos": generation.ignore_eos}
    both["min_new_tokens"] = bool(generation.min_new_tokens)
    if excluded := [name for name, is_set in both.items() if is_set]:
        raise UnknownArgument(f"json_schema cannot be combined with {', '.join(excluded)}")
    if problem := (unenforced or unsupported)(schema):
        raise UnknownArgument(f"json_schema: {problem}")
    return schema


def check(job: Job, unenforced: Unenforced) -> list[Mistake]:
    """Return an error if the job's schema cannot be loaded or enforced."""
    if job.generation.json_schema is None:
        return []
    try:
        schema = schema_of(job.generation.json_schema)
    except ValueError as error:
        hint = "a relative path is relative to the current directory, or to the recipe that sets it"
        return [Mistake(PATH, f"{job.generation.json_schema} {error}", None, hint)]
    problem = unenforced(schema)
    hint = "remove json_schema, and validate the answers with a check of kind json_schema instead"
    return [Mistake(PATH, problem, None, hint)] if problem else []


def unsupported(schema: Mapping[str, Any]) -> str | None:
    """Return a message about the parts of a schema that llguidance cannot enforce; None if it can."""
    if has_huge_numbers(schema):
        return "the grammar engine cannot enforce this schema: bounds of numbers must fit into 64 bits"
    return _llguidance_lacks(json.dumps(schema))


@lru_cache(maxsize=64)
def _llguidance_lacks(schema: str) -> str | None:
    from llguidance import LLMatcher

    is_invalid, warnings = LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_json_schema(schema))
    if not is_invalid:
        return None
    message = " ".join(" ".join(warnings).split())
    return f"the grammar engine cannot enforce this schema: {message.removesuffix('.')}"


@lru_cache(maxsize=64)
def _grammar(schema: str) -> str:
    """Return llguidance's grammar for a schema, given as JSON.

    Where only one text is valid, llguidance would also prescribe its tokens (`no_forcing`). The grammar engine of
    openvino_genai does not, so the same model would give other answers there.
    """
    from llguidance import LLMatcher

    limited = json.dumps({**bounded(json.loads(schema)), "x-guidance": {"whitespace_pattern": BLANKS}})
    return str(LLMatcher.grammar_from_lark(f'%llguidance {{"no_forcing": true}}\nstart: %json {limited}'))


class Guide:
    """A factory of logits processors that enforce a schema, for one vocabulary.

    Args:
        tokenizer_json: contents of tokenizer.json.
        eos: token ids that end an answer.
    """

    def __init__(self, tokenizer_json: str, eos: Sequence[int]) -> None:
        self._json, self.eos = tokenizer_json, list(eos)
        self._tokenizers: dict[int, Any] = {}

    def processor(self, schema: Mapping[str, Any], prompt_tokens: int) -> Any:
        """Return a transformers logits processor for one call.

        Args:
            prompt_tokens: number of token ids before the first generated one, including padding.
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

        if width not in self._tokenizers:  # the logits may have more entries than the tokenizer has tokens
            self._tokenizers[width] = LLTokenizer(self._json, n_vocab=width, eos_token=self.eos)
        return LLMatcher(self._tokenizers[width], _grammar(json.dumps(schema)))


def _masked(scores: Any, rows: Sequence[Any], eos: Sequence[int]) -> Any:
    """Set the scores of invalid next tokens to -inf; if no token is valid, only EOS is allowed.

    Args:
        scores: shape (rows, vocabulary).
    """
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
