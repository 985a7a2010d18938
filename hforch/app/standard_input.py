"""Inputs from standard input (`inputs.path=-`): read once, then stored in the jobs as inline inputs.

The record of each job therefore contains the texts, so that a run can be resumed, frozen and verified later.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hforch.config.schema import FileInputs, InlineInputs, Job
from hforch.errors import ConfigError, Mistake
from hforch.input_files.read import is_stdin
from hforch.inputs import LoadedInputs
from hforch.utils.redaction import STRUCK

LARGEST = 2**31  # maximum number of bytes
TO_FILE = "save the inputs to a file and start a new run with its path"


def reads_stdin(job: Job) -> bool:
    return isinstance(job.inputs, FileInputs) and is_stdin(job.inputs)


def read_stdin(jobs: Sequence[Job]) -> bytes | None:
    """Return the contents of standard input if a job reads its inputs from there, else None.

    Raises:
        ConfigError: standard input is closed, cannot be read, or is too large.
    """
    if not any(map(reads_stdin, jobs)):
        return None
    try:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        if sys.stdin.isatty():
            print("note: reading the inputs from the terminal, one per line; end with Ctrl-D", file=sys.stderr)
        content = sys.stdin.buffer.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise ConfigError([Mistake("inputs.path", f"cannot read standard input: {error}")]) from error
    if len(content) > LARGEST:
        raise ConfigError([Mistake("inputs.path", f"standard input is too large (maximum {LARGEST:,} bytes)")])
    return content


def with_stored_inputs(job: Job, loaded: LoadedInputs) -> Job:
    """Return the job with the inputs that were read from standard input as inline inputs."""
    assert isinstance(job.inputs, FileInputs)
    items = tuple(each.item for each in loaded.inputs)
    return job.model_copy(update={"inputs": InlineInputs(kind="inline", items=items, limit=job.inputs.limit)})


def resumed(job: Job, before: Mapping[str, Any] | None) -> Job:
    """Return a job that read standard input, with the inputs that its earlier record contains.

    Args:
        before: the earlier record of the job, or its entry in sweep.json.

    Raises:
        ConfigError: the record does not contain the inputs.
    """
    recorded = ((before or {}).get("job") or {}).get("inputs") or {}
    redacted = [path for path in (before or {}).get("redacted") or [] if path.partition(".")[0] == "inputs"]
    if redacted:
        problem = f"the inputs from standard input contained a credential, which the record stores as {STRUCK}"
        raise ConfigError([Mistake("inputs.path", problem, None, TO_FILE)])
    try:
        return job.model_copy(update={"inputs": InlineInputs.model_validate(recorded)})
    except ValueError:
        problem = "the run read standard input, and its record does not contain the inputs"
        raise ConfigError([Mistake("inputs.path", problem, None, TO_FILE)]) from None
