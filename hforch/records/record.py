"""The type of record.json, which describes one job: its configuration, environment and results."""

from typing import Any, Literal

from pydantic import Field

from hforch.metrics.registry import BY_NAME
from hforch.records.fields import Count, Error, Finite, OpenPart, Part, Reasons
from hforch.records.machine import CardUse, Effective, Environment, Memory, Process
from hforch.records.measured import MetricInterval, Metrics, Scores, Totals, WarmedUp
from hforch.records.rounds import Round

SCHEMA_VERSION = 2
"""Version of record.json and sweep.json; `versions.py` converts older versions."""

Status = Literal["ok", "failed", "interrupted", "partial"]
"""ok: every sample succeeded. failed: some or all samples failed. interrupted: by Ctrl-C, or between two rounds by the
failure of another job (runtime.fail_fast). partial: the run has not finished; it is still running, or was killed."""


class Head(Part):
    """The first keys of record.json and sweep.json."""

    schema_version: Count | None = Field(default=None, description="version of the file format")
    status: Status | None = Field(default=None, description="`ok`, `failed`, `interrupted` or `partial`")
    started: str | None = Field(default=None, description="start time, ISO 8601 in UTC")
    finished: str | None = Field(default=None, description="end time, ISO 8601 in UTC; missing until the run finishes")


class Configuration(Part):
    """The configuration of a job."""

    job: dict[str, dict[str, Any] | None] | None = Field(
        default=None, description="the resolved configuration; `hforch schema job` describes it"
    )
    from_env: dict[str, str] | None = Field(
        default=None,
        description="interpolations of environment variables, by path in `job`; `job` contains them instead of the"
        " values; missing if empty",
    )
    redacted: list[str] | None = Field(
        default=None,
        description="paths in `job` of values that contained a credential, recorded as `***`; missing if empty",
    )


class Command(Part):
    """The command of a job or sweep."""

    overrides: list[str] | None = Field(
        default=None, description="overrides from the command line; for a job of a sweep, including its swept values"
    )
    recipe: str | None = Field(default=None, description="file of the recipe, if any")
    config_dir: str | None = Field(default=None, description="value of `--config-dir`")
    config_name: str | None = Field(default=None, description="value of `--config-name`")


class Identity(Part):
    """The hashes that identify a job."""

    job_id: str | None = Field(
        default=None,
        description="hash of all configuration that affects outputs, including the contents of the inputs",
    )
    load_key: str | None = Field(default=None, description="hash of all configuration that affects the loaded model")


class Stage(Part):
    """A stage of a run."""

    name: str = Field(description="name of the stage: download, convert, export, load, warm-up, score, ...")
    detail: str = Field(description="what the stage works on, such as the name of the model")
    seconds: Finite | None = Field(description="duration in seconds; null while the stage runs")
    finished: bool = Field(description="whether the stage finished")


class Export(OpenPart):
    """The export of an OpenVINO model."""

    key: str | None = Field(default=None, description="key of its cache entry")
    weight_format: str | None = Field(default=None, description="format of the weights, read from the model")
    bits: dict[str, Any] | None = Field(default=None, description="number of layers and parameters by element type")


class EngineCheck(Part):
    """The comparison of an engine with the library that computes its scores, by log-probabilities of tokens."""

    agrees: bool | None = Field(
        default=None, description="whether rounding explains the differences; null if they are unknown"
    )
    reason: str | None = Field(default=None, description="why the differences are unknown")
    prompt_tokens: Count | None = Field(default=None, description="tokens of the longest prompt")
    tokens: Count | None = Field(default=None, description="number of generated tokens")
    difference: Finite | None = Field(default=None, description="mean absolute difference, in nats")
    rounding: Finite | None = Field(
        default=None, description="mean absolute change of the library's results by the job's settings, in nats"
    )


class Model(OpenPart):
    """The origin of the weights; each model source adds keys that identify them."""

    kind: str | None = Field(default=None, description="`torch`, `openvino`, or a kind of the backend")
    fingerprint: str | None = Field(
        default=None, description="SHA-256 of the weights; null if the backend does not provide it"
    )
    source: str | None = Field(default=None, description="source in the group `model`, such as `hub`")
    commit: str | None = Field(default=None, description="commit of a model from the Hugging Face Hub")
    export: Export | None = Field(default=None, description="key and bit widths of an exported model")
    engine_check: EngineCheck | None = Field(
        default=None, description="comparison of openvino_genai with OpenVINO, which computes its scores"
    )
    likelihood: dict[str, Finite] | None = Field(
        default=None,
        description="only for a converted GGUF file: mean log-probabilities per token, in nats, which test the"
        " conversion: of English sentences (`plain`), of their tokens in random order (`shuffled`), of a uniform"
        " distribution over the vocabulary (`guessing`), and of the sentences with only a few (`near`) or all (`far`)"
        " preceding tokens as context; a conversion that predicts the sentences poorly is rejected",
    )


class PathUse(Part):
    """A path in the configuration."""

    given: str = Field(description="the path as it was given")
    resolved: str = Field(
        description="the absolute path; relative paths in a recipe are relative to the recipe, others to `cwd`"
    )


class InputsRead(Part):
    """How the inputs were read."""

    format: str | None = Field(default=None, description="format of the file; missing for inline inputs")
    delimiter: str | None = Field(default=None, description="delimiter of a CSV or TSV file")
    column: str | None = Field(
        default=None, description="column that is the prompt, if it was chosen by its name or as the only one"
    )


class Record(Identity, Command, Configuration, Head):
    """The contents of record.json, which describes one job."""

    needed = frozenset({"status"})

    cwd: str | None = Field(default=None, description="working directory of the command")
    auto_prompt: Literal["chat", "question"] | None = Field(
        default=None,
        description="the option that `prompt=auto` stands for: `chat` if the model has a chat template, else"
        " `question`; missing for other prompts",
    )
    paths: dict[str, PathUse] | None = Field(
        default=None, description="file paths in the configuration, as given and resolved, by key; missing if empty"
    )
    parallel: bool | None = Field(default=None, description="whether other jobs ran on the machine at the same time")
    resumed: Count | None = Field(default=None, description="number of times the job was resumed")
    same_as: str | None = Field(
        default=None,
        description="directory of the equivalent job that was run instead of this one",
    )
    process: Process | None = Field(
        default=None,
        description="how the process that held the model was started: `start` is `fork`, `inline`, or `spawn` (a new"
        " Python process, used if importing the libraries initialized accelerators, because a forked process could not"
        " use them; `because` lists these accelerators)",
    )
    stages: list[Stage] | None = Field(
        default=None,
        description="duration of each stage (download, convert, export, load, warm-up, ...), and whether it finished",
    )
    warnings: list[str] | None = Field(default=None, description="warnings of the run")
    inputs: InputsRead | None = Field(
        default=None, description="how the inputs were read; those from standard input are in `job.inputs.items`"
    )
    shared_load: bool | None = Field(
        default=None, description="whether the model had been loaded by an earlier job of the sweep"
    )
    absent: Reasons | None = Field(
        default=None,
        description="what the backend does not provide, each with the reason: `token_ids`, `tokenizer`, `logits`,"
        " `fingerprint`, `memory` (if the model runs on another machine; its energy is then unknown as well)",
    )
    model: Model | None = Field(
        default=None,
        description="origin of the weights, `fingerprint` (SHA-256 of their contents), and `export` with bit widths",
    )
    timings: dict[str, Finite | None] | None = Field(default=None, description="timings by name, in seconds")
    disk_mb: Finite | None = Field(default=None, description=f"{BY_NAME['disk_mb'].definition}, in MB (10^6 bytes)")
    effective: Effective | None = Field(
        default=None,
        description="device, precision, `ov_config`, threads, decoding, stop and seed, as reported by the libraries"
        " after loading",
    )
    environment: Environment | None = Field(
        default=None,
        description="package versions, Python, OS, CPU, memory, accelerators, git state of the working directory;"
        " `absent` has the reasons for values that could not be read",
    )
    plan: list[list[str]] | None = Field(default=None, description="the inputs of each batch, by `input_id`")
    planned: Count | None = Field(
        default=None, description="number of planned samples, only while the job runs; afterwards, `totals` contains it"
    )
    warmup: list[WarmedUp] | None = Field(
        default=None, description="for each batch shape, the number of warm-up rounds, their times, and why they ended"
    )
    rounds: list[Round] | None = Field(
        default=None,
        description="for each round of `runtime.rounds`: start time, duration, speed, and possible disturbances",
    )
    interleaved: bool | None = Field(
        default=None,
        description="whether the job took turns with the other jobs of its sweep, round by round; false if its rounds"
        " were measured consecutively",
    )
    extended: bool | None = Field(
        default=None,
        description="true if more rounds were measured after results were available (`hforch resume DIR"
        " runtime.rounds=N`); missing otherwise",
    )
    looked_early: bool | None = Field(
        default=None,
        description="true if the number of rounds depended on the results (`runtime.measure`); missing otherwise",
    )
    metrics: Metrics | None = Field(default=None, description="measurements; `absent` has the reasons for missing ones")
    intervals: dict[str, MetricInterval] | None = Field(
        default=None, description="the 95% confidence interval of each metric, or the reason why it is missing"
    )
    memory: Memory | None = Field(default=None, description="peak memory; `absent` has the reasons for missing values")
    accelerators: list[CardUse] | None = Field(
        default=None,
        description="for each NVIDIA GPU that the job used, in the measured phase: energy; clocks, temperature and"
        " clock event reasons at the beginning (`begin`) and the `end`; causes of slowdowns (`slowed_by`: heat, power"
        " brake, hardware); `other_processes`: their number, how many of them may have used the GPU, and their memory",
    )
    shared_accelerator: str | None = Field(
        default=None,
        description="why the GPU counts as shared during the job: other processes used it, or jobs that ran in parallel"
        " may have used it; missing otherwise",
    )
    scores: Scores | None = Field(
        default=None,
        description="metrics of scoring; what each part (`against_baseline`, `on_text`) scored, and why its metrics are"
        " `absent`; the library that computed the logits; the duration",
    )
    totals: Totals | None = Field(
        default=None,
        description="numbers of planned, recorded and failed samples, tokens, answers by finish reason, and passed"
        " `checks`, in total and by check",
    )
    exit_code: Count | None = Field(
        default=None, description="exit code of this job; the command exits with the worst one of its jobs"
    )
    error: Error | None = Field(default=None, description="the error that ended the run, if any")
