"""Compute the identity of a job: the job id (same outputs). `backends/load_key.py` computes the load key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from hforch.backends.base import capabilities
from hforch.backends.load_key import digest, dumped, without
from hforch.checks.json_schemas import schema_of
from hforch.config.affects import JOB_ID, SAME_RUN
from hforch.config.keys import restricted
from hforch.config.schema import Job
from hforch.inputs import Input

ALWAYS = {"tracker": {"kind": "none"}}  # part of every job id, for compatibility: job ids once included the tracker


def job_id(job: Job, inputs: Sequence[Input]) -> str:
    """Return a hash, 16 hex digits, of all settings that affect the outputs, and of the inputs' contents.

    The source of the inputs does not count, but their order and the batch size do, because these determine which inputs
    share a batch.
    """
    tree = restricted(without(dumped(job), [*capabilities(job).ignores, "inputs"]), JOB_ID)
    if isinstance(named := job.generation.json_schema, str):  # a file: hash its contents instead of its name
        with suppress(ValueError):  # the backend's check reports errors in it
            tree["generation"] = tree["generation"] | {"json_schema": schema_of(named)}
    return digest({**tree, **ALWAYS, "inputs": [each.id for each in inputs]})


def equivalence_key(job: Job, identity: str) -> tuple[str, str]:
    """Return a key that is equal for two jobs if one run can serve as both.

    Args:
        job: the job.
        identity: its job id.
    """
    beside = tuple(kind for kind in SAME_RUN if kind not in JOB_ID)
    return identity, json.dumps(restricted(job.model_dump(mode="json"), beside), sort_keys=True)
