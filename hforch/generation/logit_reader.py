"""Compute the logits of given token sequences with a loaded model (teacher forcing).

The prompt is read first, then the text in chunks, so that each chunk attends to earlier tokens through the KV cache,
whose precision affects the logits. Only the logits of one chunk are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hforch.errors import BackendError
from hforch.generation.infer_request import fit_batch

if TYPE_CHECKING:
    import numpy

Ids = Sequence[int]
AT_ONCE_BYTES = 1 << 28  # size limit of a prompt's logits, if a model computes them for all its positions


class LogitReader(Protocol):
    """The interface of readers, which run a model over token sequences and yield their logits.

    Attributes:
        vocabulary: size of the vocabulary.
        about: description of the reader, for the record.
    """

    vocabulary: int
    about: str

    def read(self, prompts: Sequence[Ids], texts: Sequence[Ids], chunk: int) -> Iterator[tuple[int, numpy.ndarray]]:
        """Read prompts followed by their texts, as one batch.

        Args:
            prompts: token ids of each prompt, at least one.
            texts: token ids of each text.
            chunk: number of tokens of the texts per forward pass.

        Yields:
            (start, logits): float32 of shape (texts, positions, vocabulary). Row r, position p predicts token start + p
            of texts[r]; positions beyond the end of a shorter text are meaningless. The array is only valid until the
            next iteration.
        """
        ...

    def close(self) -> None:
        """Free the memory of the reader, which cannot be used afterwards."""
        ...


def pieces(prompts: Sequence[Ids], texts: Sequence[Ids], chunk: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the chunks that the model reads; the last token of the longest text predicts nothing."""
    longest = max(map(len, texts))
    for start in range(0, longest - 1, chunk):
        yield start, min(start + chunk, longest - 1)


class TorchLogitReader:
    """A LogitReader for a transformers model.

    Args:
        pad: token id for padding.
    """

    about = "transformers"

    def __init__(self, model: Any, pad: int) -> None:
        self.model, self.pad = model, pad
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._at_once = 1 if is_recurrent(model) else None

    def read(self, prompts: Sequence[Ids], texts: Sequence[Ids], chunk: int) -> Iterator[tuple[int, numpy.ndarray]]:
        import torch

        device, chunk = self.model.device, self._at_once or chunk
        ids, mask = (torch.tensor(rows, device=device) for rows in left_padded(prompts, self.pad))
        named: dict[str, Any] = {"use_cache": True}
        with torch.inference_mode():
            out = self.model(
                input_ids=ids, attention_mask=mask, position_ids=_positions(mask), **named, **self._last_only()
            )
            if getattr(out, "past_key_values", None) is None:
                raise BackendError(f"{type(self.model).__name__} has no KV cache, which reading logits requires")
            yield 0, out.logits[:, -1:].float().cpu().numpy()
            for start, end in pieces(prompts, texts, chunk):
                piece, there = (torch.tensor(rows, device=device) for rows in right_padded(texts, start, end, self.pad))
                mask = torch.cat([mask, there], dim=1)
                out = self.model(
                    input_ids=piece,
                    attention_mask=mask,
                    position_ids=_positions(mask)[:, -piece.shape[1] :],
                    past_key_values=out.past_key_values,
                    **named,
                )
                yield start + 1, out.logits.float().cpu().numpy()

    def close(self) -> None:
        pass

    def _last_only(self) -> dict[str, Any]:
        """Return the argument that limits logits to the last position, if the model supports it."""
        from inspect import signature

        return {"logits_to_keep": 1} if "logits_to_keep" in signature(self.model.forward).parameters else {}


def is_recurrent(model: Any) -> bool:
    """Return whether a transformers model has layers with a recurrent state instead of keys and values.

    Given a state, such models cannot process several tokens in one pass, or get other results than token by token.
    """
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    kinds = {str(kind) for kind in getattr(config, "layer_types", None) or ()}
    odd = any(word in kind for kind in kinds for word in ("linear", "mamba", "conv", "recurrent"))
    return bool(getattr(model, "_is_stateful", False)) or odd


class OpenVINOLogitReader:
    """A LogitReader for a stateful OpenVINO IR.

    Args:
        compiled: the compiled model; the reader creates its own infer request, because the engine's is bound to its
            inputs.
        pad: token id for padding.
        owner: the object that owns the engine's infer request, kept as long as the reader: if a request that has run is
            freed, the next inference of another one crashes.
    """

    def __init__(self, compiled: Any, pad: int, about: str = "openvino", owner: Any = None) -> None:
        self.pad, self.about = pad, about
        self._request: Any = None
        self._owner = owner
        self._compiled = compiled
        self._inputs = {name for port in compiled.inputs for name in port.get_names()}
        self.vocabulary = compiled.output("logits").get_partial_shape()[2].get_length()

    def read(self, prompts: Sequence[Ids], texts: Sequence[Ids], chunk: int) -> Iterator[tuple[int, numpy.ndarray]]:
        import numpy

        if self._request is None:
            self._request = self._compiled.create_infer_request()
        fit_batch(self._request, len(prompts))
        self._request.reset_state()
        ids, mask = (numpy.array(rows, dtype=numpy.int64) for rows in left_padded(prompts, self.pad))
        step = max(1, AT_ONCE_BYTES // (4 * self.vocabulary * len(prompts)))
        for at in range(0, ids.shape[1], step):
            logits = self._infer(ids[:, at : at + step], mask[:, : at + step])
        yield 0, logits[:, -1:]
        for start, end in pieces(prompts, texts, chunk):
            piece, there = (numpy.array(rows, dtype=numpy.int64) for rows in right_padded(texts, start, end, self.pad))
            mask = numpy.concatenate([mask, there], axis=1)
            yield start + 1, self._infer(piece, mask)
        self._request.reset_state()

    def close(self) -> None:
        self._request = None
        self._owner = None
        self._compiled.release_memory()

    def _infer(self, ids: Any, mask: Any) -> Any:
        import numpy

        positions = numpy.maximum(mask.cumsum(axis=1) - 1, 0)[:, -ids.shape[1] :]
        given = {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": positions,
            "beam_idx": numpy.arange(len(ids), dtype=numpy.int32),
        }
        self._request.infer({name: value for name, value in given.items() if name in self._inputs})
        return self._request.get_tensor("logits").data


def openvino_logit_reader(folder: Path, device: str, properties: dict[str, Any], pad: int) -> OpenVINOLogitReader:
    """Compile an IR again and return its reader, for an engine that does not expose its compiled model."""
    import openvino

    compiled = openvino.Core().compile_model(str(folder / "openvino_model.xml"), device, properties)
    return OpenVINOLogitReader(compiled, pad, "openvino, with the same IR and properties")


def left_padded(rows: Sequence[Ids], pad: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return token ids and attention mask, both of shape (rows, length of the longest)."""
    longest = max(map(len, rows))
    return (
        [[pad] * (longest - len(row)) + list(row) for row in rows],
        [[0] * (longest - len(row)) + [1] * len(row) for row in rows],
    )


def right_padded(rows: Sequence[Ids], start: int, end: int, pad: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return the tokens from `start` to `end` of each row, padded, and their attention mask.

    Padding does not count as a position, so that a row cannot exceed the context length of the model.
    """
    cut = [row[start:end] for row in rows]
    return (
        [[*row, *[pad] * (end - start - len(row))] for row in cut],
        [[1] * len(row) + [0] * (end - start - len(row)) for row in cut],
    )


def _positions(mask: Any) -> Any:
    return (mask.cumsum(dim=1) - 1).clamp(min=0)
