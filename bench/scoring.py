"""Overhead of scoring over a bare forward pass of the same tokens, measured alternately.

64 chat prompts, each with 128 given tokens, in batches of 8 and chunks of 32, as in conf/scoring. Scoring the baseline
finds the 256 most likely tokens of each position and writes them; scoring a job against it reads them, and computes
divergence, agreement and the positions that differ most.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy

from bench.bare import chunked_forward
from bench.generation import timed
from bench.ratios import Ratio, in_turns
from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table
from bench.workload import CHAT_TOKENS, prompts
from hforch.backends.base import LoadedModel, load
from hforch.config.compose import job_from_overrides
from hforch.config.schema import Job
from hforch.generation.logit_reader import left_padded
from hforch.records.record_files import DISTRIBUTIONS
from hforch.records.sample_lines import SAMPLES
from hforch.runs.memory_meter import MemoryMeter
from hforch.scoring.preflight import SHIPPED
from hforch.scoring.scorer import against_baseline, keep_baseline
from hforch.utils.json_text import to_json
from hforch.utils.progress import Silent

BACKENDS = {"pytorch": ("backend=pytorch", "precision=fp32"), "openvino": ("backend=openvino", "precision=int8")}
AT_MOST, LARGEST_MB = 1.3, 20.0


def run(scale: Scale) -> Iterator[Ratio | Table]:
    sizes: list[tuple[str, str, str]] = []
    for backend in BACKENDS:
        with TemporaryDirectory() as folder:
            yield from measure(backend, Path(folder), scale, sizes)
    yield Table("Memory and disk", ("what", "MB", "reference"), sizes)


def measure(backend: str, folder: Path, scale: Scale, sizes: list[tuple[str, str, str]]) -> Iterator[Ratio]:
    """Yield the ratios of times; append memory and disk use to `sizes`."""
    job = job_from_overrides([*BACKENDS[backend], "scoring=baseline"])
    loaded = load(job, Silent())
    assert loaded.logit_reader is not None
    texts, tokens = scale.pick((64, CHAT_TOKENS), (2, 16))
    write_samples(folder, loaded, prepared(*BACKENDS[backend]), texts, tokens)
    teacher, decode = loaded.logit_reader(), loaded.engine.vocabulary().decode
    other = folder / "other"
    other.mkdir()
    keep = partial(keep_baseline, job, folder, teacher, "")
    against = partial(against_baseline, job, other, folder, teacher, "", decode)
    bare = forward(backend, loaded, job, folder)
    bare()
    with MemoryMeter() as memory:
        bare()
        theirs = memory.peaks()["peak_rss_mb"]
    works = {"scoring the baseline": keep, "scoring a job against the baseline": against}
    for name, work in works.items():
        with MemoryMeter() as memory:
            work()
            more = memory.peaks()["peak_rss_mb"] - theirs
        whole = texts * tokens * teacher.vocabulary * 4 / 1e6
        sizes.append((f"{backend}: {name}, memory above the bare pass", f"{more:.0f}", f"all logits: {whole:.0f}"))
    size = (folder / DISTRIBUTIONS).stat().st_size / 1e6
    sizes.append((f"{backend}: file of stored distributions", f"{size:.1f}", f"at most: {LARGEST_MB:.0f}"))
    for name, work in works.items():
        yield in_turns(f"{backend}: {name}", partial(timed, work), partial(timed, bare), scale.rounds(3), AT_MOST)


def write_samples(folder: Path, loaded: LoadedModel, tokenizer: Path, texts: int, tokens: int) -> None:
    """Write artificial answers: excerpts of the shipped text."""
    ids = loaded.engine.encode(SHIPPED.read_text(encoding="utf-8"))
    starts = numpy.linspace(0, len(ids) - tokens, texts).astype(int)
    with (folder / SAMPLES).open("w", encoding="utf-8") as file:
        for index, (prompt, start) in enumerate(zip(prompts("chat", tokenizer)[:texts], starts, strict=True)):
            sample: dict[str, Any] = {"index": index, "input_id": f"{index:016x}", "repeat": 0, "error": None}
            sample |= {"batch": {"index": index, "size": 1, "place": 0}, "input": prompt, "prompt": prompt, "text": ""}
            sample |= {"prompt_ids": loaded.engine.encode(prompt), "output_ids": ids[start : start + tokens]}
            sample |= {"prompt_tokens": len(sample["prompt_ids"]), "output_tokens": tokens}
            sample |= {"finish_reason": "length", "timings": {}, "absent": {}}
            file.write(to_json(sample) + "\n")


def forward(backend: str, loaded: LoadedModel, job: Job, folder: Path) -> Any:
    from hforch.scoring.scorer import answers
    from hforch.scoring.token_reading import cut

    model = loaded.engine.model  # type: ignore[attr-defined]
    batches = []
    for batch in cut(answers(folder), job.scoring.batch_size):
        padded, mask = (numpy.array(rows) for rows in left_padded([one.prompt for one in batch], 0))
        batches.append((padded, mask, numpy.array([one.ids for one in batch])))
    if backend == "openvino":
        work = partial(chunked_forward.openvino, model.request.get_compiled_model())
    else:
        work = partial(chunked_forward.pytorch, model)

    def once() -> None:
        for padded, mask, texts in batches:
            work(padded, mask, texts, job.scoring.chunk)

    return once
