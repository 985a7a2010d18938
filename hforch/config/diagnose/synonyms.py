"""Names that users of other tools know, and the options, keys and flags of hforch that they mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hforch.config.backends.registry import BACKENDS

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "backend": {name: options.synonyms for name, options in BACKENDS.items()},
    "device": {"gpu": "nvidia rocm intel-gpu igpu", "auto": "balanced"},
    "generation": {"greedy": "greedy-search deterministic", "sample": "do-sample multinomial", "beam": "num-beams"},
    "inputs": {"file": "csv jsonl json txt tsv path"},
    "model": {"hub": "huggingface hf", "local": "folder directory path", "gguf": "llama.cpp llamacpp ggml"},
    "precision": {
        "auto": "default native",
        "fp32": "float32 f32 float single full fp-32 32 torch.float32",
        "bf16": "bfloat16 bfloat b16 torch.bfloat16",
        "fp16": "float16 f16 half fp-16 16 torch.float16",
        "int8": "q8 8bit 8-bit w8 w8a16 int8-sym int8-asym q8-0 i8 8 load-in-8bit",
        "int4": "q4 4bit 4-bit w4 w4a16 int4-sym int4-asym nf4 q4-0 q4-1 q4-k-m i4 4 load-in-4bit",
    },
    "prompt": {"chat": "instruct conversation messages", "raw": "text plain none", "step_by_step": "template cot"},
    "stop": {"none": "eos null"},
}
"""The synonyms of each option, separated by spaces."""

CLOSEST: Mapping[str, Mapping[str, str]] = {
    "precision": {
        "int8": "fp8 float8 f8 e4m3 e5m2 mxfp8 q6 q5 6bit 5bit q6-k q5-k-m",
        "int4": "fp4 mxfp4 nvfp4 cb4 gptq awq q3 q2 3bit 2bit int2 int3 q3-k-m q2-k",
    }
}
"""Names of what hforch does not have, by the option that comes closest."""

KEYS: Mapping[str, str] = {
    "precision": "dtype torch-dtype weight-format quantization quantize quant",
    "generation.max_new_tokens": "max-tokens max-length n-predict num-tokens tokens",
    "generation.num_beams": "beams beam-size",
    "generation.temperature": "temp",
    "runtime.threads": "num-threads nthreads cpu-threads",
    "runtime.repeat": "repeats repetitions runs iterations",
    "runtime.batch_size": "batch bs batch-size",
    "runtime.display": "progress verbose",
    "model": "model-id model-name model-path",
    "inputs": "input data dataset questions input-file file",
    "stop": "stop-sequences stop-strings",
    "hydra.run.dir": "output output-dir out out-dir o save-dir",
    "hydra.sweep.dir": "sweep-dir",
    "hydra/launcher": "launcher",
    "ov_config": "properties ov-properties",
    "prompt": "prompt-template template",
}
"""Flags of other tools, by the group or the key that sets the same thing."""

FLAGS: Mapping[str, str] = {
    "--multirun": "multi sweep grid matrix parallel",
    "--dry-run": "dry plan check validate list-jobs simulate no-run",
    "--force": "overwrite yes y",
    "--report": "html",
    "--config-dir": "configs conf config-folder",
    "--config-name": "config",
    "--max-jobs": "limit-jobs",
    "--require": "requirement filter where min max constraint",
    "--optimize": "optimise best sort sort-by objective rank rank-by maximize minimize",
    "--baseline": "base reference against relative-to",
    "--format": "output-format as",
    "--output": "out file save",
    "--worst": "diffs examples samples",
    "--min-pass": "pass-rate threshold fail-under min-pass-rate",
    "--junit": "junitxml junit-xml xml",
}
"""Synonyms of flags."""

OVERRIDES: Mapping[str, str] = {"runtime.display=json": "json jsonl", "runtime.display=none": "quiet silent q"}
"""Flags without a value of other tools, by the override that does the same."""


OF_COMPARE = ("--require", "--optimize", "--baseline", "--junit", "--min-pass", "--worst", "--format")
"""Flags of `hforch compare` that users expect when they run jobs."""


def known_as(name: str, table: Mapping[str, str], allowed: Collection[str]) -> str | None:
    """Return the allowed entry of a table that has a name among its synonyms, or None."""
    plain = plainly(name)
    found = (one for one, synonyms in table.items() if one in allowed and plain in map(plainly, synonyms.split()))
    return next(found, None)


def plainly(name: str) -> str:
    """Return a name in lower case, without the signs that separate its words."""
    return "".join(sign for sign in name.lower() if sign not in "-_ .")
