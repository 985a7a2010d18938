"""What is allowed but probably not meant: told as a warning, and the run goes on. Pure functions of a Job."""

from __future__ import annotations

import re
from collections.abc import Collection

from hforch.config.schema import Job
from hforch.errors import Mistake

ESCAPES = {r"\n": "a line break", r"\t": "a tab", r"\r": "a carriage return"}
NAMED_OPTIONS = {r"\n": "newline", r"\n\n": "blank_line"}
ESCAPE = re.compile(r"\\[ntr]")


def advice(job: Job, ignored: Collection[str]) -> list[Mistake]:
    """Return warnings about settings that are probably not meant.

    Args:
        ignored: the paths of the keys that the job's backend ignores.
    """
    return [*_settings_without_effect(job, ignored), *_a_share_of_no_checks(job), *_stops_with_a_backslash(job)]


def _a_share_of_no_checks(job: Job) -> list[Mistake]:
    if job.runtime.min_pass is None or job.checks.items:
        return []
    return [Mistake("runtime.min_pass", "there are no checks to pass", hint="choose some, such as checks=expected")]


def _settings_without_effect(job: Job, ignored: Collection[str]) -> list[Mistake]:
    if "ov_config" not in ignored or not job.ov_config:
        return []
    problem = f"backend={job.backend.name} does not use it ({', '.join(job.ov_config)})"
    return [Mistake("ov_config", problem, hint="use backend=openvino, or leave it out")]


def _stops_with_a_backslash(job: Job) -> list[Mistake]:
    """YAML reads \\n in double quotes as a line break, in single quotes as two characters; Hydra never does."""
    found = []
    for number, stop in enumerate(job.stop.sequences):
        if match := ESCAPE.search(stop):
            code = match.group()
            option = NAMED_OPTIONS.get(stop)
            hint = f'in YAML write "{stop}" in double quotes' + (f"; or choose stop={option}" if option else "")
            problem = f"'{stop}' holds a backslash and the letter {code[1]}, not {ESCAPES[code]}"
            found.append(Mistake(f"stop.sequences.{number}", problem, hint=hint))
    return found
