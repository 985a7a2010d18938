"""The last phase of a job: compute the scores that it requests."""

from __future__ import annotations

import json

from hforch.backends.base import LoadedModel, PreparedModel, tokenizer_id
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.models.architecture import vocabulary
from hforch.runs.run_state import Run, warn
from hforch.scoring import preflight


def refuse_unscorable(run: Run, loaded: LoadedModel, prepared: PreparedModel) -> None:
    """Raise ConfigError, before any answer is generated, if the job's scores cannot be computed."""
    text = run.job.scoring.text
    tokens = len(loaded.engine.encode(preflight.load_text(text))) if text else None
    config = prepared.path / "config.json" if prepared.path else None
    known = vocabulary(json.loads(config.read_text(encoding="utf-8"))) if config and config.is_file() else None
    if text and tokens is not None and tokens > text.max_tokens:
        said = f"scoring the first {text.max_tokens} of {tokens} tokens of the text (scoring.text.max_tokens)"
        run.watcher.note(said)
    if mistakes := list(preflight.mistakes(run.job, known, tokens)):
        raise ConfigError(mistakes)


def score_answers(run: Run, loaded: LoadedModel, prepared: PreparedModel) -> None:
    """Compute and record the scores that the job requests."""
    if not run.job.scoring.is_requested:
        return
    from hforch.scoring.choices import contradiction
    from hforch.scoring.scorer import not_scored, score

    if prepared.unscorable:
        warn(run, [Mistake("scoring", prepared.unscorable, None, "use backend=openvino, or ov_config=accuracy")])
        run.note(scores=not_scored(run.job, run.writer.directory, run.job_context.baseline, prepared.unscorable))
        return
    if run.samples and all(sample["error"] is not None for sample in run.samples):
        raise HforchError("no sample succeeded; scoring skipped")
    try:
        found, failed = score(
            run.job, run.writer.directory, run.job_context.baseline, loaded, tokenizer_id(prepared), run.log
        )
    finally:
        run.model_slot.has_scored = True
    found.whole = not failed
    run.note(scores=found)
    kept = found.against_baseline.size_mb if found.against_baseline else None
    if kept is not None:
        run.watcher.note(f"stored {kept} MB of log-probabilities for the jobs that are scored against this one")
    contradicted = found.against_baseline.contradicted if found.against_baseline else None
    if contradicted:
        warn(run, [Mistake("scoring", contradiction(contradicted))])
    if failed:
        raise failed[0]
