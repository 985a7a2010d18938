"""The first phase of a job: load its model, if it fits into memory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from hforch.backends.base import LoadedModel, PreparedModel, backend_of, capabilities, verify
from hforch.backends.load_key import load_key
from hforch.config.schema import Job, MessagesPrompt
from hforch.errors import ConfigError, Mistake
from hforch.inputs import Input
from hforch.machine import accelerators
from hforch.records.machine import Effective
from hforch.runs import memory_check
from hforch.runs.job_header import header
from hforch.runs.memory_meter import MemoryMeter
from hforch.runs.processes.preload import preload
from hforch.runs.resuming import ANEW
from hforch.runs.run_state import Run, warn

CHAT_TOKENS = 256  # more than a chat template usually adds to a prompt


def check_memory(run: Run, inputs: Sequence[Input]) -> bool:
    """Reject a model that does not fit into memory, or warn about it, depending on runtime.memory_check.

    Returns:
        whether there was a warning.
    """
    mistake = memory_check.memory_problem(run.job, inputs)
    if mistake and run.job.runtime.memory_check == "refuse":
        raise ConfigError([mistake])
    if mistake:
        warn(run, [mistake])
    return mistake is not None


def prepare_model(run: Run, inputs: Sequence[Input], memory: MemoryMeter) -> PreparedModel:
    """Return the weights on disk; download or convert them first, unless this process already holds the model."""
    slot, size = run.model_slot, run.job.runtime.batch_size
    part = run.job_context.part
    only_scores = part is not None and not part.measures
    run.note(shared_load=slot.key == load_key(run.job) and (only_scores or not slot.has_scored))
    if not run.record.shared_load:
        slot.drop()
        memory.begin()  # exclude the memory of the previous model
        warned = check_memory(run, inputs)  # before a large file is read completely
        slot.prepared = backend_of(run.job).prepare(run.job, run.log)
        if slot.prepared.seconds and not warned:
            check_memory(run, inputs)  # the size is known only after the download or conversion
    elif slot.batch_size != size:
        accelerators.release()  # exclude memory that was cached for another batch size
        memory.begin()
    slot.batch_size = size
    assert slot.prepared is not None
    prepared = slot.prepared = verify(run.job, slot.prepared, _longest(run.job, inputs, slot.prepared), run.log)
    found = {"engine_check": prepared.engine_check} if prepared.engine_check else {}
    run.note(model=prepared.record | found, timings=dict(slot.timings or prepared.seconds), disk_mb=prepared.disk_mb)
    return prepared


def _longest(job: Job, inputs: Sequence[Input], prepared: PreparedModel) -> Callable[[], int]:
    """Return a function that returns the maximum number of tokens of a prompt and its answer."""
    more = CHAT_TOKENS if isinstance(job.prompt, MessagesPrompt) else 0
    return lambda: more + memory_check.longest_sequence(job, inputs, prepared.tokenizer or prepared.path)


def refuse_other_weights(run: Run, prepared: PreparedModel) -> None:
    """Reject weights that differ from those used before; warn if that cannot be verified.

    Raises:
        ConfigError: the fingerprint is different or missing.
    """
    was, now = run.job_context.fingerprint, prepared.record["fingerprint"]
    if was is None and run.before and run.continues:
        was = (run.before.record.get("model") or {}).get("fingerprint")
    if was is not None and was != now:
        if now is None:
            why = capabilities(run.job).lacks.get("fingerprint", "the backend provides none")
            change = f"may have changed: the fingerprint of its weights was {was[:12]}... and is now missing: {why}"
        else:
            change = f"has changed: the fingerprint of its weights was {was[:12]}... and is now {now[:12]}..."
        hint = ANEW if run.job_context.resume else "freeze the recipe again, from a run with these weights"
        raise ConfigError([Mistake("model", f"the model {change}", None, hint)])
    if run.before and run.before.answered and now is None and not run.continues:
        warn(run, [Mistake("model", "has no fingerprint; cannot verify that earlier answers are from the same model")])


def load_model(run: Run, prepared: PreparedModel, memory: MemoryMeter) -> LoadedModel:
    """Load the model and store it in the slot, for later jobs with the same load key."""
    preload(run.job.backend.name, run.job.precision.name)  # import libraries before the load time is measured
    started = time.perf_counter()
    with run.log.stage("load", header(run.job).get("model", run.job.backend.name)):
        loaded = backend_of(run.job).load(run.job, prepared)
        loaded.synchronize()
    timings = {**prepared.seconds, "load_s": round(time.perf_counter() - started, 3)}
    run.record.timings = dict(timings)
    run.model_slot.key, run.model_slot.loaded = load_key(run.job), loaded
    run.model_slot.timings, run.model_slot.memory = timings, memory.peaks()
    return loaded


def read_back(run: Run, loaded: LoadedModel) -> None:
    """Record the settings that are in effect after loading."""
    seed = run.job.runtime.seed
    if seed is None:  # choose a random seed and record it, so that the run can be reproduced
        drawn = (run.before.record.get("effective") or {}).get("seed") if run.before else None
        seed = secrets.randbits(32) if drawn is None else drawn
    decoding = loaded.engine.decoding(run.job.generation)
    run.effective = Effective(**loaded.effective, decoding=decoding, stop=list(run.job.stop.sequences), seed=seed)
    run.note(effective=run.effective)
