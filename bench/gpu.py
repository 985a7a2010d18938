"""Generation on one NVIDIA GPU: hforch vs. bare transformers on the same weights, and vs. the memory bandwidth.

The model is a Llama with 1.2 billion random weights in bfloat16, created on the fly. 64 short prompts (4 at batch size
1) get 128 tokens each. Both sides are warmed up, and alternate in each round. Energy is that of the whole GPU, by
NVML's counter.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import random_llama
from bench.scale import Scale
from bench.tables import Table

PROMPTS = [f"Question {number}: what is {number} times {number + 3}?" for number in range(64)]
TOKENS = 128
PLAIN_AT_LEAST = {1: 0.97, 16: 0.97, 64: 0.97}
COMPILED_AT_LEAST = {1: 0.97, 64: 0.90}
ALONE = 4  # number of prompts at batch size 1

Generate = Callable[[Sequence[str]], int]
"""Answers prompts as one batch, and returns the number of generated tokens."""


@dataclass
class Contestant:
    """Attributes:
    speeds: tokens/s of each round.
    energies: J/token of each round; empty if the GPU does not report energy.
    """

    name: str
    generate: Generate
    speeds: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)


def plain(scale: Scale) -> Iterator[Table | str]:
    """Measure with the dynamic KV cache."""
    device = _device(scale)
    results = Results()
    with _saved(scale, device) as model:
        llm = _loaded(model, device, scale, "backend.kv_cache=dynamic")
        for size, least in scale.pick(PLAIN_AT_LEAST, {2: 0.0}).items():
            yield results.add(size, _measured(llm, size, False, scale), least)
        bound = _bound(llm.engine.model, device)
        llm.close()
        del llm
        gc.collect()
        yield from _as_reported(model, device, scale)
    yield results.table("with the dynamic KV cache")
    yield Table("", ("upper limit for one stream, by GPU memory bandwidth", "tokens/s"), [bound])


def compiled(scale: Scale) -> Iterator[Table | str]:
    """Measure with the static KV cache and a compiled forward pass."""
    device = _device(scale)
    results = Results()
    with _saved(scale, device) as model:
        for size, least in scale.pick(COMPILED_AT_LEAST, {2: 0.0}).items():
            words = ("backend.kv_cache=static", f"backend.compile={scale.pick('true', 'false')}")
            llm = _loaded(model, device, scale, *words, f"runtime.batch_size={size}")
            yield results.add(size, _measured(llm, size, not scale.smoke, scale), least)
            llm.close()
            del llm
            gc.collect()
    yield results.table("with the static KV cache and a compiled forward pass")


@contextmanager
def _saved(scale: Scale, device: str) -> Iterator[Path]:
    """Save the model to a temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        model = random_llama.save(Path(folder), scale.pick(random_llama.BILLION, random_llama.TINY), device)
        gc.collect()
        yield model


def _device(scale: Scale) -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if not scale.smoke:
        raise SystemExit("the benchmark gpu needs a GPU that torch can use; see hforch doctor")
    return "cpu"


def _loaded(model: Path, device: str, scale: Scale, *words: str) -> Any:
    from hforch import load_llm

    kind = "gpu" if device == "cuda" else "cpu"
    tokens = scale.pick(TOKENS, 2)
    length = (f"generation.max_new_tokens={tokens}", "generation.ignore_eos=true")
    return load_llm("model=local", f"model.path={model}", f"device={kind}", "precision=bf16", *length, *words)


def _measured(llm: Any, size: int, is_compiled: bool, scale: Scale) -> tuple[Contestant, Contestant]:
    """Measure hforch and bare transformers in turns, on one model."""
    ours = llm.with_arguments(batch_size=size)
    tokens = llm.generation.max_new_tokens
    pair = (
        Contestant("hforch", lambda prompts: _tokens(ours.generate(list(prompts)))),
        Contestant("bare", lambda prompts: _bare(llm, prompts, tokens, is_compiled)),
    )
    number = scale.pick(ALONE if size == 1 else len(PROMPTS), size)
    batches = [PROMPTS[first : first + size] for first in range(0, number, size)]
    for each in pair:  # warm up: load, select and compile kernels
        for _ in range(scale.pick(2, 1)):
            each.generate(batches[0])
    for turn in range(scale.rounds(3)):
        for each in pair if turn % 2 else pair[::-1]:
            _round(each, batches)
    return pair


def _round(one: Contestant, batches: Sequence[Sequence[str]]) -> None:
    from hforch.runs.energy import EnergyMeter

    meter = EnergyMeter(["cuda:0"])
    meter.begin()
    started = time.perf_counter()
    tokens = sum(one.generate(batch) for batch in batches)
    seconds = time.perf_counter() - started
    spent = meter.end().metrics(tokens, True).get("joules_per_token")
    one.speeds.append(tokens / seconds)
    one.energies += [] if spent is None else [spent]


def _tokens(result: Any) -> int:
    return sum(each[0].generation_info["token_usage"]["completion_tokens"] for each in result.generations)


def _bare(llm: Any, prompts: Sequence[str], tokens: int, is_compiled: bool) -> int:
    """Generate with a few lines of transformers: tokenize, generate, decode."""
    from transformers import CompileConfig, GenerationConfig

    model, tokenizer = llm.engine.model, llm.engine.tokenizer
    inputs = tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left").to(model.device)
    inputs.pop("token_type_ids", None)
    config = GenerationConfig(max_new_tokens=tokens, do_sample=False, eos_token_id=None, pad_token_id=0)
    if is_compiled:
        config.cache_implementation, config.compile_config = "static", CompileConfig(dynamic=False)
    ids = model.generate(**inputs, generation_config=config)
    made = ids[:, inputs["input_ids"].shape[1] :]
    assert len(tokenizer.batch_decode(made, skip_special_tokens=True)) == len(prompts)
    return int(made.numel())


class Results:
    """The table of hforch and bare transformers at several batch sizes."""

    COLUMNS = ("batch", "hforch, tokens/s", "bare", "ratio", "each round", "at least", "J/token", "bare, J/token")

    def __init__(self) -> None:
        self._rows: list[list[str]] = []
        self._missed: set[int] = set()

    def add(self, size: int, pair: tuple[Contestant, Contestant], least: float) -> str:
        """Add a row, and return it as one line."""
        ours, bare = pair
        ratio = median(ours.speeds) / median(bare.speeds)
        each = " ".join(f"{mine / other:.2f}" for mine, other in zip(ours.speeds, bare.speeds, strict=True))
        if ratio < least:
            self._missed.add(len(self._rows))
        speeds = [f"{median(one.speeds):,.0f}" for one in pair]
        energies = [f"{median(one.energies):.3f}" if one.energies else "-" for one in pair]
        self._rows.append([str(size), *speeds, f"{ratio:.2f}", each, f"{least:.2f}", *energies])
        return " | ".join(self._rows[-1])

    def table(self, how: str) -> Table:
        title = f"{len(PROMPTS)} prompts, {TOKENS} new tokens, bfloat16, {how}"
        return Table(title, self.COLUMNS, self._rows, frozenset(self._missed))


def _as_reported(model: Path, device: str, scale: Scale) -> Iterator[Table]:
    """Report the metrics in a run's own record for the same work."""
    from hforch.config.compose import job_from_overrides
    from hforch.records.record_files import read_record
    from hforch.runs import JobContext
    from hforch.runs import run as run_job
    from hforch.runs.watcher import NullWatcher

    rows = []
    kind = "gpu" if device == "cuda" else "cpu"
    for size in scale.pick(tuple(PLAIN_AT_LEAST), (2,)):
        with tempfile.TemporaryDirectory() as folder:
            items = PROMPTS[: scale.pick(ALONE if size == 1 else len(PROMPTS), size)]
            file = Path(folder) / "inputs.txt"
            file.write_text("\n".join(items))
            words = [
                *("model=local", f"model.path={model}", f"device={kind}", "precision=bf16"),
                *("prompt=raw", "inputs=file", f"inputs.path={file}"),
                *(f"generation.max_new_tokens={scale.pick(TOKENS, 2)}", "generation.ignore_eos=true"),
                *(f"runtime.batch_size={size}", "runtime.repeat=2", "backend.kv_cache=dynamic"),
                *("runtime.isolation=inline", "runtime.display=none"),
            ]
            assert (
                run_job(job_from_overrides(words), Path(folder) / "run", JobContext(tuple(words)), NullWatcher()) == 0
            )
            metrics = read_record(Path(folder) / "run")["metrics"]
        each = metrics.get("tokens_per_s_each", [metrics["tokens_per_s"]])
        spent = metrics.get("joules_per_token")
        told = [f"{metrics['tokens_per_s']:,.0f}", " ".join(f"{one:,.0f}" for one in each)]
        rows.append([str(size), *told, "-" if spent is None else f"{spent:.3f}"])
        gc.collect()
    yield Table("A run's own record", ("batch", "tokens/s", "each repeat", "J/token"), rows)


def _bound(model: Any, device: str) -> list[str]:
    """Estimate tokens/s of one stream if reading the weights took all the time."""
    import torch

    size = sum(one.numel() * one.element_size() for one in model.parameters())
    source = torch.empty(max(size // 2, 1), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    took = []
    for _ in range(10):
        synchronize()
        started = time.perf_counter()
        target.copy_(source)
        synchronize()
        took.append(time.perf_counter() - started)
    bandwidth = 2 * source.numel() / median(took)  # read and written
    return [f"{size / 1e9:.2f} GB of weights, {bandwidth / 1e12:.2f} TB/s", f"{bandwidth / size:,.0f}"]
