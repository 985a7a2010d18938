"""Answer one question with the model of a configuration, without a run directory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.app.hydra_task import Invocation
from hforch.app.machine_check import check_machine
from hforch.app.planning import InputSummary, job_context_of, planned_job, summarize_inputs
from hforch.backends.load_key import load_key
from hforch.config.compose import Composed, compose
from hforch.config.config_dirs import find_config_dirs
from hforch.config.diagnose.overrides import SEVERAL
from hforch.config.schema import InlineInputs, Job
from hforch.errors import EXIT_INTERRUPTED, ConfigError, Mistake
from hforch.runs import run
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.utils.in_fork import run_in_fork

if TYPE_CHECKING:
    from hforch.runs.watcher import Watcher

WITHOUT_EFFECT = (
    *("inputs", "checks", "scoring", "tracker", "hydra"),
    *(
        "runtime.repeat",
        "runtime.rounds",
        "runtime.measure",
        "runtime.warmup",
        "runtime.min_pass",
        "runtime.fail_fast",
        "runtime.display",
    ),
)
"""Groups and keys that do not affect the answer to one question."""

QUESTION_ONLY = ("inputs=eeg", "inputs.items=[question]", "checks=none", "scoring=none")
"""Overrides for which a prompt with one variable is valid, whatever the inputs and checks of a primary config are."""


def ask(
    question: str, overrides: Sequence[str], config_dir: Path | None, config_name: str | None, watcher: Watcher
) -> int:
    """Answer a question as a run with a single input does.

    Args:
        overrides: overrides of the configuration.
        config_dir, config_name: the values of these flags.
        watcher: receives the progress, the answer and errors of the run.

    Returns:
        the exit code of the run.

    Raises:
        ConfigError: the configuration is invalid, the prompt has several variables, or this machine cannot run it.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    composed = _composed(overrides, config_dir, config_name)
    job = _with_question(composed.job, question)
    inline = job.runtime.isolation == "inline"

    def look() -> list[InputSummary | ConfigError]:
        return summarize_inputs([job], [None], False)

    (seen,) = look() if inline else run_in_fork(look)
    config_dirs = find_config_dirs(config_dir, config_name)
    invocation = Invocation(tuple(overrides), None, _text(config_dir), config_name)
    job_context = job_context_of(composed, invocation, config_dirs)
    if isinstance(seen, ConfigError):
        raise ConfigError(job_context.locate(seen.mistakes))
    job, settled = seen.job, seen.settled
    job_context = replace(job_context, auto_prompt=settled.option, remarks=tuple(settled.remarks))
    directory = Path(tempfile.mkdtemp(prefix="hforch-ask-"))
    try:
        planned = planned_job(0, directory, job, job_context, seen, "", lambda begin: begin(None))
        with WorkerPool() as workers:
            if not inline:
                workers.start(job.backend.name)
            check_machine([planned], workers, watcher)
            code = run(job, directory, job_context, watcher, workers, load_key(job))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _composed(overrides: Sequence[str], config_dir: Path | None, config_name: str | None) -> Composed:
    """Return the composed job.

    Raises:
        ConfigError: overrides are invalid or have no effect on an answer; contains all errors.
    """
    mistakes = list(_without_effect(overrides))
    overrides = [text for text in overrides if not any(text in one.where for one in mistakes if one.where)]
    try:
        composed = compose([*overrides, *QUESTION_ONLY], config_dir=config_dir, config_name=config_name)
    except ConfigError as error:
        raise ConfigError([*mistakes, *map(_of_one_answer, error.mistakes)]) from error
    if mistakes:
        raise ConfigError(mistakes)
    return composed


def _of_one_answer(mistake: Mistake) -> Mistake:
    """Replace the hint to run a sweep, and the error that the question is not a mapping of several variables."""
    if mistake.problem == SEVERAL:
        return replace(mistake, hint="pass a single value; hforch ask gives one answer")
    if mistake.where in QUESTION_ONLY:
        problem = "has several variables; hforch ask sets only one, the question"
        return Mistake("prompt", problem, None, "use prompt=question or prompt=chat")
    return mistake


def _without_effect(overrides: Sequence[str]) -> Iterator[Mistake]:
    for text in overrides:
        key, sign, _ = text.lstrip("+~").partition("=")
        path = key.replace("/", ".").partition("@")[0]
        if sign and any(f"{path}.".startswith(f"{one}.") for one in WITHOUT_EFFECT):
            yield Mistake(key, "has no effect on an answer", text, "remove it, or use hforch instead of hforch ask")


def _with_question(job: Job, question: str) -> Job:
    """Return the job with the question as its only input, and without checks, scores and measurements."""
    return job.model_copy(
        update={
            "inputs": InlineInputs(kind="inline", items=(question,), limit=None),
            "checks": job.checks.model_copy(update={"items": ()}),
            "scoring": job.scoring.model_copy(update={"baseline": None, "text": None}),
            "runtime": job.runtime.model_copy(
                update={
                    **{"repeat": 1, "rounds": 1, "warmup": 0, "min_pass": None},
                    "measure": job.runtime.measure.model_copy(update={"until": None}),
                }
            ),
        }
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
