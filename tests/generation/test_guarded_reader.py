"""Scoring rejects texts whose logits would depend on the rest of their batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

from hforch.backends.base import load
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError
from hforch.generation.logit_reader import LogitReader
from hforch.utils.progress import Silent

pytestmark = pytest.mark.model

SWITCH = 32
LONG, SHORT = [5, 6, 7, 8, 9, 10, 11], [300, 301]
TEXTS = [[20, 21, 22, 23], [40, 41, 42, 43]]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], LogitReader]:
    """Return the logit reader of a tiny model on a backend."""
    folders: dict[str, Path] = {}
    top = tmp_path_factory.mktemp("tiny")
    made: dict[tuple[str, str], LogitReader] = {}

    def reader(model: str, backend: str) -> LogitReader:
        if model not in folders:
            bart = model == "bart"
            folders[model] = tiny_models.save_bart(top / model) if bart else tiny_models.save_phi3(top / model, SWITCH)
        if (model, backend) not in made:
            job = job_from_overrides(["model=local", f"model.path={folders[model]}", f"backend={backend}", *EXACT])
            loaded = load(job, Silent())
            assert loaded.logit_reader is not None
            made[model, backend] = loaded.logit_reader()
        return made[model, backend]

    return reader


def logits_of(reader: LogitReader, prompts: list[list[int]], texts: list[list[int]]) -> list[numpy.ndarray]:
    pieces = [logits.copy() for _, logits in reader.read(prompts, texts, 32)]
    return list(numpy.concatenate(pieces, axis=1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_prompts_of_different_lengths_are_rejected_if_padding_counts(
    readers: Callable[[str, str], LogitReader], backend: str
) -> None:
    reader = readers("bart", backend)
    with pytest.raises(BackendError, match=r"use scoring\.batch_size=1"):
        logits_of(reader, [LONG, SHORT], TEXTS)
    together = logits_of(reader, [LONG, LONG], TEXTS)
    alone = [logits_of(reader, [LONG], [text])[0] for text in TEXTS]
    numpy.testing.assert_allclose(together, alone, rtol=0, atol=2e-4)


@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
def test_a_text_across_the_switch_of_longrope_is_rejected(
    readers: Callable[[str, str], LogitReader], backend: str
) -> None:
    reader = readers("phi3", backend)
    with pytest.raises(BackendError, match=r"beyond 32 tokens.*use shorter texts"):
        logits_of(reader, [LONG], [[20] * (SWITCH - len(LONG) + 1)])
    for prompts, texts in (([LONG, SHORT], TEXTS), ([LONG * 6, SHORT * 20], TEXTS)):  # below and beyond the switch
        together = logits_of(reader, prompts, texts)
        alone = [logits_of(reader, [prompt], [text])[0] for prompt, text in zip(prompts, texts, strict=True)]
        numpy.testing.assert_allclose(together, alone, rtol=0, atol=2e-4)
