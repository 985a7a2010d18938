"""Warnings about settings that are valid but probably unintended. Pure functions of a Job."""

from __future__ import annotations

import re
from collections.abc import Collection

from hforch.config.schema import Job
from hforch.errors import Mistake

ESCAPES = {r"\n": "a line break", r"\t": "a tab", r"\r": "a carriage return"}
NAMED_OPTIONS = {r"\n": "newline", r"\n\n": "blank_line"}
ESCAPE = re.compile(r"\\[ntr]")


def advice(job: Job, ignored: Collection[str]) -> list[Mistake]:
    """Return the warnings about a job's settings.

    Args:
        ignored: paths of the keys that the job's backend ignores.
    """
    return [*_settings_without_effect(job, ignored), *_min_pass_without_checks(job), *_stops_with_a_backslash(job)]


def _min_pass_without_checks(job: Job) -> list[Mistake]:
    if job.runtime.min_pass is None or job.checks.items:
        return []
    return [Mistake("runtime.min_pass", "has no effect without checks", hint="add checks, such as checks=expected")]


def _settings_without_effect(job: Job, ignored: Collection[str]) -> list[Mistake]:
    if "ov_config" not in ignored or not job.ov_config:
        return []
    problem = f"ignored by backend={job.backend.name} ({', '.join(job.ov_config)})"
    return [Mistake("ov_config", problem, hint="use backend=openvino, or remove it")]


def _stops_with_a_backslash(job: Job) -> list[Mistake]:
    """Warn about \\n as two characters: YAML reads it as a line break only in double quotes, and Hydra never does."""
    found = []
    for number, stop in enumerate(job.stop.sequences):
        if match := ESCAPE.search(stop):
            code = match.group()
            option = NAMED_OPTIONS.get(stop)
            hint = f'in YAML, use double quotes ("{stop}")' + (f", or use stop={option}" if option else "")
            problem = f"'{stop}' contains a backslash and the letter {code[1]}, not {ESCAPES[code]}"
            found.append(Mistake(f"stop.sequences.{number}", problem, hint=hint))
    return found
