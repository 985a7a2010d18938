"""Tests of backend=openvino_genai: continuous batching, imports, settings and errors."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backends_tested import EXACT
from command_line import hforch
from langchain_core.callbacks import BaseCallbackHandler

from hforch import load_llm
from hforch.backends.genai.scheduler import ActiveSequence, SchedulerLoop
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError, ConfigError, GenerationError, UnknownArgument

pytestmark = pytest.mark.slow

BACKEND = "backend=openvino_genai"
PROMPT = "Question: What is electroencephalography?\n\nAnswer: Let's think step by step."
TEXTS = [
    "plain words, and CRLF\r\n  indented\tby a tab",
    "emoji 👩‍🔬🎉 and flags 🇫🇷",
    "漢字かな交じり文、한국어",
    "1234567890 3.14159 0x1F",
    "def f(x):\n    return x ** 2  # code",
    "<|im_start|>user\nSay: hello<|im_end|>\n<|im_start|>assistant\n",
    " leading and trailing blanks  ",
]


class Heard(BaseCallbackHandler):
    raise_error = True

    def __init__(self) -> None:
        self.infos: list[dict[str, Any]] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.infos.append(response.generations[0][0].generation_info)


@pytest.fixture(scope="module")
def genai(load: Callable[..., Any]) -> Any:
    """The model that the guarantees of generation are tested with."""
    return load(BACKEND, *EXACT, "generation.max_new_tokens=16")


@pytest.fixture
def one_at_a_time(tiny_gpt2: Path) -> Iterator[Any]:
    llm = load_llm("model=local", f"model.path={tiny_gpt2}", BACKEND, "backend.max_num_seqs=1", *EXACT)
    yield llm
    llm.close()


# ---------------------------------------------------------------- imports, tokenizer and chat template
@pytest.mark.parametrize(
    "program",
    [
        "from hforch import load_llm; llm = load_llm('backend=openvino_genai', 'precision=int8');"
        " llm.invoke('Hello', max_new_tokens=2)",
        "from hforch.cli import main; assert main(['backend=openvino_genai', 'precision=int8', 'prompt=chat',"
        " 'runtime.isolation=inline', 'generation.max_new_tokens=2']) == 0",
    ],
    ids=["library", "command line"],
)
def test_an_existing_export_needs_neither_torch_nor_transformers(program: str, tmp_path: Path) -> None:
    load_llm(BACKEND, "precision=int8").close()
    show = "import sys; print('THERE', [n for n in ('torch', 'transformers', 'optimum') if n in sys.modules])"
    command = [sys.executable, "-c", f"{program}\n{show}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "THERE []"


def test_token_ids_equal_those_of_transformers(genai: Any, load: Callable[..., Any]) -> None:
    openvino = load("backend=openvino", *EXACT, "generation.max_new_tokens=16")
    for text in TEXTS:
        ids = genai.engine.encode(text)
        assert ids == openvino.engine.encode(text), text
        assert genai.engine.vocabulary().decode(ids) == openvino.engine.vocabulary().decode(ids) == text
    assert genai.engine.vocabulary().special == openvino.engine.vocabulary().special
    assert genai.engine.eos == tuple(openvino.engine.eos)
    assert genai.engine.context_length == openvino.engine.context_length


@pytest.mark.parametrize("roles", [["user"], ["system", "user"], ["user", "assistant", "user"], ["user", "assistant"]])
def test_rendered_chats_equal_those_of_transformers(genai: Any, load: Callable[..., Any], roles: list[str]) -> None:
    openvino = load("backend=openvino", *EXACT, "generation.max_new_tokens=16")
    messages = [{"role": role, "content": f" {number} <b>&amp;\n"} for number, role in enumerate(roles)]
    assert genai.engine.render(messages, {}) == openvino.engine.render(messages, {})


def test_both_openvino_backends_give_the_same_text_under_exact_settings(genai: Any, load: Callable[..., Any]) -> None:
    openvino = load("backend=openvino", *EXACT, "generation.max_new_tokens=16")
    prompts = [PROMPT, "The capital of France is", *(f"The number {number} is" for number in range(8))]
    assert genai.batch(prompts) == openvino.batch(prompts)


# ---------------------------------------------------------------- joining and leaving
async def test_a_request_joins_while_another_runs(genai: Any) -> None:
    stream = genai.astream(PROMPT, max_new_tokens=100, ignore_eos=True)
    pieces = [await anext(stream)]
    short = await genai.ainvoke("The capital of France is", max_new_tokens=4)
    assert short.startswith(" Paris")
    pieces += [piece async for piece in stream]
    heard = Heard()
    alone = await genai.ainvoke(PROMPT, max_new_tokens=100, ignore_eos=True, config={"callbacks": [heard]})
    assert "".join(pieces) == alone
    assert len(heard.infos[0]["output_ids"]) == 100  # long enough that the short request did not wait for its end


def test_waiting_for_a_free_slot_is_queue_time(one_at_a_time: Any) -> None:
    heard = Heard()
    stream = one_at_a_time.stream("Once", max_new_tokens=110, ignore_eos=True)
    next(stream)
    one_at_a_time.invoke("Once upon", max_new_tokens=1, config={"callbacks": [heard]})
    timings = heard.infos[0]["timings"]
    assert timings["queue_ms"] > timings["ttft_ms"]
    assert len("".join(stream)) > 20


def test_closing_a_stream_frees_its_slot_immediately(one_at_a_time: Any) -> None:
    stream = one_at_a_time.stream("Once", max_new_tokens=110, ignore_eos=True)
    next(stream)
    stream.close()
    assert one_at_a_time.invoke("Once upon", max_new_tokens=2) is not None
    one_at_a_time.engine.settle()


def test_kv_cache_blocks_are_free_after_every_kind_of_end(genai: Any) -> None:
    pipe = genai.engine.pipe
    genai.invoke(PROMPT, stop=["e"])
    stream = genai.stream(PROMPT, max_new_tokens=500, ignore_eos=True)
    next(stream)
    stream.close()
    genai.batch([PROMPT] * 5)
    genai.invoke(PROMPT, num_beams=3)
    genai.engine.settle()
    metrics = pipe.get_metrics()
    assert not pipe.has_non_finished_requests()
    # The engine reports the usage of its last step; another request of one token shows the blocks in use otherwise.
    genai.invoke("Hello", max_new_tokens=1)
    genai.engine.settle()
    blocks = metrics.cache_size_in_bytes / (2 * 30 * 3 * 64 * 32 * 4)
    assert pipe.get_metrics().cache_usage <= 100 * 1.01 / blocks


def test_timings_match_those_of_the_engine(genai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs: list[tuple[float, float]] = []
    take = ActiveSequence.take

    def seen(self: ActiveSequence, now: float) -> bool:
        done = take(self, now)
        if done:
            metrics = self.handle.get_perf_metrics()
            theirs.append((metrics.get_ttft().mean, metrics.get_tpot().mean))
        return done

    monkeypatch.setattr(ActiveSequence, "take", seen)
    heard = Heard()
    genai.invoke(PROMPT, max_new_tokens=40, ignore_eos=True, config={"callbacks": [heard]})
    (ttft, tpot), timings = theirs[0], heard.infos[0]["timings"]
    assert ttft <= timings["ttft_ms"] <= 1.5 * ttft + 5  # hforch's includes tokenization
    assert timings["tpot_ms"] == pytest.approx(tpot, rel=0.2)


async def test_concurrent_calls_share_the_batch(genai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = []
    admit = SchedulerLoop._admit

    def seen(self: Any) -> None:
        admit(self)
        at_once.append(len(self.active))

    monkeypatch.setattr(SchedulerLoop, "_admit", seen)
    prompts = [f"The number {number} is" for number in range(24)]
    together = await asyncio.gather(*(genai.ainvoke(prompt) for prompt in prompts))
    assert max(at_once) > 12
    assert together == genai.batch(prompts)


# ---------------------------------------------------------------- settings
def test_prompt_lookup_gives_the_same_text(tiny_gpt2: Path, genai: Any, load: Callable[..., Any]) -> None:
    looking = load(BACKEND, *EXACT, "backend.prompt_lookup=true", "generation.max_new_tokens=16")
    repeating = "one two three, one two three, one two three, one two"
    for prompt in (PROMPT, repeating):
        assert looking.invoke(prompt, max_new_tokens=40) == genai.invoke(prompt, max_new_tokens=40)


@pytest.mark.parametrize(("ov_config", "expected"), [("accuracy", "f32"), ("kv_u8", "u8")])
def test_the_kv_caches_precision_is_read_back(tiny_gpt2: Path, ov_config: str, expected: str) -> None:
    words = ("model=local", f"model.path={tiny_gpt2}", BACKEND, "precision=fp32", f"ov_config={ov_config}")
    llm = load_llm(*words)
    assert llm.engine.identity["precision"]["kv_cache"] == expected


def test_a_seed_gives_the_same_text_in_any_batch(genai: Any) -> None:
    sampled = genai.bind(temperature=1.0, seed=5)
    alone = sampled.invoke(PROMPT)
    assert sampled.batch([PROMPT, "The capital of France is", PROMPT])[::2] == [alone, alone]


def test_the_plan_batches_by_window_and_not_by_batch_size(tmp_path: Path) -> None:
    words = [BACKEND, "precision=int8", "prompt=question", "inputs=facts", "generation.max_new_tokens=4"]
    words += ["runtime.batch_size=2", f"hydra.run.dir={tmp_path / 'job'}", "backend.window=5"]
    hforch(*words)
    record = json.loads((tmp_path / "job" / "record.json").read_text())
    assert [len(batch) for batch in record["plan"]] == [5, 3]
    assert record["effective"]["scheduler"]["window"] == 5


# ---------------------------------------------------------------- errors
def mistakes(*overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as refused:
        load_llm(BACKEND, *overrides)
    return {mistake.path: f"{mistake.problem} {mistake.hint}" for mistake in refused.value.mistakes}


def test_a_cache_larger_than_free_memory_is_rejected() -> None:
    found = mistakes("backend.cache_size=100000")
    assert "exceeds the free memory" in found["backend.cache_size"]


def test_the_free_memory_shown_differs_from_the_size_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    from hforch.backends import openvino_genai

    free = openvino_genai.psutil.virtual_memory()._replace(available=int(7.98 * openvino_genai.GB))
    monkeypatch.setattr(openvino_genai.psutil, "virtual_memory", lambda: free)
    (mistake,) = openvino_genai.check(job_from_overrides([BACKEND, "backend.cache_size=8"]))
    assert mistake.problem == "a KV cache of 8 GB exceeds the free memory (7.98 GB)"


def test_unsupported_settings_are_rejected_before_loading() -> None:
    found = mistakes("generation=sample", "generation.typical_p=0.5", "generation.no_repeat_ngram_size=2")
    assert set(found) == {"generation.typical_p", "generation.no_repeat_ngram_size"}
    assert all("backend=openvino" in said for said in found.values())
    assert "device.kind" in mistakes("device=npu")


def test_unsupported_arguments_of_a_call_are_rejected(genai: Any) -> None:
    with pytest.raises(UnknownArgument, match="no_repeat_ngram_size"):
        genai.invoke(PROMPT, no_repeat_ngram_size=2)


def test_a_full_cache_fails_the_request_but_not_the_next(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hforch.backends import openvino_genai

    open_pipeline = openvino_genai.open_pipeline

    def small(folder: Path, tokenizer: Path, device: str, scheduler: Any, properties: Any) -> Any:
        blocks = {"num_kv_blocks": 2}  # 64 tokens; the smallest cache_size, 1 GB, is too large for a test
        return open_pipeline(folder, tokenizer, device, scheduler | blocks, properties)

    monkeypatch.setattr(openvino_genai, "open_pipeline", small)
    llm = load_llm("model=local", f"model.path={tiny_gpt2}", BACKEND, *EXACT)
    with pytest.raises(GenerationError, match=r"backend\.cache_size"):
        llm.invoke("Once", max_new_tokens=100, ignore_eos=True)
    assert llm.invoke("Once", max_new_tokens=4, ignore_eos=True)


def test_an_engine_error_fails_the_request_but_not_the_next(genai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hforch.backends.genai import scheduler

    real = scheduler.generation_config

    def broken(values: Any) -> Any:
        config = real(values)
        import openvino_genai

        config.structured_output_config = openvino_genai.StructuredOutputConfig(json_schema="{no json")
        return config

    monkeypatch.setattr(scheduler, "generation_config", broken)
    with pytest.raises(GenerationError, match="openvino_genai failed"):
        genai.invoke(PROMPT)
    monkeypatch.undo()
    assert genai.invoke("The capital of France is").startswith(" Paris")


# ---------------------------------------------------------------- exported models
@pytest.fixture(scope="module")
def ir(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an IR of the tiny model without a converted tokenizer, as exported by another tool."""
    from hforch.backends.base import backend_of
    from hforch.utils.progress import Silent

    job = job_from_overrides(["model=local", f"model.path={tiny_gpt2}", "backend=openvino", "precision=fp32"])
    made = backend_of(job).prepare(job, Silent()).path
    folder = tmp_path_factory.mktemp("ir") / "bare"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("openvino_tokenizer*", "openvino_detok*", "entry.json"))
    return folder


def test_an_ir_without_a_converted_tokenizer_gets_one_in_the_cache(
    ir: Path, tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hforch.models import cache

    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path))
    before = sorted(path.name for path in ir.iterdir())
    llm = load_llm("model=local", f"model.path={ir}", BACKEND, "ov_config=accuracy")
    assert llm.invoke("Once upon", max_new_tokens=8)
    assert sorted(path.name for path in ir.iterdir()) == before
    (entry,) = [entry for entry in cache.entries() if entry.kind == "tokenizers"]
    assert (entry.path / "openvino_detokenizer.xml").is_file()


def test_an_ir_without_any_tokenizer_is_rejected(ir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    shutil.copytree(ir, folder, ignore=shutil.ignore_patterns("tokenizer*", "vocab*", "merges*", "special*"))
    with pytest.raises(ConfigError, match="has no tokenizer"):
        load_llm("model=local", f"model.path={folder}", BACKEND)


def test_an_unsupported_architecture_is_reported_with_its_name(ir: Path, tmp_path: Path) -> None:
    import numpy
    import openvino
    from openvino import opset13

    folder = tmp_path / "odd"
    shutil.copytree(ir, folder)
    ids = opset13.parameter([-1, -1], numpy.int64, name="input_ids")
    ids.output(0).get_tensor().set_names({"input_ids"})
    table = opset13.constant(numpy.zeros((400, 400), numpy.float32))
    logits = opset13.gather(table, ids, opset13.constant(numpy.int64(0)))
    logits.output(0).get_tensor().set_names({"logits"})
    for suffix in ("xml", "bin"):
        (folder / f"openvino_model.{suffix}").unlink()
    state = opset13.read_value(opset13.constant(numpy.zeros((1, 1), numpy.float32)), "state")
    sink = opset13.assign(state, "state")
    openvino.save_model(openvino.Model([logits.output(0)], [sink], [ids]), folder / "openvino_model.xml")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "table"}))
    with pytest.raises(BackendError, match=r"(?s)'table'.*backend=openvino"):
        load_llm("model=local", f"model.path={folder}", BACKEND)


def test_unsupported_settings_of_a_checkpoint_are_rejected(ir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shipping"
    shutil.copytree(ir, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, "epsilon_cutoff": 0.02}))
    llm = load_llm("model=local", f"model.path={folder}", BACKEND, "generation=checkpoint")
    with pytest.raises(UnknownArgument, match=r"epsilon_cutoff=0\.02"):
        llm.invoke("Once")
    assert load_llm("model=local", f"model.path={folder}", BACKEND).invoke("Once", max_new_tokens=2)
