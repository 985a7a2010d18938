"""The type of record.json: one job, from what it was asked for to what came of it."""

from typing import Any, Literal

from pydantic import Field

from hforch.metrics.registry import BY_NAME
from hforch.records.fields import Count, Error, Finite, OpenPart, Part, Reasons
from hforch.records.machine import CardUse, Effective, Environment, Memory, Process
from hforch.records.measured import Metrics, Scores, Totals, WarmedUp

SCHEMA_VERSION = 2
"""Version of record.json and sweep.json; `versions.py` has what was otherwise before."""

Status = Literal["ok", "failed", "interrupted", "partial"]
"""ok: every sample was answered. failed: some was not, or none could be. interrupted: by Ctrl-C.
partial: the run has not ended; it goes on now, or it was killed."""


class Head(Part):
    """What record.json and sweep.json begin with."""

    schema_version: Count | None = Field(default=None, description="version of these keys")
    status: Status | None = Field(default=None, description="how it ended, if it has")
    started: str | None = Field(default=None, description="ISO 8601, in UTC")
    finished: str | None = Field(default=None, description="ISO 8601, in UTC; missing before its end")


class Configuration(Part):
    """The configuration of a job."""

    job: dict[str, dict[str, Any] | None] | None = Field(
        default=None, description="the resolved configuration, as `hforch schema job` describes it"
    )
    from_env: dict[str, str] | None = Field(
        default=None,
        description="the interpolations of the values that came from environment variables, by their paths in `job`,"
        " which holds them too; missing where there are none",
    )
    redacted: list[str] | None = Field(
        default=None,
        description="the paths in `job` of values that held a credential, of which the record keeps `***`; missing"
        " where there are none",
    )


class Command(Part):
    """What a job or a sweep was asked for with."""

    overrides: list[str] | None = Field(
        default=None, description="as given on the command line or, of a job, swept over"
    )
    recipe: str | None = Field(default=None, description="the file of that recipe, if there was one")
    config_dir: str | None = Field(default=None, description="the flag `--config-dir`")
    config_name: str | None = Field(default=None, description="the flag `--config-name`")


class Identity(Part):
    """What makes two jobs the same."""

    job_id: str | None = Field(
        default=None, description="hash of all in the configuration that decides outputs, the inputs' contents included"
    )
    load_key: str | None = Field(default=None, description="hash of what decides the loaded model")


class Stage(Part):
    """One step of a run."""

    name: str = Field(description="such as download, convert, export, load, warmup, score")
    detail: str = Field(description="of what, such as the name of the model")
    seconds: Finite | None = Field(description="null while it is under way")
    finished: bool = Field(description="whether it came to its end")


class Export(OpenPart):
    """How an OpenVINO model was made."""

    key: str | None = Field(default=None, description="of its entry in the cache")
    weight_format: str | None = Field(default=None, description="of its weights, read from the model")
    bits: dict[str, Any] | None = Field(default=None, description="layers and parameters by type of element")


class Model(OpenPart):
    """Where the weights came from; each source of models adds what names them there."""

    kind: str | None = Field(default=None, description="`torch`, `openvino`, or a backend's own")
    fingerprint: str | None = Field(
        default=None, description="sha256 over their contents; null where the backend gives none"
    )
    source: str | None = Field(default=None, description="the source in the group `model`, such as `hub`")
    commit: str | None = Field(default=None, description="of a model of the hub")
    export: Export | None = Field(default=None, description="of an exported model its key and bit widths")
    likelihood: dict[str, Finite] | None = Field(
        default=None,
        description="of a converted GGUF file: mean log-probability a token, in nats, of `plain` sentences, of the same"
        " tokens `shuffled`, by `guessing`, and with few (`near`) or all (`far`) tokens before known; a conversion that"
        " does not make sense of plain sentences is refused",
    )


class Record(Identity, Command, Configuration, Head):
    """record.json: one job."""

    needed = frozenset({"status"})

    cwd: str | None = Field(default=None, description="the folder in which the command was given")
    parallel: bool | None = Field(default=None, description="whether other jobs ran on the machine meanwhile")
    resumed: Count | None = Field(default=None, description="how often the job was resumed")
    same_as: str | None = Field(
        default=None,
        description="the directory of the job that was run in this one's stead, because their backend makes them equal",
    )
    process: Process | None = Field(
        default=None,
        description="how the process that held the model was started: `start` is `fork`, `spawn` (a new Python, because"
        " importing the libraries had initialized the accelerators named in `because`, and a fork cannot use them) or"
        " `inline`",
    )
    stages: list[Stage] | None = Field(
        default=None, description="download, convert, export, load, warmup: seconds, and whether each came to its end"
    )
    warnings: list[str] | None = Field(default=None, description="what was worth a second look")
    shared_load: bool | None = Field(
        default=None, description="whether an earlier job of the sweep had loaded the model"
    )
    absent: Reasons | None = Field(
        default=None,
        description="what the backend does not have, with the reason: `token_ids`, `tokenizer`, `logits`,"
        " `fingerprint`, `memory` (of a model that runs elsewhere; then its energy is not known either)",
    )
    model: Model | None = Field(
        default=None,
        description="where the weights came from, `fingerprint` (sha256 over their contents), and `export` with its bit"
        " widths",
    )
    timings: dict[str, Finite | None] | None = Field(default=None, description="in seconds, by name")
    disk_mb: Finite | None = Field(
        default=None, description=f"{BY_NAME['disk_mb'].definition}, in MB of a million bytes"
    )
    effective: Effective | None = Field(
        default=None,
        description="device, precision, `ov_config`, threads, decoding, stop and seed as the libraries report them"
        " after loading",
    )
    environment: Environment | None = Field(
        default=None,
        description="package versions, Python, OS, CPU, memory, accelerators, git state of the working directory; what"
        " could not be read is `absent`, with the reason",
    )
    plan: list[list[str]] | None = Field(default=None, description="the inputs that share each batch, by `input_id`")
    planned: Count | None = Field(default=None, description="samples that are planned, while it runs; in `totals` then")
    warmup: list[WarmedUp] | None = Field(
        default=None, description="of each shape that was warmed up, how many rounds that took, and what ended them"
    )
    metrics: Metrics | None = Field(default=None, description="what was measured, and why some of it is `absent`")
    memory: Memory | None = Field(default=None, description="peaks of memory, and why some are `absent`")
    accelerators: list[CardUse] | None = Field(
        default=None,
        description="of each NVIDIA card that the job used, in the measured phase: energy; clocks, temperature and"
        " clock event reasons at its `begin` and `end`; `slowed_by`, slowdowns seen at any time (heat, power brake,"
        " hardware); `other_processes` on the card, how many may have been computing, and their memory",
    )
    shared_accelerator: str | None = Field(
        default=None,
        description="why the job did not have its card to itself: other processes computed there, or other jobs ran and"
        " may have used it; missing otherwise",
    )
    scores: Scores | None = Field(
        default=None,
        description="metrics of scoring; of each part (`against_baseline`, `on_text`) what was read, and why its"
        " metrics are `absent`; what read it, and how long that took",
    )
    totals: Totals | None = Field(
        default=None,
        description="samples planned, recorded and failed; tokens; how answers ended; `checks` passed, all together and"
        " each",
    )
    exit_code: Count | None = Field(default=None, description="of the command, as far as this job decides it")
    error: Error | None = Field(default=None, description="what ended the run, if not all went well")
