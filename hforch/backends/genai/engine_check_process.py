"""A subprocess that measures how openvino-genai's engine deviates from OpenVINO; `engine_check.py` starts it.

The engine replaces the attention of an IR with paged attention. It completes prompts of random tokens with the most
likely tokens, and OpenVINO reads the same tokens with the IR as it is. The subprocess frees the memory of both models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.backends.genai.pipeline import generate, open_pipeline
from hforch.backends.ov.device import EXACT, short_message
from hforch.generation.logit_reader import openvino_logit_reader
from hforch.models import subprocesses

CHUNK = 64  # tokens per forward pass of OpenVINO


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `engine_check.Deviation`, or `{"failed": reason}`.

    Args:
        request: `folder` and `tokenizer`, directories; `device`, `properties` and `scheduler` of the engine; `lengths`,
            the number of tokens of each prompt and of its completion.
    """
    import numpy

    folder, device, properties = Path(request["folder"]), request["device"], request["properties"]
    random = numpy.random.default_rng(0)
    size = _vocabulary(folder)
    prompts = [random.integers(0, size, length).tolist() for length, _ in request["lengths"]]
    try:
        pipe = open_pipeline(folder, Path(request["tokenizer"]), device, request["scheduler"], properties)
        wanted = [{"max_new_tokens": new, "ignore_eos": True, "logprobs": 1} for _, new in request["lengths"]]
        outputs = generate(pipe, list(zip(prompts, wanted, strict=True)))
        del pipe
        texts = [list(output.generated_ids) for output in outputs]
        found = list(_read(folder, device, properties, prompts, texts))
        exact = found if properties == EXACT and device == "CPU" else list(_read(folder, "CPU", EXACT, prompts, texts))
    except Exception as error:
        return {"failed": short_message(error)}
    own = numpy.concatenate([numpy.array(output.generated_log_probs) for output in outputs])
    read, precise = numpy.concatenate([one for one, _, _ in found]), numpy.concatenate([one for one, _, _ in exact])
    return {
        "margin": float(numpy.max(numpy.concatenate([margin for _, margin, _ in found]))),
        "largest": float(numpy.max(abs(own - read))),
        "mean": float(numpy.mean(abs(own - read))),
        "largest_rounding": float(numpy.max(abs(read - precise))),
        "mean_rounding": float(numpy.mean(abs(read - precise))),
        "spread": float(numpy.mean(numpy.concatenate([spread for _, _, spread in found]))),
        "tokens": len(own),
        "longest": max(length for length, _ in request["lengths"]),
    }


def _read(
    folder: Path,
    device: str,
    properties: Mapping[str, str],
    prompts: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield, for the tokens of each text as OpenVINO reads them, arrays of shape (tokens,).

    They are the log-probability of the token, the difference between it and that of the most likely token, and the
    standard deviation of the logits.
    """
    import numpy

    reader = openvino_logit_reader(folder, device, dict(properties), pad=0)
    try:
        for prompt, text in zip(prompts, texts, strict=True):
            logits = numpy.concatenate(
                [numpy.array(rows[0], dtype=numpy.float64) for _, rows in reader.read([prompt], [text], CHUNK)]
            )
            highest = logits.max(axis=1)
            normalizer = highest + numpy.log(numpy.exp(logits - highest[:, None]).sum(axis=1))
            chosen = logits[numpy.arange(len(text)), text]
            yield chosen - normalizer, highest - chosen, numpy.where(numpy.isfinite(logits), logits, 0).std(axis=1)
    finally:
        reader.close()


def _vocabulary(folder: Path) -> int:
    import openvino

    model = openvino.Core().read_model(folder / "openvino_model.xml")
    return int(model.output("logits").get_partial_shape()[2].get_length())


if __name__ == "__main__":
    subprocesses.answer(measure)
