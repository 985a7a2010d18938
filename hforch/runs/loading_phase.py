"""The first phase of a job: its model comes into memory, if that has room for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from hforch.backends.base import LoadedModel, PreparedModel, backend_of
from hforch.errors import ConfigError
from hforch.inputs import Input
from hforch.records.machine import Effective
from hforch.runs import memory_check
from hforch.runs.identity import load_key
from hforch.runs.job_header import header
from hforch.runs.measurements import MemoryMeter
from hforch.runs.processes.preload import preload
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
