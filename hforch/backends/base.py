"""The contract of a backend: one module of this folder, named as its option in conf/backend.

A backend module offers:

    LIBRARIES: tuple[str, ...]                     modules that load and generate import; a worker imports them early,
                                                   and the versions of their packages are recorded
    LLM_MODULE: str                                the module of its LLM, which `load` imports; planning does without
    QUANTIZERS: dict[str, tuple[str, ...]]         by precision, modules that only it imports; may be left out
    capabilities(job) -> Capabilities              what it can do for the job, and what it needs; imports nothing heavy
    check(job) -> list[Mistake]                    what else it cannot do, or this machine; before any weight is touched
    prepare(job, progress) -> PreparedModel        the weights on disk: fetched, converted, exported
    load(job, prepared) -> LoadedModel             the model in memory

Its configuration, with what is wrong in it whatever the machine, is a class in config/backends/.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from hforch.backends.capabilities import Capabilities
from hforch.config.schema import ChatPrompt, Job
from hforch.errors import ConfigError, Mistake
from hforch.generation import grammar
from hforch.generation.batching import by_length, cut
from hforch.generation.engine import Engine
from hforch.generation.logit_reader import LogitReader
from hforch.models.checkpoint import Checkpoint
from hforch.utils.progress import Progress
from hforch.utils.quiet_libraries import quiet

if TYPE_CHECKING:  # it takes half a second to import LangChain, and who plans jobs needs none
    from hforch.generation.llm import HforchLLM


@dataclass(frozen=True)
class PreparedModel:
    """Weights on disk, ready to be loaded.

    Attributes:
        path: the folder to load from; None for a backend without weights.
        tokenizer: the folder of its tokenizer, where the backend wants to know.
        seconds: what took time, by name (download_s, convert_s, export_s); what was there already is not in it.
        disk_mb: the weights that are loaded, as they lie on disk.
        record: what the record says of them.
    """

    path: Path | None
    tokenizer: Path | None = None
    checkpoint: Checkpoint | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    disk_mb: float | None = None
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        engine: what generates.
        build: makes the LLM over it from the fields of HforchLLM.
        effective: precision, device and settings as the library reports them after loading.
        synchronize: waits until the devices have done what was asked of them; nothing to wait for on a CPU.
        logit_reader: makes what reads given tokens with this model; None where there are no logits.
        remarks: warnings about how it was loaded.
        configure: takes over, before each job, what of the backend's options is not part of the load key.
    """

    engine: Engine
    build: Callable[..., HforchLLM]
    effective: dict[str, Any]
    logit_reader: Callable[[], LogitReader] | None = None
    remarks: tuple[Mistake, ...] = ()
    synchronize: Callable[[], None] = lambda: None
    configure: Callable[[Job], None] = lambda job: None


class Backend(Protocol):
    """A module of this folder, as `backend_of` returns it; QUANTIZERS is not among what each has."""

    LIBRARIES: tuple[str, ...]
    LLM_MODULE: str

    def capabilities(self, job: Job) -> Capabilities: ...

    def check(self, job: Job) -> list[Mistake]: ...

    def prepare(self, job: Job, progress: Progress) -> PreparedModel: ...

    def load(self, job: Job, prepared: PreparedModel) -> LoadedModel: ...


def backend_of(job: Job) -> Backend:
    """The backend module that `job` names, imported now."""
    return cast(Backend, import_module(f"hforch.backends.{job.backend.name}"))


def capabilities(job: Job) -> Capabilities:
    """What the job's backend can do for it, and what it needs."""
    return backend_of(job).capabilities(job)


def check(job: Job) -> list[Mistake]:
    """What the job's backend, or this machine, cannot do for it."""
    able = capabilities(job)
    mistakes = grammar.check(job, able.unenforced)
    if job.scoring.is_requested and (reason := able.lacks.get("logits")):
        mistakes.append(Mistake("scoring", reason, None, "choose scoring=none"))
    return mistakes + backend_of(job).check(job)


def load(job: Job, progress: Progress) -> LoadedModel:
    """Check a job against this machine, get its weights and load them.

    Raises:
        ConfigError: this machine cannot run it.
        ModelError, BackendError: the weights cannot be had, or not loaded.
    """
    backend = backend_of(job)
    if mistakes := check(job):
        raise ConfigError(mistakes)
    prepared = backend.prepare(job, progress)
    is_noisy = any(library.startswith("transformers") for library in backend.LIBRARIES)
    with quiet() if is_noisy else nullcontext():
        return backend.load(job, prepared)


def build_llm(job: Job, loaded: LoadedModel, **fields: Any) -> HforchLLM:
    """The LLM that a job describes, over a loaded model.

    Args:
        fields: further fields of the LLM, such as LangChain's `cache` or `callbacks`; they win.
    """
    described = {
        "generation": grammar.resolved(job.generation),
        "stop": job.stop.sequences,
        "seed": job.runtime.seed,
        "echo": job.prompt.echo,
        "batch_size": job.runtime.batch_size,
        "chat_template_kwargs": job.prompt.chat_template_kwargs if isinstance(job.prompt, ChatPrompt) else {},
    }
    loaded.configure(job)
    return loaded.build(**described | fields)


def batches(job: Job, lengths: Sequence[int]) -> list[list[int]]:
    """The places of the inputs that are handed over together: of like length where they are padded to one."""
    batching = capabilities(job).batching
    if batching.is_continuous:
        return cut(range(len(lengths)), batching.max_in_flight)
    return by_length(lengths, batching.max_in_flight)


def prepared_from(checkpoint: Checkpoint) -> PreparedModel:
    """A checkpoint that is loaded as it lies."""
    took = {"download_s": checkpoint.download_s, "convert_s": checkpoint.convert_s}
    return PreparedModel(
        path=checkpoint.path,
        checkpoint=checkpoint,
        seconds={name: seconds for name, seconds in took.items() if seconds is not None},
        disk_mb=checkpoint.disk_mb,
        record={"kind": checkpoint.kind, "fingerprint": checkpoint.fingerprint, **checkpoint.source},
    )


def tokenizer_id(prepared: PreparedModel) -> str:
    """What tells tokenizers apart: those whose ids mean the same have the same. 16 hex digits.

    A tokenizer that is saved once more is written in another way, so its vocabulary counts and not its file.
    """
    folder = prepared.tokenizer or prepared.path
    assert folder is not None
    if not (folder / "tokenizer.json").is_file():
        return str(prepared.record.get("fingerprint"))[:16]
    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [[one["id"], one["content"]] for one in told.get("added_tokens") or []]
    meant = [(told.get("model") or {}).get("vocab"), sorted(added)]
    return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()[:16]


def missing_extra(module: str, extra: str, needed_for: str, path: str) -> list[Mistake]:
    """A mistake if `module` is not installed, with the command that installs it."""
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # not even the package that the module is in
        found = None
    if found is not None:
        return []
    return [Mistake(path, f"{needed_for} needs {module}, which is not installed", None, install(extra))]


def install(extra: str) -> str:
    return f"install it with: pip install 'hforch[{extra}]'"
