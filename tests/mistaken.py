"""The list of mistakes that `mistakes.py` makes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from mistakes import Case, Told, Workshop

FAKE = ("backend=fake", "runtime.display=plain")
DISK = 'mkdir -p disk && mount -t tmpfs -o size={size} tmpfs disk && "$@"; code=$?; cp -r disk kept; exit $code'
READ_ONLY = 'mkdir -p outputs && mount -t tmpfs -o ro tmpfs outputs && "$@"'


# ---------------------------------------------------------------- what some machines cannot run
def no_namespaces() -> str | None:
    """Return a skip reason if user namespaces, which mounting a file system needs (unshare -Urm), are forbidden."""
    try:
        done = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False)
    except OSError as error:
        return f"unshare cannot be run: {error}"
    return None if done.returncode == 0 else "this machine forbids user namespaces, so no small disk can be mounted"


def has_gpu() -> str | None:
    import torch

    return "this machine has a GPU" if torch.accelerator.is_available() else None


def computes_in_fp16() -> str | None:
    import openvino

    capable = "FP16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "this CPU computes in fp16" if capable else None


# ---------------------------------------------------------------- preparations, and checks of the result
def cut_gguf(workshop: Workshop, folder: Path, env: dict[str, str]) -> None:
    whole = workshop.gguf.read_bytes()
    (folder / "cut.gguf").write_bytes(whole[: len(whole) * 2 // 3])


def unknown_architecture(workshop: Workshop, folder: Path, env: dict[str, str]) -> None:
    shutil.copytree(workshop.gpt2, folder / "odd")
    config = json.loads((folder / "odd/config.json").read_text())
    (folder / "odd/config.json").write_text(json.dumps(config | {"model_type": "rwkv", "architectures": None}))


def weights_cut_short(workshop: Workshop, folder: Path, env: dict[str, str]) -> None:
    shutil.copytree(workshop.gpt2, folder / "cut")
    weights = folder / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def kill_an_export(workshop: Workshop, folder: Path, env: dict[str, str]) -> None:
    """Start the same run, and kill all its processes as soon as files of the export exist."""
    words = ["model=local", f"model.path={workshop.gpt2}", "backend=openvino", "runtime.display=none"]
    run = subprocess.Popen([sys.executable, "-m", "hforch", *words], cwd=folder, env=env, stdin=subprocess.DEVNULL)
    exports = Path(env["HFORCH_CACHE"]) / "exports"
    deadline = time.monotonic() + 120
    while not list(exports.glob(".*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(exports.glob(".*/*")), "the export did not start"
    for child in _processes_below(run.pid):
        os.kill(child, signal.SIGKILL)
    run.wait()


def _processes_below(pid: int) -> list[int]:
    import psutil

    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def nothing_half_made(told: Told) -> None:
    left = [path.name for path in (told.folder / "cache/exports").iterdir()]
    assert len(left) == 1 and not left[0].startswith("."), left


def nothing_written(told: Told) -> None:
    assert not (told.folder / "outputs").exists(), "a directory in outputs/"


def three_of_four_answered(told: Told) -> None:
    lines = [line for file in told.folder.rglob("samples.jsonl") for line in file.read_text().splitlines()]
    samples = [json.loads(line) for line in lines]
    assert [sample["error"] is None for sample in samples].count(True) == 3, samples


def whole_samples_are_kept(told: Told) -> None:
    record = json.loads((told.folder / "kept/run/record.json").read_text())
    assert record["job"]["backend"]["name"] == "fake"
    lines = (told.folder / "kept/run/samples.jsonl").read_text().splitlines()
    assert len(lines) > 3, f"only {len(lines)} samples"
    assert all(json.loads(line)["text"] for line in lines[:-1])


def the_cache_is_clean(told: Told) -> None:
    left = [path for path in (told.folder / "kept").rglob("*") if path.is_file() and "logs" not in path.parts]
    half = [str(path) for path in left if path.suffix in (".bin", ".xml", ".safetensors")]
    assert not half, half


# ---------------------------------------------------------------- the list
VALUES = [
    Case(
        "a value out of range, on the command line",
        ("generation.max_new_tokens=-1",),
        ("generation.max_new_tokens: must be at least 1; got -1", "set in generation.max_new_tokens=-1"),
        check=nothing_written,
    ),
    Case(
        "a value of a shipped option that conflicts with an override",
        ("precision=int4", "precision.name=int8"),
        (
            "precision.group_size: can be set only if precision.name is int4; precision.name is int8",
            "set in conf/precision/int4.yaml:3, selected by precision=int4",
        ),
    ),
    Case(
        "a value out of range, in a user's YAML",
        ("--config-dir", "mine", "generation=short"),
        ("generation.temperature: must be at least 0; got -0.5", "set in mine/generation/short.yaml:3"),
        files={"mine/generation/short.yaml": "defaults: [sample]\nmax_new_tokens: 8\ntemperature: -0.5\n"},
    ),
    Case(
        "a value out of range, by interpolation",
        ("generation.max_new_tokens=${runtime.warmup}", "runtime.warmup=0"),
        (
            "generation.max_new_tokens: must be at least 1; got 0",
            "where ${runtime.warmup} comes from runtime.warmup=0",
        ),
    ),
    Case(
        "a value out of range, in a recipe",
        ("run", "mine.yaml"),
        ("runtime.batch_size: must be at least 1; got 0", "set in mine.yaml:4"),
        files={"mine.yaml": "defaults:\n  - model: smollm2\nruntime:\n  batch_size: 0\n"},
    ),
    Case(
        "several mistakes in several groups",
        ("model=gpt3", "runtime.batch_size=none", "generation.max_tokens=64", "device=gpux", "stop.sequences=['']"),
        (
            "5 errors; nothing was run",
            "did you mean model=gpt2?",
            "must be an integer; got 'none' (string)",
            "did you mean device=gpu?",
        ),
        check=nothing_written,
    ),
    Case(
        "a misspelled key",
        ("generation.max_new_token=8",),
        ("generation.max_new_token: unknown key", "did you mean generation.max_new_tokens?"),
    ),
    Case(
        "an apostrophe in an unquoted value",
        ("inputs.items=[What's a volt?]",),
        (
            "inputs.items: cannot parse the value: ",
            "quote each string for Hydra, and the whole override for the shell",
        ),
    ),
    Case(
        "an empty text to score",
        ("scoring=text", "scoring.text.path=empty.txt"),
        ("scoring.text.path: empty.txt is empty", "set in scoring.text.path=empty.txt"),
        files={"empty.txt": ""},
    ),
    Case(
        "a top_k larger than the vocabulary",
        (
            "-m",
            "model=local",
            "model.path={gpt2}",
            "backend=pytorch,openvino",
            "scoring=baseline",
            "scoring.baseline.top_k=5000",
        ),
        ("scoring.baseline.top_k: must be at most ", "got 5000", "256 is enough for most"),
        check=nothing_written,
        heavy=True,
    ),
    Case(
        "a baseline for a single run",
        ("scoring=baseline",),
        ("scoring.baseline: a single run has no baseline to compare with", "use scoring=text"),
        check=nothing_written,
    ),
    Case(
        "several values without -m",
        ("precision=bf16,int8",),
        ("precision: multiple values require --multirun", "add -m to run one job per value"),
    ),
    Case(
        "one wrong value in a sweep",
        ("-m", "precision=bf16,int9", "stop=none,newline"),
        ("unknown option 'int9'; available: ", "set in precision=bf16,int9"),
        check=nothing_written,
    ),
    Case("an unknown command", ("compair", "outputs"), ("unknown command 'compair'", "did you mean hforch compare?")),
    Case("an unknown flag", ("--mulitrun",), ("unknown flag --mulitrun", "did you mean --multirun (-m)?")),
    Case("a missing recipe", ("run", "recipes/step.yaml"), ("recipe not found: recipes/step.yaml",)),
    Case(
        "wrong jobs in a recipe",
        ("run", "mine.yaml"),
        ("unknown option 'none2'", "mine.yaml:3", "generation.max_new_tokens: must be an integer", "mine.yaml:4"),
        files={"mine.yaml": "defaults: [{backend: fake}]\njobs:\n- stop: none2\n- generation.max_new_tokens: many\n"},
        check=nothing_written,
    ),
    Case(
        "the latest run before the first one",
        ("show", "latest"),
        ("'latest': no runs found in outputs/ or multirun/",),
    ),
    Case("a question without quotes", ("ask", "What", "is", "it?"), ("unexpected words: is it?", "quote the question")),
    Case(
        "a recipe that tries to run code",
        ("run", "mine.yaml"),
        ("not allowed in a recipe: the Hydra keyword _target_ can run code", "mine.yaml:3"),
        files={"mine.yaml": "hydra:\n  launcher:\n    _target_: shutil.copy\n"},
    ),
    Case(
        "invalid YAML",
        ("--config-dir", "mine", "prompt=brief"),
        ("invalid YAML in prompt/brief: ", "mine/prompt/brief.yaml:3"),
        files={"mine/prompt/brief.yaml": "kind: template\ntemplate: 'Answer briefly: {question}\n"},
    ),
    Case(
        "a requested traceback",
        ("generation.max_new_tokens=-1",),
        ("Traceback (most recent call last)", "must be at least 1"),
        env={"HYDRA_FULL_ERROR": "1"},
    ),
]

DEVICES = [
    Case(
        "an unknown OpenVINO property",
        ("backend=openvino", "+ov_config.PERFORMANCE_HINTS=LATENCY"),
        ("ov_config.PERFORMANCE_HINTS: ", "did you mean PERFORMANCE_HINT?", "set in +ov_config.PERFORMANCE_HINTS"),
        heavy=True,
    ),
    Case(
        "an OpenVINO property with a bad value",
        ("backend=openvino", "ov_config=latency", "ov_config.PERFORMANCE_HINT=FAST", "ov_config.NUM_STREAMS=x"),
        (
            *("ov_config.PERFORMANCE_HINT: ", "set in ov_config.PERFORMANCE_HINT=FAST"),
            *("ov_config.NUM_STREAMS: ", "set in ov_config.NUM_STREAMS=x"),
        ),
        heavy=True,
    ),
    Case(
        "an invalid precision of the KV cache",
        ("backend=openvino", "+ov_config.KV_CACHE_PRECISION=int8"),
        ("ov_config.KV_CACHE_PRECISION: 'int8' is not a KV cache precision; allowed: u8, u4",),
        heavy=True,
    ),
    Case(
        "an OpenVINO device that does not exist",
        ("backend=openvino", "device=openvino", "device.name=GPU.7"),
        ("device.name: OpenVINO device not found: GPU.7", "available: CPU", "set in device.name=GPU.7"),
        heavy=True,
    ),
    Case(
        "a GPU, on a machine without one",
        ("device=gpu",),
        ("device.kind: torch found no usable GPU", "use device=cpu, or "),
        unless=has_gpu,
        heavy=True,
    ),
    Case(
        "a CUDA device for OpenVINO",
        ("backend=openvino", "device=cuda:1"),
        ("device: 'cuda:1' is a torch device name", "set in device=cuda:1", "use ", "device=cpu"),
    ),
    Case(
        "an unknown device",
        ("device=cuda:one",),
        ("device: unknown option 'cuda:one'; available: auto, cpu, gpu", "or a GPU index, such as cuda:1"),
    ),
    Case(
        "flash attention on the CPU",
        ("model.attn_implementation=flash_attention_2",),
        ("model.attn_implementation: flash_attention_2 requires an NVIDIA GPU", "attn_implementation=sdpa"),
        heavy=True,
    ),
    Case(
        "an index together with a device_map",
        ("device=gpu", "device.index=1", "device.device_map=auto"),
        ("device.index: cannot be combined with device.device_map (auto)", "set device.index=null"),
    ),
    Case(
        "a precision that the device lacks",
        ("backend=openvino", "precision=fp16"),
        ("precision.name: this machine's CPU does not support fp16", "use precision=fp32"),
        unless=computes_in_fp16,
        heavy=True,
    ),
    Case(
        "an OpenVINO device for torch",
        ("device=npu",),
        ("device.kind: 'npu' is not supported by backend=pytorch", "use backend=openvino"),
    ),
]

MODELS = [
    Case(
        "an OpenVINO model with another precision",
        ("model=local", "model.path={ir}", "backend=openvino", "precision=int8"),
        ("is an OpenVINO IR with fp16 weights, which cannot be converted", "use precision=auto"),
        heavy=True,
    ),
    Case(
        "an OpenVINO model for torch",
        ("model=local", "model.path={ir}"),
        ("contains an OpenVINO IR, which pytorch cannot run; use backend=openvino",),
        heavy=True,
    ),
    Case(
        "a revision that does not exist",
        ("model=hub", "model.id=org/tiny", "model.revision=v9"),
        ("model.revision=v9: branch, tag or commit not found in org/tiny",),
        env={"HF_ENDPOINT": "{hub}"},
        heavy=True,
    ),
    Case(
        "a model that the Hub does not have",
        ("model=hub", "model.id=org/tinny"),
        ("model.id=org/tinny: model not found on the Hub, or private", "Check the spelling"),
        env={"HF_ENDPOINT": "{hub}"},
        heavy=True,
    ),
    Case(
        "offline, without a copy in the cache",
        ("model=gpt2",),
        ("gpt2 is not in the cache", "HF_HUB_OFFLINE", "Unset it to download the model", "model=local model.path=DIR"),
        code=1,
        env={"HF_HUB_OFFLINE": "1"},
        heavy=True,
    ),
    Case(
        "an unreachable Hub",
        ("model=gpt2",),
        ("the Hub cannot be reached", "Check the connection, HF_ENDPOINT and the proxy", "model=smollm2"),
        code=1,
        heavy=True,
    ),
    Case(
        "a truncated GGUF file",
        ("model=gguf", "model.path=cut.gguf"),
        ("cut.gguf is damaged or truncated", "Download it again"),
        arrange=cut_gguf,
        heavy=True,
    ),
    Case(
        "a file that is not GGUF",
        ("model=gguf", "model.path=notes.gguf"),
        ("notes.gguf is not a GGUF file: it starts with 'Dear', not 'GGUF'",),
        files={"notes.gguf": "Dear diary"},
        heavy=True,
    ),
    Case(
        "truncated weights",
        ("model=local", "model.path=cut"),
        ("model.safetensors is damaged or truncated", "Download it again"),
        arrange=weights_cut_short,
        heavy=True,
    ),
    Case(
        "a directory that does not exist",
        ("model=local", "model.path=models/mine"),
        ("model.path: directory not found: models/mine",),
        heavy=True,
    ),
    Case(
        "an option that requires a value",
        ("model=hub",),
        ("model.id: required by model=hub", "add model.id=ORG/NAME"),
    ),
    Case(
        "a group size of int4 that does not fit",
        (
            *("model=local", "model.path={gpt2}", "backend=openvino", "precision=int4"),
            *("precision.group_size=48", "precision.group_size_fallback=error"),
        ),
        ("cannot be divided into groups of 48 weights", "Set precision.group_size_fallback=adjust"),
        heavy=True,
    ),
    Case(
        "an architecture unknown to the exporter",
        ("model=local", "model.path=odd", "backend=openvino"),
        ("'rwkv', which the OpenVINO exporter (optimum-intel) does not support", "Use backend=pytorch"),
        arrange=unknown_architecture,
        heavy=True,
    ),
]

INPUTS = [
    Case(
        "a variable that the inputs lack",
        (*FAKE, "inputs.items=[{query: why?, topic: physics}]"),
        (
            "inputs.items.0: missing column 'question', which the prompt uses; available: query, topic",
            "prompt.column=query",
        ),
    ),
    Case(
        "a column that the prompt never uses: a warning",
        (*FAKE, "inputs=file", "inputs.path=questions.csv"),
        ("warning: inputs: the prompt does not use these input columns: 'topic'", "2 of 2 samples succeeded"),
        code=0,
        files={"questions.csv": "question,topic\nWhat is a volt?,physics\nWhat is a mole?,chemistry\n"},
    ),
    Case(
        "an invalid line in a jsonl file",
        (*FAKE, "inputs=file", "inputs.path=questions.jsonl"),
        ("inputs.path: invalid JSON: ", "at questions.jsonl:2"),
        files={"questions.jsonl": '{"question": "why?"}\n{"question": "how?"\n{"question": "when?"}\n'},
    ),
    Case(
        "a csv file without a header",
        (*FAKE, "inputs=file", "inputs.path=questions.csv"),
        (
            "missing column 'question', which the prompt uses; available: 'What is a volt?', 'physics'",
            "questions.csv:1",
            "the first row of a CSV file must name",
            "select the column that contains the prompt: prompt.column=NAME",
        ),
        files={"questions.csv": "What is a volt?,physics\nWhat is a mole?,chemistry\n"},
    ),
    Case(
        "a file in another encoding",
        (*FAKE, "inputs=file", "inputs.path=questions.txt"),
        (
            "questions.txt is not encoded in utf-8: invalid byte at offset 13",
            "set the file's encoding, for example inputs.encoding=latin-1",
        ),
        files={"questions.txt": "What is a café?\n".encode("latin-1")},
    ),
    Case(
        "an empty list of inputs",
        (*FAKE, "inputs.items=[]"),
        ("inputs.items: must not be empty", "set in inputs.items=[]"),
    ),
    Case(
        "an empty file of inputs",
        (*FAKE, "inputs=file", "inputs.path=questions.txt"),
        ("inputs.path: no inputs found in questions.txt",),
        files={"questions.txt": "\n\n"},
    ),
    Case(
        "a prompt longer than the model's context length",
        ("model=local", "model.path={gpt2}", "inputs=file", "inputs.path=questions.txt", "generation.max_new_tokens=4"),
        (
            "failed: input 2: the prompt has ",
            "more than the model's context length (128); shorten the prompt",
            "3 of 4 samples succeeded",
        ),
        code=1,
        files={"questions.txt": f"why?\n{'why ' * 200}\nhow?\nwhen?\n"},
        check=three_of_four_answered,
        heavy=True,
    ),
    Case(
        "a stop written '\\n' in single quotes: a warning",
        ("run", "mine.yaml", *FAKE),
        (
            r"warning: stop.sequences.0: '\n' contains a backslash and the letter n, not a line break",
            "use stop=newline; in YAML, use double quotes",
            "set in mine.yaml:2",
        ),
        code=0,
        files={"mine.yaml": "stop:\n  sequences: ['\\n']\n"},
    ),
    Case(
        "OpenVINO's settings for torch: a warning",
        ("model=local", "model.path={gpt2}", "ov_config=latency", "generation.max_new_tokens=4"),
        ("warning: ov_config: ignored by backend=pytorch (PERFORMANCE_HINT", "use backend=openvino"),
        code=0,
        heavy=True,
    ),
]

MACHINE = [
    Case(
        "too little disk space for an export",
        ("model=local", "model.path={gpt2}", "backend=openvino"),
        ("Not enough disk space to export", "HFORCH_CACHE"),
        code=1,
        env={"HFORCH_CACHE": "disk"},
        wrapped=DISK.format(size="100k"),
        check=the_cache_is_clean,
        unless=no_namespaces,
        heavy=True,
    ),
    Case(
        "a disk that fills up during an export",
        ("model=local", "model.path={gpt2}", "backend=openvino"),
        ("No space left on the disk of the cache", "HFORCH_CACHE"),
        code=1,
        env={"HFORCH_CACHE": "disk"},
        wrapped=DISK.format(size="250k"),
        check=the_cache_is_clean,
        unless=no_namespaces,
        heavy=True,
    ),
    Case(
        "too little disk space for a conversion",
        ("model=gguf", "model.path={gguf}"),
        ("Not enough disk space to convert tiny.gguf to float32", "HFORCH_CACHE"),
        code=1,
        env={"HFORCH_CACHE": "disk"},
        wrapped=DISK.format(size="100k"),
        check=the_cache_is_clean,
        unless=no_namespaces,
        heavy=True,
    ),
    Case(
        "a disk that fills up during a conversion",
        ("model=gguf", "model.path={gguf}"),
        ("No space left on the disk of the cache", "HFORCH_CACHE"),
        code=1,
        env={"HFORCH_CACHE": "disk"},
        wrapped=DISK.format(size="400k"),
        check=the_cache_is_clean,
        unless=no_namespaces,
        heavy=True,
    ),
    Case(
        "a disk that fills up while the answers are recorded",
        (*FAKE, "hydra.run.dir=disk/run", "inputs=file", "inputs.path=questions.txt"),
        ("no space left on device", "free some space, or use another disk"),
        code=1,
        files={"questions.txt": "".join(f"What is the number {i}?\n" for i in range(400))},
        wrapped=DISK.format(size="128k"),
        check=whole_samples_are_kept,
        unless=no_namespaces,
    ),
    Case(
        "a directory for outputs that cannot be written",
        FAKE,
        ("cannot write to the run directory", "read-only file system", "set hydra.run.dir=DIR for a run"),
        code=1,
        wrapped=READ_ONLY,
        unless=no_namespaces,
    ),
    Case(
        "a file where the outputs should go",
        FAKE,
        ("cannot write to the run directory: ", "outputs", "set hydra.run.dir=DIR for a run"),
        code=1,
        files={"outputs": "a file"},
    ),
    Case(
        "a killed export: the next run succeeds",
        ("model=local", "model.path={gpt2}", "backend=openvino", "generation.max_new_tokens=4"),
        ("export: gpt2 to OpenVINO, fp16 weights (cached for later runs)", "results: "),
        code=0,
        env={"HFORCH_CACHE": "{here}/cache"},
        arrange=kill_an_export,
        check=nothing_half_made,
        heavy=True,
    ),
    Case(
        "a Python without pip",
        (),
        ("but is not installed in this Python environment", "-m ensurepip"),
        env={"HIDE_MODULES": "pip", "HFORCH_CACHE": "{here}/cache"},
        heavy=True,
    ),
    Case(
        "OpenVINO is not installed",
        ("backend=openvino",),
        ("backend=openvino requires optimum.intel, which is not installed", "pip install 'hforch[openvino]'"),
        env={"HIDE_MODULES": "optimum.intel openvino"},
        heavy=True,
    ),
    Case(
        "torch's quantizers are not installed",
        ("precision=int8",),
        ("precision=int8 on pytorch requires torchao, which is not installed", "pip install 'hforch[quant]'"),
        env={"HIDE_MODULES": "torchao"},
        heavy=True,
    ),
    Case(
        "a launcher whose extra is not installed",
        ("-m", "hydra/launcher=joblib", "backend=fake", "runtime.seed=1,2"),
        (
            "hydra/launcher: joblib requires hydra-joblib-launcher, which is not installed",
            "pip install 'hforch[joblib]'",
        ),
        env={"HIDE_MODULES": "hydra_plugins"},
    ),
    Case(
        "a launcher whose extra is not installed, in a recipe",
        ("run", "mine.yaml"),
        ("hydra/launcher: joblib requires hydra-joblib-launcher", "set in mine.yaml:3", "pip install 'hforch[joblib]'"),
        files={"mine.yaml": "defaults:\n  - backend: fake\n  - override hydra/launcher: joblib\n"},
        env={"HIDE_MODULES": "hydra_plugins"},
    ),
    Case(
        "a launcher of a package that is not installed",
        ("-m", "hydra/launcher=submitit_slurm", "backend=fake", "runtime.seed=1,2"),
        (
            "submitit_slurm requires hydra-submitit-launcher, which is not installed",
            "pip install hydra-submitit-launcher",
        ),
    ),
    Case(
        "a cache directory that is a file",
        ("model=local", "model.path={gpt2}", "backend=openvino"),
        ("Cannot write to the cache", "Set HFORCH_CACHE"),
        code=1,
        env={"HFORCH_CACHE": "{here}/cache"},
        files={"cache": "a file"},
        heavy=True,
    ),
]

CASES = [*VALUES, *DEVICES, *MODELS, *INPUTS, *MACHINE]
