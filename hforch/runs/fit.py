"""Whether a job's model fits into the memory of this machine, before it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from hforch.backends.base import together
from hforch.config.schema import Job
from hforch.errors import HforchError, Mistake
from hforch.inputs import Input
from hforch.models.estimate import Estimate, at_hand, estimate
from hforch.models.tokenizers import open_tokenizer, tokenizing
from hforch.prompts import build_prompt, variables_of
from hforch.runs.processor import memory

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = 3.0  # a token, where there is no tokenizer to ask: fewer than most texts have, so that more are counted
MANY = 100  # inputs are rendered to find the longest prompt, the longest ones as they stand
ON_THIS_MEMORY = ("cpu",)  # other devices have memory of their own, which is not looked at


def look_ahead(job: Job, inputs: Sequence[Input]) -> Estimate:
    """What a job will take at least."""
    folder, *_ = at_hand(job.model)
    beams = job.generation.num_beams or 1
    return estimate(job, longest(job, inputs, folder), min(together(job), len(inputs)) * beams)


def longest(job: Job, inputs: Sequence[Input], folder: Path | None) -> int:
    """The tokens of the longest prompt and of its longest answer."""
    template = build_prompt(job.prompt)
    if len(inputs) > MANY:
        inputs = nlargest(MANY, inputs, key=lambda each: len(str(each.item)))
    texts = [
        template.invoke(variables_of(each.item, job.prompt, template.input_variables)).to_string() for each in inputs
    ]
    text = max(texts, key=len, default="")
    new = job.generation.max_new_tokens or job.generation.max_length or 0
    if folder is not None and (folder / "tokenizer.json").is_file():
        with suppress(HforchError), tokenizing():  # what is damaged is told when it is loaded
            return len(_tokenizer(folder / "tokenizer.json").encode(text).ids) + new
    return round(len(text) / CHARACTERS) + new


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Any:
    return open_tokenizer(file)


def problem(job: Job, inputs: Sequence[Input]) -> Mistake | None:
    """`too_large` for one job; what is far from filling the memory is not looked at closely."""
    if job.runtime.memory_check == "off" or job.device.kind not in ON_THIS_MEMORY:
        return None
    rough = estimate(job, 0, 0)
    if (rough.memory_mb or 0.0) * 4 < memory()["memory_gb"] * 1000:
        return None
    return too_large(job, look_ahead(job, inputs))


def too_large(job: Job, expected: Estimate) -> Mistake | None:
    """A mistake if what a job takes at least is more than the machine has."""
    if expected.memory_mb is None or job.device.kind not in ON_THIS_MEMORY or job.runtime.memory_check == "off":
        return None
    has = memory()["memory_gb"] * 1000
    if expected.memory_mb <= has:
        return None
    kv = f" and a KV cache of {expected.kv_mb / 1000:.1f} GB" if expected.kv_mb else ""
    weights = (expected.weights_mb or 0.0) / 1000
    problem = f"weights of {weights:.1f} GB{kv} do not fit into the {has / 1000:.1f} GB of this machine"
    hint = "take a smaller precision, batch or model; runtime.memory_check=warn tries all the same"
    return Mistake("model", problem, None, hint)
