"""One Job, from inputs to a record."""

from __future__ import annotations

import json
import logging
import secrets
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hforch.backends.base import LoadedModel, PreparedModel, backend_of, build_llm, capabilities, check, tokenizer_id
from hforch.checks import judging
from hforch.config import checks
from hforch.config.advice import advice
from hforch.config.schema import Job
from hforch.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNMET,
    ConfigError,
    HforchError,
    Mistake,
    OutOfMemory,
)
from hforch.generation.engine import Work
from hforch.inputs import Input, load_inputs
from hforch.load.base import Batch, Samples
from hforch.load.registry import profile_of
from hforch.machine import accelerators
from hforch.machine.environment import describe_environment
from hforch.machine.nvidia_meter import CardReadings
from hforch.machine.out_of_memory import SMALLER_BATCH
from hforch.metrics.computing import computed
from hforch.metrics.metric import Measured, is_on_cpu
from hforch.models.architecture import vocabulary
from hforch.prompts import check_inputs, unused_columns
from hforch.records.machine import CardUse, Effective, Execution, Memory, Process
from hforch.records.measured import Metrics
from hforch.records.record import Record, Status
from hforch.records.record_writer import RecordWriter
from hforch.records.sample import Sample
from hforch.runs import energy, memory_check, repeats
from hforch.runs.energy import Energy, EnergyMeter
from hforch.runs.identity import job_id, load_key
from hforch.runs.job_context import JobContext
from hforch.runs.measurements import MemoryMeter, count, joined, summarize
from hforch.runs.model_slot import ModelSlot
from hforch.runs.processes.preload import preload
from hforch.runs.resuming import ANEW, PreviousRun, previous_run
from hforch.runs.sampling import Sampler, error_of, failed_sample
from hforch.runs.warmup import warm_up
from hforch.runs.watcher import StageLog, Watcher
from hforch.scoring import preflight
from hforch.utils.redaction import STRUCK

log = logging.getLogger("hforch")

# What the totals and metrics are made of; the rest of a sample is on disk, and need not stay in memory.
BRIEF = ("error", "repeat", "finish_reason", "prompt_tokens", "output_tokens", "timings", "absent", "checks")

# What a job that is resumed says of itself, and not what it had said before.
NEW_IN_A_RESUMED = (
    "status",
    "finished",
    "totals",
    "exit_code",
    "error",
    "resumed",
    "stages",
    "job",
    "job_id",
    "from_env",
)

# What was measured when a job answered, and is not measured anew when it is only scored.
MEASURED = ("memory", "timings", "warmup", "shared_load", "accelerators", "shared_accelerator")

# By which a later look knows the batches, and the samples that belong to them.
PLANNED = ("plan", "planned")


@dataclass
class Run:
    """A run in progress: what of its record is known so far."""

    job: Job
    job_context: JobContext
    watcher: Watcher
    writer: RecordWriter
    model_slot: ModelSlot = field(default_factory=ModelSlot)
    before: PreviousRun | None = None
    log: StageLog = field(init=False)
    record: Record = field(init=False)
    stored: dict[str, Any] = field(default_factory=dict)  # parts of the record that the run had before it was resumed
    effective: Effective = field(default_factory=Effective)
    samples: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0  # the number of samples from before the job was resumed
    energy: Energy | None = None

    def __post_init__(self) -> None:
        self.log = StageLog(self.watcher)
        self.record = self.job_context.record(self.job)

    def note(self, **parts: Any) -> None:
        """Set fields of the record, and write it."""
        for name, value in parts.items():
            setattr(self.record, name, value)
        self.record.stages = self.log.stages
        self.writer.write(self.record, self.stored)

    def carry(self, names: Iterable[str]) -> None:
        """Take parts of the record over as they were before the run was resumed, whatever was set since then."""
        assert self.before is not None
        for name in names:
            if name in self.before.record:
                self.stored[name] = self.before.record[name]
                self.record.unset(name)

    def whole(self) -> dict[str, Any]:
        """Return the record as it is written."""
        return {**self.stored, **self.record.dump()}


def run_job(
    job: Job, directory: Path, job_context: JobContext, watcher: Watcher, model_slot: ModelSlot | None = None
) -> int:
    """Run one job in this process, and leave its record in `directory`.

    Args:
        model_slot: the model that this process holds from the job before; used if the job needs it, else replaced.

    Returns:
        the exit code: 0, 1 if a sample failed or nothing could be run, 2 if this machine cannot run the
        configuration, 130 if interrupted.

    Raises:
        ConfigError: this machine cannot run it; the record is kept.
    """
    before = previous_run(directory, job_context.skip_damaged) if job_context.resume else None
    own = RecordWriter(directory, anew=before is None, fresh=not job_context.resume, is_locked=job_context.is_locked)
    with own as writer, MemoryMeter() as memory:
        run = Run(job, job_context, watcher, writer, model_slot or ModelSlot(), before)
        started = before.record.get("started") if before else None
        resumed = before.record.get("resumed", 0) + 1 if before else 0
        if before:  # or what was answered would be lost if this is stopped before it plans anew
            run.carry(PLANNED)
        process = Process(**run.model_slot.process)
        run.note(status="partial", started=started or _now(), resumed=resumed, process=process)
        for notice in before.samples.notices() if before else ():
            watcher.note(notice)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # from here on Ctrl-C finds a record
            _work(run, memory)
        except KeyboardInterrupt:
            return _end(run, memory, "interrupted", EXIT_INTERRUPTED)
        except ConfigError as error:
            located = ConfigError(job_context.locate(error.mistakes))
            if before:  # what was measured is still what it was
                writer.write(Record(), before.record)
            else:
                _end(run, memory, "failed", error.exit_code, located, tell=False)
            raise located from error
        except HforchError as error:
            return _end(run, memory, "failed", error.exit_code, _located(error, job_context))
        except Exception as error:
            return _end(run, memory, "failed", EXIT_FAILED, error)
        failed = any(sample["error"] is not None for sample in run.samples)
        unmet = judging.missed(judging.totals(run.samples), job.runtime.min_pass)
        code = EXIT_FAILED if failed else EXIT_UNMET if unmet else EXIT_OK
        return _end(run, memory, "failed" if failed else "ok", code)


def _located(error: HforchError, job_context: JobContext) -> HforchError:
    """An error that blames one key of the configuration, with the place where that was written."""
    path = getattr(error, "path", None)
    (where,) = [one.where for one in job_context.locate([Mistake(path, "")])] if path else [None]
    if where is not None:
        error.args = (f"{error}\n    written in {where}",)
    return error


def _work(run: Run, memory: MemoryMeter) -> None:
    job = run.job
    inputs = load_inputs(job.inputs)
    check_inputs(job.prompt, inputs, job.inputs)
    checks.check_inputs(job.checks, inputs, job.inputs)
    if job.scoring.text:
        preflight.load_text(job.scoring.text)
    _warn(
        run,
        [
            *not_recorded(run.record.redacted or ()),
            *advice(job),
            *unused_columns(job.prompt, inputs, judging.columns(job.checks)),
        ],
    )
    backend = backend_of(job)
    key = load_key(job)
    run.note(job_id=job_id(job, inputs), load_key=key, absent=dict(capabilities(job).lacks))
    if mistakes := check(job):
        raise ConfigError(mistakes)
    run.watcher.header(header(job))
    if run.before and _is_whole(run, run.before, inputs):
        return
    run.note(shared_load=run.model_slot.key == key and not run.model_slot.has_scored)
    if not run.record.shared_load:
        run.model_slot.drop()
        memory.begin()  # what was held until now is not this job's
        warned = _look_at_memory(run, inputs)  # before a large file is read to its end
        run.model_slot.prepared = backend.prepare(job, run.log)
        if not warned:
            _look_at_memory(run, inputs)  # what was downloaded or converted only now
    elif run.model_slot.batch_size != job.runtime.batch_size:
        accelerators.release()  # what was kept for another size of batch is not this job's
        memory.begin()
    run.model_slot.batch_size = job.runtime.batch_size
    prepared = run.model_slot.prepared
    assert prepared is not None
    run.note(model=prepared.record, timings=dict(run.model_slot.timings or prepared.seconds), disk_mb=prepared.disk_mb)
    if run.job_context.fingerprint not in (None, prepared.record["fingerprint"]):
        was, now = (str(one)[:12] for one in (run.job_context.fingerprint, prepared.record["fingerprint"]))
        problem = f"the model has changed: its weights had the fingerprint {was}... then, and have {now}... now"
        hint = ANEW if run.job_context.resume else "freeze the recipe anew, from a run with these weights"
        if prepared.record["fingerprint"] is None:
            why = capabilities(job).lacks.get("fingerprint", "the backend gives none")
            problem = (
                f"the model may be another: the fingerprint of its weights was {was}..., and now it has none: {why}"
            )
        raise ConfigError([Mistake("model", problem, None, hint)])
    if run.before and run.before.answered and prepared.record["fingerprint"] is None:
        _warn(run, [Mistake("model", "has no fingerprint, so whether the same one has answered before is not known")])
    loaded = run.model_slot.loaded if run.record.shared_load else _load(run, prepared, memory)
    assert loaded is not None
    _look_at_scoring(run, loaded, prepared)
    _read_back(run, loaded)
    _warn(run, loaded.remarks)
    run.note(environment=describe_environment())
    answers = len(run.before.answered) if run.before else 0
    try:
        _sample(run, loaded, inputs)
    finally:
        _note_energy(run)
        run.record.memory = _memory(run, memory, loaded)
        _note_computed(run, prepared.path)
    _warn(run, list(_remarks(run.energy.cards)) if run.energy else ())
    # A job that had answered everything before was measured then.
    if run.before and answers and run.before.has_all(profile_of(job).plan(job, inputs)):
        run.carry(MEASURED)
    _score(run, loaded, prepared)
    if run.samples and all(sample["error"] is not None and not _lacked_memory(sample) for sample in run.samples):
        run.model_slot.drop()  # it may be the model that is broken


def not_recorded(redacted: Sequence[str]) -> Iterator[Mistake]:
    """Yield a warning about each path of a job whose credential is not recorded."""
    for path in redacted:
        problem = f"holds what looks like a credential; records keep {STRUCK}, so hforch freeze cannot repeat this run"
        yield Mistake(path, problem, None, f"keep it in an environment variable: {path}=${{oc.env:NAME}}")


def _look_at_memory(run: Run, inputs: Sequence[Input]) -> bool:
    """Refuse a model that this machine's memory cannot hold, or warn of it, as runtime.memory_check says.

    Returns:
        whether there was something to warn of.
    """
    mistake = memory_check.problem(run.job, inputs)
    if mistake and run.job.runtime.memory_check == "refuse":
        raise ConfigError([mistake])
    if mistake:
        _warn(run, [mistake])
    return mistake is not None


def _is_whole(run: Run, before: PreviousRun, inputs: Sequence[Input]) -> bool:
    """Whether nothing of a resumed job is missing; then its record is all that is written anew."""
    batches = profile_of(run.job).plan(run.job, inputs)
    if not before.has_all(batches) or "effective" not in before.record:
        return False
    if not preflight.is_scored(before.record, run.job, run.writer.directory, run.job_context.baseline):
        return False
    run.samples = run.writer.keep(before.samples, lambda sample: True, BRIEF)
    run.carry(name for name in before.record if name not in NEW_IN_A_RESUMED)
    if "metrics" not in before.record:
        run.record.metrics = summarize(run.samples, [], {})
    run.record.planned = len(run.samples)
    return True


def _warn(run: Run, remarks: Sequence[Mistake]) -> None:
    warnings = [str(remark) for remark in run.job_context.locate(remarks)]
    run.note(warnings=[*(run.record.warnings or ()), *warnings])
    for warning in warnings:
        run.watcher.note(f"warning: {warning}")


def _load(run: Run, prepared: PreparedModel, memory: MemoryMeter) -> LoadedModel:
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


def _read_back(run: Run, loaded: LoadedModel) -> None:
    """Put into the record what is really in effect."""
    seed = run.job.runtime.seed
    if seed is None:  # one is drawn here, so that even such a run can be repeated
        drawn = (run.before.record.get("effective") or {}).get("seed") if run.before else None
        seed = secrets.randbits(32) if drawn is None else drawn
    decoding = loaded.engine.decoding(run.job.generation)
    run.effective = Effective(**loaded.effective, decoding=decoding, stop=list(run.job.stop.sequences), seed=seed)
    run.note(effective=run.effective)


def _sample(run: Run, loaded: LoadedModel, inputs: Sequence[Input]) -> None:
    job, runtime, profile = run.job, run.job.runtime, profile_of(run.job)
    sampler = Sampler(job, build_llm(job, loaded, cache=False, seed=run.effective.seed), run.watcher)
    if run.before:
        run.samples = run.writer.keep(run.before.samples, run.before.wants(runtime.repeat), BRIEF)
    kept = len(run.samples)
    answerable = _set_aside(run, sampler, inputs)
    aside = len(run.samples) - kept
    batches = profile.plan(job, answerable)
    planned = len(inputs) - len(answerable) + len(answerable) * runtime.repeat
    run.note(plan=[[each.id for each in batch.inputs] for batch in batches if batch.repeat == 0], planned=planned)
    left = [batch for batch in batches if not (run.before and run.before.has(batch))]
    _expect(run, loaded, batches, sampler.longest)
    run.watcher.samples(planned - kept)
    if left and runtime.warmup:
        _warm_up(run, sampler, left, loaded)
        _expect(run, loaded, batches, sampler.longest)
    alone = len(inputs) * runtime.repeat == 1
    meter = EnergyMeter(run.effective.device or (), run.job_context.parallel)
    if left:
        meter.begin()

    def answer(batch: Batch) -> Samples:
        if not alone:
            return sampler.answer(batch)
        run.watcher.question(batch.inputs[0].item)
        return sampler.stream(batch)

    try:
        with closing(profile.drive(left, answer)) as answered:
            while _goes_on(run) and (samples := next(answered, None)) is not None:
                _keep(run, [_with_remedy(run, sample, inputs) for sample in samples])
                if run.model_slot.first is None:
                    run.model_slot.first = sampler.repeatable()
    except KeyboardInterrupt:
        _keep(run, sampler.torn)
        raise
    finally:
        run.energy, run.kept = meter.end() if left else None, kept
        if left or run.before is None or "metrics" not in run.before.record:
            run.record.metrics = summarize(run.samples, run.samples[kept + aside :], sampler.busy.seconds)
        else:
            run.carry(["metrics"])
    if run.before is None:  # or its repeats may be pieces
        _look_at_repeats(run)


def _goes_on(run: Run) -> bool:
    """Return whether more batches are to be answered."""
    return not (run.job.runtime.fail_fast and any(sample["error"] for sample in run.samples))


def _warm_up(run: Run, sampler: Sampler, left: Sequence[Batch], loaded: LoadedModel) -> None:
    """Warm the model up for the batches that are left, as far as no earlier job has done so."""
    on_cpu = is_on_cpu(loaded.effective["device"])
    started = time.perf_counter()
    warmed = warm_up(sampler, left, run.model_slot.warm, on_cpu, run.log)
    if warmed:
        run.record.timings = {**(run.record.timings or {}), "warmup_s": round(time.perf_counter() - started, 3)}
        run.record.warmup = warmed


def _look_at_repeats(run: Run) -> None:
    """Warn of a first repeat that is not like the others."""
    metrics = run.whole()["metrics"]
    share = repeats.first_differs(metrics.get("tokens_per_s_each", ()), metrics["measured_s"])
    if share is not None:
        _warn(run, [Mistake("runtime.repeat", repeats.remark(share), hint=repeats.remedy(share))])


def _lacked_memory(sample: Mapping[str, Any]) -> bool:
    """Return whether an accelerator had no memory left for it, which is not the model's fault."""
    return (sample["error"] or {}).get("type") == OutOfMemory.__name__


def _with_remedy(run: Run, sample: Sample, inputs: Sequence[Input]) -> Sample:
    """Name the batch size that fits in the error of a sample that failed because an accelerator had no memory left."""
    error = sample.error
    if error is not None and error.type == OutOfMemory.__name__ and SMALLER_BATCH in error.message:
        size = memory_check.smaller_batch(run.job, inputs, sample.batch.size)
        error.message = error.message.replace(SMALLER_BATCH, f"{SMALLER_BATCH} ({size})", 1)
    return sample


def _expect(run: Run, loaded: LoadedModel, batches: Sequence[Batch], longest: tuple[int, int]) -> None:
    """Let the engine prepare for the whole job, also when a part of it is done: a part is answered as the whole is.

    Args:
        longest: the tokens of the longest sequence (0: not known), and of the longest answer, at most.
    """
    if not batches:
        return
    tokens, answer = longest
    rows = max(len(batch.inputs) for batch in batches)
    beams = (run.effective.decoding or {}).get("num_beams") or 1
    chosen = loaded.engine.expect(Work(rows, tokens or None, answer * len(batches), beams))
    before, now = run.effective.execution, Execution(**chosen) if chosen else None
    if now is None or now == before:
        return
    run.effective.execution = now
    run.note(effective=run.effective)
    if before and before.compiled and not now.compiled:
        _warn(run, [Mistake("backend.compile", f"not used after all; {now.why}")])


def _look_at_scoring(run: Run, loaded: LoadedModel, prepared: PreparedModel) -> None:
    """Refuse what cannot be scored before anything is answered."""
    text = run.job.scoring.text
    tokens = len(loaded.engine.encode(preflight.load_text(text))) if text else None
    config = prepared.path / "config.json" if prepared.path else None
    known = vocabulary(json.loads(config.read_text(encoding="utf-8"))) if config and config.is_file() else None
    if mistakes := list(preflight.mistakes(run.job, known, tokens)):
        raise ConfigError(mistakes)


def _score(run: Run, loaded: LoadedModel, prepared: PreparedModel) -> None:
    """Let the model read what the job says it shall, if it was not done before."""
    if not run.job.scoring.is_requested:
        return
    from hforch.scoring.scorer import score

    if run.samples and all(sample["error"] is not None for sample in run.samples):
        raise HforchError("nothing was answered, so nothing was scored")
    try:
        with run.log.stage("score", _what_is_scored(run.job)):
            found, failed = score(
                run.job, run.writer.directory, run.job_context.baseline, loaded, tokenizer_id(prepared)
            )
    finally:
        run.model_slot.has_scored = True
    found.whole = not failed
    run.note(scores=found)
    kept = found.against_baseline.size_mb if found.against_baseline else None
    if kept is not None:
        run.watcher.note(f"kept for the jobs that are compared with this one: {kept} MB of log-probabilities")
    if failed:
        raise failed[0]


def _what_is_scored(job: Job) -> str:
    parts = ["against the baseline"] if job.scoring.baseline else []
    return " and ".join([*parts, *(["on a text"] if job.scoring.text else [])])


def _set_aside(run: Run, sampler: Sampler, inputs: Sequence[Input]) -> list[Input]:
    """Record the inputs that cannot be answered, so that they take no batch down with them; return the others."""
    answerable = []
    for each in inputs:
        if (error := sampler.unanswerable(each)) is None:
            answerable.append(each)
        else:
            _keep(run, [sampler.judged(failed_sample(each, Batch(0, -1, []), error))])
    return answerable


def _keep(run: Run, samples: Sequence[Sample]) -> None:
    for sample in samples:
        stored = run.writer.add(sample)
        run.samples.append({name: stored[name] for name in BRIEF})
        run.watcher.sample(stored)


def _end(
    run: Run, memory: MemoryMeter, status: Status, code: int, error: BaseException | None = None, tell: bool = True
) -> int:
    known = run.whole()
    if "memory" not in known:
        run.record.memory = _memory(run, memory, None)
    environment = {} if "environment" in known else {"environment": describe_environment()}
    message = None
    if error is not None:
        log.info("the run failed", exc_info=error)
        message = error_of(error)
    run.stored.pop("planned", None)
    run.record.unset("planned")
    totals = count(run.samples, known.get("planned"))
    run.note(status=status, finished=_now(), totals=totals, exit_code=code, error=message, **environment)
    if tell:
        run.watcher.finished(run.whole(), str(run.writer.directory))
    return code


def _memory(run: Run, memory: MemoryMeter, loaded: LoadedModel | None) -> Memory:
    """The peaks of this job; those of loading its model belong to it, whichever job of a sweep came first."""
    if reason := capabilities(run.job).lacks.get("memory"):  # what this process takes is not the model's
        return Memory(absent=dict.fromkeys(("peak_rss_mb", "peak_accelerator_mb"), reason))
    peaks = joined(memory.peaks(), run.model_slot.memory or {})
    if devices := peaks.get("accelerators"):
        return Memory(**peaks | {"peak_accelerator_mb": round(sum(one["allocated_mb"] for one in devices), 1)})
    reason = "no accelerator whose memory the backend reports was used" if loaded else "no model was loaded"
    return Memory(**{**peaks, "absent": {**peaks.get("absent", {}), "peak_accelerator_mb": reason}})


def _note_computed(run: Run, folder: Path | None) -> None:
    """Add the metrics that are computed from all the others, if something was measured."""
    if run.energy is not None:
        _add_metrics(run, computed(Measured(run.whole(), run.samples, folder)))


def _add_metrics(run: Run, found: Mapping[str, Any]) -> None:
    """Add metrics to the record.

    Args:
        found: by name, and under `absent` why others are not known.
    """
    known = run.record.metrics.dump() if run.record.metrics else {}
    run.record.metrics = Metrics(**{**known, **found, "absent": {**known.get("absent", {}), **found["absent"]}})


def _note_energy(run: Run) -> None:
    """Add energy, cards and sharing to the record, if something was measured."""
    if run.energy is None:
        return
    tokens = count(run.samples[run.kept :]).output_tokens
    found = run.energy.metrics(tokens, is_whole=not run.kept)
    if reason := capabilities(run.job).lacks.get("memory"):  # the model is not here, nor is its energy
        found = {"absent": dict.fromkeys(energy.NAMES, reason)}
    _add_metrics(run, found)
    cards = run.energy.cards
    if cards.cards:
        run.record.accelerators = [CardUse(**card) for card in cards.cards]
    before = run.before.record.get("shared_accelerator") if run.before and run.kept else None
    if shared := cards.shared or before:
        run.record.shared_accelerator = shared


def _remarks(cards: CardReadings) -> Iterator[Mistake]:
    """Yield warnings about a job's cards: slowdowns, and other processes."""
    for device, reasons in cards.slowed.items():
        problem = f"{device} reduced its clocks while the job was measured: {', '.join(reasons)}"
        yield Mistake("", problem, None, "check its cooling and power supply, then measure again")
    if cards.shared:
        hint = "not ranked by speed or energy; run it again when the GPU is free"
        yield Mistake("", cards.shared, None, hint)


def header(job: Job) -> dict[str, str]:
    """The job in four words; what its backend ignores is not said."""
    model, device = job.model, job.device
    weights = {"hub": "id", "local": "path", "gguf": "path", "wheel": "file"}[model.source]
    place = f"{device.kind}:{device.index}" if device.index is not None else device.kind
    parts = {
        "model": str(getattr(model, weights)).rpartition("/" if model.source == "wheel" else "\0")[2],
        "backend": job.backend.name,
        "device": device.name or place,
        "precision": job.precision.name,
    }
    return {name: value for name, value in parts.items() if name not in capabilities(job).ignores}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
