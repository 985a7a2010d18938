"""The first phase of a job: its model comes into memory, if that has room for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from hforch.backends.base import LoadedModel, PreparedModel, backend_of, capabilities
from hforch.errors import ConfigError, Mistake
from hforch.inputs import Input
from hforch.machine import accelerators
from hforch.records.machine import Effective
from hforch.runs import memory_check
from hforch.runs.identity import load_key
from hforch.runs.job_header import header
from hforch.runs.memory_meter import MemoryMeter
from hforch.runs.processes.preload import preload
from hforch.runs.resuming import ANEW
from hforch.runs.run_state import Run, warn


def check_memory(run: Run, inputs: Sequence[Input]) -> bool:
    """Refuse a model that this machine's memory cannot hold, or warn of it, as runtime.memory_check says.

    Returns:
        whether there was something to warn of.
    """
    mistake = memory_check.memory_problem(run.job, inputs)
    if mistake and run.job.runtime.memory_check == "refuse":
        raise ConfigError([mistake])
    if mistake:
        warn(run, [mistake])
    return mistake is not None


def prepare_model(run: Run, inputs: Sequence[Input], memory: MemoryMeter) -> PreparedModel:
    """Return the weights on disk: those of the model that this process holds if the job needs it, else made ready."""
    slot, size = run.model_slot, run.job.runtime.batch_size
    run.note(shared_load=slot.key == load_key(run.job) and not slot.has_scored)
    if not run.record.shared_load:
        slot.drop()
        memory.begin()  # what was held until now is not this job's
        warned = check_memory(run, inputs)  # before a large file is read to its end
        slot.prepared = backend_of(run.job).prepare(run.job, run.log)
        if slot.prepared.seconds and not warned:
            check_memory(run, inputs)  # what was downloaded or converted only now
    elif slot.batch_size != size:
        accelerators.release()  # what was kept for another size of batch is not this job's
        memory.begin()
    slot.batch_size = size
    prepared = slot.prepared
    assert prepared is not None
    run.note(model=prepared.record, timings=dict(slot.timings or prepared.seconds), disk_mb=prepared.disk_mb)
    return prepared


def refuse_other_weights(run: Run, prepared: PreparedModel) -> None:
    """Refuse weights that are not those that were used before; warn where that is not known.

    Raises:
        ConfigError: their fingerprint is another, or missing.
    """
    was, now = run.job_context.fingerprint, prepared.record["fingerprint"]
    if was is not None and was != now:
        if now is None:
            why = capabilities(run.job).lacks.get("fingerprint", "the backend gives none")
            told = f"may be another: the fingerprint of its weights was {was[:12]}..., and now it has none: {why}"
        else:
            told = f"has changed: its weights had the fingerprint {was[:12]}... then, and have {now[:12]}... now"
        hint = ANEW if run.job_context.resume else "freeze the recipe anew, from a run with these weights"
        raise ConfigError([Mistake("model", f"the model {told}", None, hint)])
    if run.before and run.before.answered and now is None:
        warn(run, [Mistake("model", "has no fingerprint, so whether the same one has answered before is not known")])


def load_model(run: Run, prepared: PreparedModel, memory: MemoryMeter) -> LoadedModel:
    """Load the model, and keep it for the jobs that share it."""
    preload(run.job.backend.name, run.job.precision.name)  # most is there already; the rest is no part of loading
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
    """Put into the record what is really in effect."""
    seed = run.job.runtime.seed
    if seed is None:  # one is drawn here, so that even such a run can be repeated
        drawn = (run.before.record.get("effective") or {}).get("seed") if run.before else None
        seed = secrets.randbits(32) if drawn is None else drawn
    decoding = loaded.engine.decoding(run.job.generation)
    run.effective = Effective(**loaded.effective, decoding=decoding, stop=list(run.job.stop.sequences), seed=seed)
    run.note(effective=run.effective)
