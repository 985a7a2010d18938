"""The backend interface.

A backend is a module in this package, named after its option in conf/backend. It defines:

    LIBRARIES: tuple[str, ...]                     modules that loading and generating import; a worker imports them
                                                   early, and the versions of their packages are recorded
    LLM_MODULE: str                                the module of its LLM class; `load` imports it, planning does not
    QUANTIZERS: dict[str, tuple[str, ...]]         modules that only one precision imports, by precision; optional
    capabilities(job) -> Capabilities              capabilities and requirements for the job, without heavy imports
    check(job) -> list[Mistake]                    errors that depend on this machine; called before weights are read
    check_files(job, found) -> None                raise ModelError if it cannot load these files of a model; optional
    prepare(job, progress) -> PreparedModel        the weights on disk, downloaded, converted or exported as needed
    verify(job, prepared, longest, progress) -> PreparedModel
                                                   check an engine whose scores another library computes; optional
    load(job, prepared) -> LoadedModel             the model in memory

A class in config/backends/ defines the backend's options and the checks that do not depend on the machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from hforch.backends.capabilities import Capabilities
from hforch.config.schema import Job, MessagesPrompt
from hforch.errors import ConfigError, Mistake, ModelError
from hforch.generation import grammar
from hforch.generation.batching import by_length, cut
from hforch.generation.engine import Engine
from hforch.generation.logit_reader import LogitReader
from hforch.models.checkpoint import Checkpoint
from hforch.models.sources import examine
from hforch.utils.progress import Progress
from hforch.utils.quiet_libraries import quiet

if TYPE_CHECKING:  # importing LangChain takes half a second, and planning does not need it
    from hforch.generation.llm import HforchLLM


Longest = Callable[[], int] | None


@dataclass(frozen=True)
class PreparedModel:
    """The weights of a model on disk, ready to load.

    Attributes:
        path: directory to load from; None for a backend without weights.
        tokenizer: directory of the tokenizer, if it differs from `path`.
        checkpoint: the checkpoint that the weights come from; None for a backend without weights.
        seconds: durations in seconds (download_s, convert_s, export_s), without steps that the cache made unnecessary.
        disk_mb: size of the loaded weights on disk, in MB.
        record: description of the weights for the run's record.
        token_ids: token ids that the checkpoint's tokenizer gives for `transformers_tokenizer.PROBES`, the probe texts,
            to check other copies of the tokenizer; empty if unknown.
        unscorable: why scores would not describe the backend's engine; None if they do.
        engine_check: result of `verify`, for the record.
    """

    path: Path | None
    tokenizer: Path | None = None
    checkpoint: Checkpoint | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    disk_mb: float | None = None
    record: dict[str, Any] = field(default_factory=dict)
    token_ids: list[list[int]] = field(default_factory=list)
    unscorable: str | None = None
    engine_check: dict[str, Any] | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        engine: generates text with the model.
        build: returns an LLM that uses the engine; its arguments are fields of HforchLLM.
        effective: precision, device and settings as the library reports them after loading.
        logit_reader: builds a LogitReader of the model; None if the backend provides no logits.
        remarks: warnings about the loaded model.
        synchronize: waits until the devices have finished their queued work; does nothing on a CPU.
        configure: applies the backend options that are not part of the load key; called before each job.
        drop: drops the model from objects that LLMs reference, other than the engine.
    """

    engine: Engine
    build: Callable[..., HforchLLM]
    effective: dict[str, Any]
    logit_reader: Callable[[], LogitReader] | None = None
    remarks: tuple[Mistake, ...] = ()
    synchronize: Callable[[], None] = lambda: None
    configure: Callable[[Job], None] = lambda job: None
    drop: Callable[[], None] = lambda: None

    def free(self) -> None:
        """Close the engine and free the model, even if LLMs still reference it."""
        self.engine.free()
        self.drop()


class Backend(Protocol):
    """A backend module, as returned by `backend_of`, without the optional QUANTIZERS, `check_files` and `verify`."""

    LIBRARIES: tuple[str, ...]
    LLM_MODULE: str

    def capabilities(self, job: Job) -> Capabilities: ...

    def check(self, job: Job) -> list[Mistake]: ...

    def prepare(self, job: Job, progress: Progress) -> PreparedModel: ...

    def load(self, job: Job, prepared: PreparedModel) -> LoadedModel: ...


def backend_of(job: Job) -> Backend:
    """Import and return the backend module of a job."""
    return cast(Backend, import_module(f"hforch.backends.{job.backend.name}"))


def capabilities(job: Job) -> Capabilities:
    """Return the capabilities and requirements of the job's backend."""
    return backend_of(job).capabilities(job)


def check(job: Job) -> list[Mistake]:
    """Return errors about settings that the job's backend or this machine does not support."""
    able = capabilities(job)
    mistakes = grammar.check(job, able.unenforced)
    if job.scoring.is_requested and (reason := able.lacks.get("logits")):
        mistakes.append(Mistake("scoring", reason, None, "use scoring=none"))
    return [*mistakes, *backend_of(job).check(job), *_check_files(job, able)]


def _check_files(job: Job, able: Capabilities) -> list[Mistake]:
    """Return the error in the model's files, as far as they are on this machine."""
    if able.needs.weights is None:
        return []
    try:
        found = examine(job.model)
        own = getattr(backend_of(job), "check_files", None)
        if found is not None and own is not None:
            own(job, found)
    except ModelError as error:
        path = error.path or "model"
        return [Mistake(path, re.sub(rf"^({re.escape(path)}|model)[:=] ?", "", str(error)))]
    return []


def verify(job: Job, prepared: PreparedModel, longest: Longest, progress: Progress) -> PreparedModel:
    """Check the backend's engine, before the model is loaded; return the weights with the result.

    Args:
        longest: returns the maximum number of tokens of a prompt and its answer; None if unknown.

    Raises:
        BackendError: the engine computes the model incorrectly, or crashes.
    """
    own = getattr(backend_of(job), "verify", None)
    return prepared if own is None else cast(PreparedModel, own(job, prepared, longest, progress))


def check_and_prepare(job: Job, progress: Progress) -> PreparedModel:
    """Check that this machine can run a job, then prepare its weights.

    Raises:
        ConfigError: this machine cannot run the job.
        ModelError: the weights are missing or unusable, or cannot be downloaded.
    """
    if mistakes := check(job):
        raise ConfigError(mistakes)
    return backend_of(job).prepare(job, progress)


def load_prepared(job: Job, prepared: PreparedModel, progress: Progress) -> LoadedModel:
    """Check the backend's engine, then load the model.

    Raises:
        ModelError: the weights are unusable.
        BackendError: the backend cannot load the model.
    """
    backend = backend_of(job)
    prepared = verify(job, prepared, None, progress)
    is_noisy = any(library.startswith("transformers") for library in backend.LIBRARIES)
    with quiet() if is_noisy else nullcontext():
        return backend.load(job, prepared)


def load(job: Job, progress: Progress) -> LoadedModel:
    """Check that this machine can run a job, then prepare and load its model, which is not shared.

    Raises:
        ConfigError: this machine cannot run the job.
        ModelError: the weights are missing or unusable, or cannot be downloaded.
        BackendError: the backend cannot load the model.
    """
    return load_prepared(job, check_and_prepare(job, progress), progress)


def build_llm(job: Job, loaded: LoadedModel, **fields: Any) -> HforchLLM:
    """Build the LLM of a job from a loaded model.

    Args:
        fields: other fields of the LLM, such as LangChain's `cache` or `callbacks`; they override those of the job.
    """
    described = {
        "generation": grammar.resolved(job.generation),
        "stop": job.stop.sequences,
        "seed": job.runtime.seed,
        "echo": job.prompt.echo,
        "batch_size": job.runtime.batch_size,
        "chat_template_kwargs": job.prompt.chat_template_kwargs if isinstance(job.prompt, MessagesPrompt) else {},
        "model_name": job.backend.name if "model" in capabilities(job).ignores else job.model.label,
    }
    loaded.configure(job)
    return loaded.build(**described | fields)


def batches(job: Job, lengths: Sequence[int]) -> list[list[int]]:
    """Return batches of input positions: in input order for continuous batching, else grouped by length.

    Args:
        lengths: length of each input, in any unit.
    """
    batching = capabilities(job).batching
    if batching.is_continuous:
        return cut(range(len(lengths)), batching.max_in_flight)
    return by_length(lengths, batching.max_in_flight)


def prepared_from(checkpoint: Checkpoint) -> PreparedModel:
    """Return the PreparedModel of a checkpoint that is loaded as is."""
    took = {"download_s": checkpoint.download_s, "convert_s": checkpoint.convert_s}
    return PreparedModel(
        path=checkpoint.path,
        checkpoint=checkpoint,
        seconds={name: seconds for name, seconds in took.items() if seconds is not None},
        disk_mb=checkpoint.disk_mb,
        record={"kind": checkpoint.kind, "fingerprint": checkpoint.fingerprint, **checkpoint.source},
    )


def tokenizer_id(prepared: PreparedModel) -> str:
    """Return a hash of the vocabulary, 16 hex digits: equal for tokenizers with the same token ids.

    The file itself is not hashed, because saving a tokenizer again changes its formatting.
    """
    folder = prepared.tokenizer or prepared.path
    assert folder is not None
    if not (folder / "tokenizer.json").is_file():
        return str(prepared.record.get("fingerprint"))[:16]
    contents = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [[one["id"], one["content"]] for one in contents.get("added_tokens") or []]
    identifying = [(contents.get("model") or {}).get("vocab"), sorted(added)]
    return hashlib.sha256(json.dumps(identifying, sort_keys=True).encode()).hexdigest()[:16]


def missing_extra(module: str, extra: str, needed_for: str, path: str) -> list[Mistake]:
    """Return an error with the install command if `module` is not installed, else an empty list."""
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # the parent package is missing
        found = None
    if found is not None:
        return []
    return [Mistake(path, f"{needed_for} requires {module}, which is not installed", None, install(extra))]


def install(extra: str) -> str:
    return f"install it with: pip install 'hforch[{extra}]'"
