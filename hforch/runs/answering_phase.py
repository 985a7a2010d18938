"""The measured phase of a job: generate answers batch by batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

from hforch.backends.base import LoadedModel, build_llm
from hforch.errors import Mistake, OutOfMemory
from hforch.generation.engine import Work
from hforch.inputs import Input
from hforch.load_profiles.base import Batch, Samples
from hforch.load_profiles.registry import profile_of
from hforch.machine.load_meter import LoadMeter
from hforch.machine.out_of_memory import SMALLER_BATCH
from hforch.metrics.metric import is_on_cpu
from hforch.records.machine import Execution
from hforch.records.rounds import MachineLoad
from hforch.records.sample import Sample
from hforch.runs import memory_check, repeats
from hforch.runs.energy import EnergyMeter
from hforch.runs.resuming import PreviousRun
from hforch.runs.rounds import begun, in_rounds, measured, recorded_rounds
from hforch.runs.run_state import KEPT_FIELDS, Run, warn
from hforch.runs.sample_metrics import summarize
from hforch.runs.sampling import Sampler, failed_sample
from hforch.runs.warmup import warm_up


def answer_inputs(run: Run, loaded: LoadedModel, inputs: Sequence[Input]) -> None:
    """Warm up the model, then answer the remaining inputs of this part of the job, and measure speed and energy."""
    job, runtime, profile = run.job, run.job.runtime, profile_of(run.job)
    sampler = Sampler(job, build_llm(job, loaded, cache=False, seed=run.effective.seed), run.watcher)
    if run.before:
        run.samples = run.writer.keep(
            run.before.samples, run.before.wants(runtime.repeat * run.all_rounds), KEPT_FIELDS
        )
    run.kept = len(run.samples)
    answerable = _fail_unanswerable(run, sampler, inputs)
    plan = profile.plan(job, answerable)
    batches = in_rounds(plan, runtime.repeat, run.all_rounds)
    planned = len(inputs) - len(answerable) + len(answerable) * runtime.repeat * run.all_rounds
    run.note(plan=[[each.id for each in batch.inputs] for batch in plan if batch.repeat == 0], planned=planned)
    done, missing = _separated(run.before, batches)
    left = [batch for batch in missing if batch.round < run.rounds_end]
    run.rounds = recorded_rounds(run.before, missing) if run.before else []
    stable = in_rounds(plan, runtime.repeat, runtime.rounds)  # the same in each part of the job
    _expect(run, loaded, stable, sampler.longest)
    run.watcher.samples(sum(len(batch.inputs) for batch in left) + len(inputs) - len(answerable))
    if left and runtime.warmup:
        _warm_up(run, sampler, missing, loaded)
        _expect(run, loaded, stable, sampler.longest)
    meter = EnergyMeter(run.effective.device or (), run.job_context.parallel)
    if left:
        meter.begin()
    try:
        begun_before = {batch.round for batch in done}
        for number, some in groupby(left, key=lambda batch: batch.round):
            if _should_continue(run):
                _measure_round(run, sampler, list(some), number, number not in begun_before, inputs)
    finally:
        run.energy = meter.end() if left else None
        if left or run.before is None or "metrics" not in run.before.record:
            run.record.metrics = summarize(run.samples, run.rounds)
        else:
            run.keep_previous(["metrics"])
    if run.before is None and run.job_context.part is None:  # repeats of a resumed run may be incomplete
        _check_repeats(run)


def _separated(before: PreviousRun | None, batches: Sequence[Batch]) -> tuple[list[Batch], list[Batch]]:
    """Return the batches that were completed before, and the others."""
    done: list[Batch] = []
    missing: list[Batch] = []
    for batch in batches:
        (done if before and before.has(batch) else missing).append(batch)
    return done, missing


def _measure_round(
    run: Run, sampler: Sampler, batches: Sequence[Batch], number: int, is_whole: bool, inputs: Sequence[Input]
) -> None:
    """Answer batches of one round, and record its measurements.

    Args:
        batches: the batches to answer.
        number: the number of the round.
        is_whole: whether they are all batches of the round.
        inputs: the inputs of the job.
    """
    repeat, meter = run.job.runtime.repeat, LoadMeter()
    entry = begun(number, _index_of_load(run))
    run.set_round(entry)
    meter.begin()
    start, unfinished = len(run.samples), len(batches)
    alone = len(inputs) * repeat * run.all_rounds == 1

    def answer(batch: Batch) -> Samples:
        if not alone:
            return sampler.answer(batch)
        run.watcher.question(batch.inputs[0].item)
        return sampler.stream(batch)

    try:
        with closing(profile_of(run.job).run(batches, answer)) as answered:
            while _should_continue(run) and (samples := next(answered, None)) is not None:
                unfinished -= 1
                _keep(run, [_with_smaller_batch(run, sample, inputs) for sample in samples])
                if run.model_slot.first is None:
                    run.model_slot.first = sampler.first_batch_timing()
    except KeyboardInterrupt:
        _keep(run, sampler.interrupted)
        raise
    finally:
        walls = {at: seconds for at, seconds in sampler.busy.seconds.items() if at // repeat == number}
        entry = measured(entry, run.samples[start:], walls, is_whole and not unfinished)
        entry.machine = MachineLoad(**meter.end())
        run.set_round(entry)
    if run.all_rounds > 1 or run.job_context.part:
        run.watcher.measured(entry.dump(), run.job.runtime.rounds if not _is_open_ended(run) else None)


def _is_open_ended(run: Run) -> bool:
    """Return whether the results decide how many rounds are measured."""
    return run.job_context.part is not None and run.job_context.part.looked_early


def _index_of_load(run: Run) -> int:
    earlier = [one.load for one in run.rounds if one.seconds is not None]
    return run.model_slot.index_of_load(run.writer.directory, earlier)


def _warm_up(run: Run, sampler: Sampler, left: Sequence[Batch], loaded: LoadedModel) -> None:
    """Warm up the model for the remaining batches, except for shapes that an earlier job has warmed up."""
    on_cpu = is_on_cpu(loaded.effective["device"])
    started = time.perf_counter()
    warmed = warm_up(sampler, left, run.model_slot.warm, on_cpu, run.log)
    if warmed:
        run.record.timings = {**(run.record.timings or {}), "warmup_s": round(time.perf_counter() - started, 3)}
        run.record.warmup = warmed


def _should_continue(run: Run) -> bool:
    """Return whether to continue with the next batch."""
    return not (run.job.runtime.fail_fast and any(sample["error"] for sample in run.samples))


def _check_repeats(run: Run) -> None:
    """Warn if the speed of the first repeat differs significantly from that of the others."""
    metrics = run.whole()["metrics"]
    share = repeats.first_differs(metrics.get("tokens_per_s_each", ()), metrics["measured_s"])
    if share is not None:
        warn(run, [Mistake("runtime.repeat", repeats.remark(share), hint=repeats.remedy(share))])


def ran_out_of_memory(sample: Mapping[str, Any]) -> bool:
    """Return whether a sample failed because an accelerator ran out of memory; the model may still be usable."""
    return (sample["error"] or {}).get("type") == OutOfMemory.__name__


def _with_smaller_batch(run: Run, sample: Sample, inputs: Sequence[Input]) -> Sample:
    """Suggest a smaller batch size in the error of a sample if an accelerator ran out of memory."""
    error = sample.error
    if error is not None and error.type == OutOfMemory.__name__ and SMALLER_BATCH in error.message:
        size = memory_check.smaller_batch(run.job, inputs, sample.batch.size)
        error.message = error.message.replace(SMALLER_BATCH, f"{SMALLER_BATCH} ({size})", 1)
    return sample


def _expect(run: Run, loaded: LoadedModel, batches: Sequence[Batch], longest: tuple[int, int]) -> None:
    """Prepare the engine for all batches of the job, so that a resumed job runs the same way as an uninterrupted one.

    Args:
        run: the run.
        loaded: its model.
        batches: all batches of the configured rounds, including finished ones.
        longest: upper bounds in tokens: the longest sequence (0 if unknown) and the longest answer.
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
        warn(run, [Mistake("backend.compile", f"compilation was disabled: {now.why}")])


def _fail_unanswerable(run: Run, sampler: Sampler, inputs: Sequence[Input]) -> list[Input]:
    """Record inputs that cannot be answered as failed, so that they do not fail a batch; return the others."""
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
        run.samples.append({name: stored[name] for name in KEPT_FIELDS})
        run.watcher.sample(stored)
