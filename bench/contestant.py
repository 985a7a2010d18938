"""A contestant in its own process: loads a model once, then runs a workload for each line of standard input.

python -m bench.contestant NAME FOLDER      then {"workload": "chat", "prompts": 64, "tokens": 128} on standard input

The workload is `chat` or `long`, `prompts` and `tokens` are maxima; the results are printed as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.workload import WORKLOADS, prompts

Work = Callable[[list[str], int], tuple[int, list[float]]]
"""Answers prompts with at most N new tokens; returns the number of tokens, and each time to first token in ms."""


def page(backend: str, batch_size: int = 4) -> Callable[[str], Work]:
    def loaded(folder: str) -> Work:
        from bench.bare import page_snippet
        from hforch.generation.file_tokenizer import FileTokenizer

        tokenizer, made = FileTokenizer(Path(folder)), page_snippet.load(folder, backend, 128, batch_size)

        def work(texts: list[str], tokens: int) -> tuple[int, list[float]]:
            answers = made.batch(texts, pipeline_kwargs={"max_new_tokens": tokens, "do_sample": False})
            return sum(len(tokenizer.encode(answer)) for answer in answers), []

        return work

    return loaded


def bare_genai(folder: str) -> Work:
    from bench.bare import genai
    from hforch.generation.file_tokenizer import FileTokenizer

    tokenizer, pipe = FileTokenizer(Path(folder)), genai.load(folder)

    def work(texts: list[str], tokens: int) -> tuple[int, list[float]]:
        answers = [result.m_generation_ids[0] for result in genai.generate(pipe, texts, tokens)]
        return sum(len(tokenizer.encode(answer)) for answer in answers), []

    return work


def hforch(*overrides: str) -> Callable[[str], Work]:
    def loaded(folder: str) -> Work:
        from hforch import load_llm

        llm = load_llm("model=local", f"model.path={folder}", *overrides)

        def work(texts: list[str], tokens: int) -> tuple[int, list[float]]:
            from hforch.generation.engine import RenderedChat

            result = llm.generate([RenderedChat(text) for text in texts], max_new_tokens=tokens)
            infos = [generations[0].generation_info for generations in result.generations]
            return sum(len(info["output_ids"]) for info in infos), [info["timings"]["ttft_ms"] for info in infos]

        return work

    return loaded


CONTESTANTS: dict[str, Callable[[str], Work]] = {
    "page-pytorch": page("pytorch"),
    "page-openvino": page("openvino"),
    "page-pytorch-16": page("pytorch", 16),
    "page-openvino-16": page("openvino", 16),
    "bare-genai": bare_genai,
    "hforch-pytorch": hforch("backend=pytorch", "runtime.batch_size=16"),
    "hforch-openvino": hforch("backend=openvino", "runtime.batch_size=16"),
    "hforch-openvino_genai": hforch("backend=openvino_genai"),
}


def peak_mb() -> float:
    """Return the peak resident memory of this process, in MB (10^6 bytes)."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    name, folder = sys.argv[1:3]
    work = CONTESTANTS[name](folder)
    answers = sys.stdout
    sys.stdout = sys.stderr
    texts = {workload: prompts(workload, Path(folder)) for workload in WORKLOADS}
    work(texts["chat"][:4], 4)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        chosen = texts[asked["workload"]][: asked["prompts"]]
        started = time.perf_counter()
        tokens, first = work(chosen, asked["tokens"])
        seconds = time.perf_counter() - started
        told: dict[str, Any] = {"seconds": seconds, "tokens": tokens, "first": first, "peak_mb": peak_mb()}
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
