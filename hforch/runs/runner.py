"""Run one job in this process, from its inputs to its record."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hforch.auto_prompt import is_open, settle
from hforch.backends.base import capabilities, check
from hforch.backends.load_key import load_key
from hforch.checks import judging
from hforch.config import checks
from hforch.config.advice import advice
from hforch.config.prompt_columns import columns_of
from hforch.config.schema import Job
from hforch.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNMET,
    ConfigError,
    HforchError,
    Mistake,
)
from hforch.inputs import Input, read_inputs
from hforch.machine.environment import describe_environment
from hforch.prompts import check_inputs, column_in_use, unused_columns
from hforch.records.record import InputsRead, Record, Status
from hforch.records.record_writer import RecordWriter
from hforch.runs.answering_phase import answer_inputs, ran_out_of_memory
from hforch.runs.continuing import begin, is_whole, keep_measurements, now, pause
from hforch.runs.emulation import emulated
from hforch.runs.identity import job_id
from hforch.runs.job_context import JobContext
from hforch.runs.job_header import header
from hforch.runs.loading_phase import load_model, prepare_model, read_back, refuse_other_weights
from hforch.runs.memory_meter import MemoryMeter
from hforch.runs.model_slot import ModelSlot
from hforch.runs.processes.preload import libraries_of
from hforch.runs.resuming import previous_run
from hforch.runs.run_metrics import card_remarks, memory_of, note_computed, note_energy, note_intervals
from hforch.runs.run_state import Run, warn
from hforch.runs.sample_metrics import count
from hforch.runs.sampling import error_of
from hforch.runs.scoring_phase import refuse_unscorable, score_answers
from hforch.runs.watcher import Watcher
from hforch.scoring import preflight
from hforch.utils.redaction import STRUCK

log = logging.getLogger("hforch")


def run_job(
    job: Job, directory: Path, job_context: JobContext, watcher: Watcher, model_slot: ModelSlot | None = None
) -> int:
    """Run one job in this process and write its record to `directory`.

    Args:
        job: the job.
        directory: the directory for its record.
        job_context: the origin of the job's configuration.
        watcher: receives progress and results.
        model_slot: the model loaded by an earlier job of this process; reused if it has the same load key, else
            replaced.

    Returns:
        the exit code: 0; 1 if a sample failed or the job could not run; 2 if the weights are missing or damaged; 3 if
        fewer checks passed than `runtime.min_pass` requires; 130 if interrupted.

    Raises:
        ConfigError: this machine cannot run the job; its record is written.
    """
    keeps = job_context.resume or job_context.continues
    before = previous_run(directory, job_context.skip_damaged) if keeps else None
    own = RecordWriter(directory, anew=before is None, fresh=not keeps, is_locked=job_context.is_locked)
    with own as writer, MemoryMeter() as memory:
        run = Run(job, job_context, watcher, writer, model_slot or ModelSlot(), before)
        begin(run)
        for notice in before.samples.notices() if before else ():
            watcher.note(notice)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # a record exists now, so Ctrl-C may interrupt
            _work(run, memory)
        except KeyboardInterrupt:
            return _end(run, memory, "interrupted", EXIT_INTERRUPTED)
        except ConfigError as error:
            located = ConfigError(job_context.locate(error.mistakes))
            if before and not run.continues:  # the earlier results are still valid
                writer.write(Record(), before.record)
            else:
                _end(run, memory, "failed", error.exit_code, located, tell=False)
            raise located from error
        except HforchError as error:
            return _end(run, memory, "failed", error.exit_code, _located(error, job_context))
        except Exception as error:
            return _end(run, memory, "failed", EXIT_FAILED, error)
        failed = any(sample["error"] is not None for sample in run.samples)
        if not (failed or run.is_last_part):
            pause(run)
            return EXIT_OK
        unmet = judging.missed(judging.totals(run.samples), job.runtime.min_pass)
        code = EXIT_FAILED if failed else EXIT_UNMET if unmet else EXIT_OK
        return _end(run, memory, "failed" if failed else "ok", code)


def _located(error: HforchError, job_context: JobContext) -> HforchError:
    """Return the error; if it names a config key, add to its message where the key was set."""
    path = getattr(error, "path", None)
    (where,) = [one.where for one in job_context.locate([Mistake(path, "")])] if path else [None]
    if where is not None:
        error.args = (f"{error}\n    set in {where}",)
    return error


def _work(run: Run, memory: MemoryMeter) -> None:
    inputs = _read_inputs(run)
    if mistakes := check(run.job):
        raise ConfigError(mistakes)
    run.watcher.header(header(run.job))
    if run.before and is_whole(run, run.before, inputs):
        return
    if slow := emulated(run.job):
        warn(run, [slow])
    prepared = prepare_model(run, inputs, memory)
    if is_open(run.job):  # the model's files were not on this machine before
        _settle_prompt(run)
        _examine(run, inputs)
    refuse_other_weights(run, prepared)
    loaded = run.model_slot.loaded if run.record.shared_load else load_model(run, prepared, memory)
    assert loaded is not None
    if not run.continues:
        refuse_unscorable(run, loaded, prepared)
    read_back(run, loaded)
    warn(run, loaded.remarks)
    run.note(environment=_environment(run.job))
    try:
        answer_inputs(run, loaded, inputs)
    finally:
        note_energy(run)
        run.record.memory = memory_of(run, memory, loaded)
        note_computed(run, prepared.path)
    warn(run, list(card_remarks(run.energy.gpus)) if run.energy else ())
    keep_measurements(run, inputs)
    if run.is_last_part:
        score_answers(run, loaded, prepared)
    if run.samples and all(sample["error"] is not None and not ran_out_of_memory(sample) for sample in run.samples):
        run.model_slot.drop()  # the loaded model may be broken


def _read_inputs(run: Run) -> list[Input]:
    """Return the job's inputs; if its prompt is settled, also examine them."""
    job = _settle_prompt(run)
    loaded = read_inputs(job.inputs)
    _note_how_read(run, format=loaded.format, delimiter=loaded.delimiter)
    inputs = list(loaded.inputs)
    if is_open(job):
        check_inputs(job.prompt, inputs, job.inputs)
    else:
        _examine(run, inputs)
    return inputs


def _settle_prompt(run: Run) -> Job:
    """Settle the prompt of the job, if the model's files are on this machine; return the job."""
    settled = settle(run.job, run.before.record if run.before else None)
    if settled.option is not None:
        run.job = settled.job
        run.job_context = replace(
            run.job_context, auto_prompt=settled.option, remarks=(*run.job_context.remarks, *settled.remarks)
        )
        run.note(auto_prompt=settled.option, **run.job_context.configuration(run.job).dump())
    return run.job


def _examine(run: Run, inputs: Sequence[Input]) -> None:
    """Check the inputs; record the job id and the load key, and warn about likely errors."""
    job = run.job
    check_inputs(job.prompt, inputs, job.inputs)
    checks.check_inputs(job.checks, inputs, job.inputs)
    if job.scoring.text:
        preflight.load_text(job.scoring.text)
    known = checks.columns_of_options() | judging.columns(job.checks)
    unused = unused_columns(job.prompt, inputs, known)
    braces = checks.braces_instead_of_columns(job.checks, columns_of(each.item for each in inputs))
    remarks = [*run.job_context.remarks, *not_recorded(run.record.redacted or ())]
    warn(run, [*remarks, *advice(job, capabilities(job).ignores), *unused, *braces])
    run.note(job_id=job_id(job, inputs), load_key=load_key(job), absent=dict(capabilities(job).lacks))
    _note_how_read(run, column=column_in_use(job.prompt, inputs))


def _note_how_read(run: Run, **how: str | None) -> None:
    """Record how the inputs were read, in addition to what is already recorded."""
    known = run.record.inputs.dump() if run.record.inputs else {}
    known |= {name: value for name, value in how.items() if value is not None}
    if known:
        run.note(inputs=InputsRead(**known))


def not_recorded(redacted: Sequence[str]) -> Iterator[Mistake]:
    """Yield a warning for each config path whose value is redacted in the record."""
    for path in redacted:
        problem = f"looks like a credential; records store {STRUCK} instead, so hforch freeze cannot reproduce this run"
        yield Mistake(path, problem, None, f"use an environment variable: {path}=${{oc.env:NAME}}")


def _end(
    run: Run, memory: MemoryMeter, status: Status, code: int, error: BaseException | None = None, tell: bool = True
) -> int:
    known = run.whole()
    if "memory" not in known:
        run.record.memory = memory_of(run, memory, None)
    environment = {} if "environment" in known else {"environment": _environment(run.job)}
    message = None
    if error is not None:
        log.info("the run failed", exc_info=error)
        message = error_of(error)
    run.stored.pop("planned", None)
    run.record.unset("planned")
    if run.samples or not run.continues:
        run.record.totals = count(run.samples, known.get("planned"))
    if run.samples and status in ("ok", "failed"):
        note_intervals(run)
    run.note(status=status, finished=now(), exit_code=code, error=message, **environment)
    if tell:
        run.watcher.finished(run.whole(), str(run.writer.directory))
    return code


def _environment(job: Job) -> dict[str, Any]:
    return describe_environment(libraries_of(job.backend.name, job.precision.name))
