"""The measured phase of a job: generate answers batch by batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
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
from hforch.records.machine import Execution, MachineLoad
from hforch.records.sample import Sample
from hforch.runs import memory_check, repeats
from hforch.runs.energy import EnergyMeter
from hforch.runs.run_state import KEPT_FIELDS, Run, warn
from hforch.runs.sample_metrics import summarize
from hforch.runs.sampling import Sampler, failed_sample
from hforch.runs.warmup import warm_up


def answer_inputs(run: Run, loaded: LoadedModel, inputs: Sequence[Input]) -> None:
    """Warm up the model, then answer the remaining inputs and measure speed and energy."""
    job, runtime, profile = run.job, run.job.runtime, profile_of(run.job)
    sampler = Sampler(job, build_llm(job, loaded, cache=False, seed=run.effective.seed), run.watcher)
    if run.before:
        run.samples = run.writer.keep(run.before.samples, run.before.wants(runtime.repeat), KEPT_FIELDS)
    kept = len(run.samples)
    answerable = _fail_unanswerable(run, sampler, inputs)
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
    load = LoadMeter()
    if left:
        meter.begin()
        load.begin()

    def answer(batch: Batch) -> Samples:
        if not alone:
            return sampler.answer(batch)
        run.watcher.question(batch.inputs[0].item)
        return sampler.stream(batch)

    try:
        with closing(profile.run(left, answer)) as answered:
            while _should_continue(run) and (samples := next(answered, None)) is not None:
                _keep(run, [_with_smaller_batch(run, sample, inputs) for sample in samples])
                if run.model_slot.first is None:
                    run.model_slot.first = sampler.first_batch_timing()
    except KeyboardInterrupt:
        _keep(run, sampler.interrupted)
        raise
    finally:
        if left:
            run.record.machine_load = MachineLoad(**load.end())
        run.energy, run.kept = meter.end() if left else None, kept
        if left or run.before is None or "metrics" not in run.before.record:
            run.record.metrics = summarize(run.samples, run.samples[kept + aside :], sampler.busy.seconds)
        else:
            run.keep_previous(["metrics"])
    if run.before is None:  # repeats of a resumed run may be incomplete
        _check_repeats(run)


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
        batches: all batches of the job, including finished ones.
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
