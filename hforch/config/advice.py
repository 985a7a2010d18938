"""Warnings about settings that are valid but probably unintended. Pure functions of a Job."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from hforch.config.schema import Job, MessagesPrompt, TemplatePrompt
from hforch.errors import LONGEST_VALUE, Mistake, shown

ESCAPES = {r"\n": "a line break", r"\t": "a tab", r"\r": "a carriage return"}
NAMED_OPTIONS = {r"\n": "newline", r"\n\n": "blank_line"}
ESCAPE = re.compile(r"\\[ntr]")
IN_A_PROMPT = re.compile(r"\\[ntr](?![a-z])")  # not a command of LaTeX, such as \tau


def advice(job: Job, ignored: Collection[str]) -> list[Mistake]:
    """Return the warnings about a job's settings.

    Args:
        ignored: paths of the keys that the job's backend ignores.
    """
    return [
        *_settings_without_effect(job, ignored),
        *_min_pass_without_checks(job),
        *_stops_with_a_backslash(job),
        *_prompts_with_a_backslash(job),
    ]


def _min_pass_without_checks(job: Job) -> list[Mistake]:
    if job.runtime.min_pass is None or job.checks.items:
        return []
    return [Mistake("runtime.min_pass", "has no effect without checks", hint="add checks, such as checks=expected")]


def _settings_without_effect(job: Job, ignored: Collection[str]) -> list[Mistake]:
    if "ov_config" not in ignored or not job.ov_config:
        return []
    problem = f"ignored by backend={job.backend.name} ({', '.join(job.ov_config)})"
    return [Mistake("ov_config", problem, hint="use backend=openvino, or remove these settings")]


def _stops_with_a_backslash(job: Job) -> list[Mistake]:
    stops = job.stop.sequences
    found = []
    for number, stop in enumerate(stops):
        if match := ESCAPE.search(stop):
            option = NAMED_OPTIONS.get(stop) if len(stops) == 1 else None
            instead = f"use stop={option}" if option else _in_bash("stop.sequences", stops)
            found.append(_backslash(f"stop.sequences.{number}", stop, match.group(), instead))
    return found


def _prompts_with_a_backslash(job: Job) -> list[Mistake]:
    texts: dict[str, str | None] = {}
    if isinstance(job.prompt, TemplatePrompt):
        texts["prompt.template"] = job.prompt.template
    elif isinstance(job.prompt, MessagesPrompt):
        texts["prompt.system"] = job.prompt.system
        texts |= {f"prompt.messages.{number}.content": one.content for number, one in enumerate(job.prompt.messages)}
    found = [(path, text, IN_A_PROMPT.search(text)) for path, text in texts.items() if text]
    return [_backslash(path, text, match.group(), _in_bash(path, text)) for path, text, match in found if match]


def _in_bash(key: str, value: str | Sequence[str]) -> str:
    """Return how to write the value of a key with its escapes on the command line."""
    written = f'"{value}"' if isinstance(value, str) else "[" + ",".join(f'"{one}"' for one in value) + "]"
    is_plain = not re.search(r"""['"]|\\(?![ntr])""", "".join(value)) and key.count(".") == 1
    if is_plain and len(written) < LONGEST_VALUE:
        return f"in bash, write $'{key}={written}'"
    return "in bash, quote the whole override with $'...'"


def _backslash(path: str, text: str, code: str, instead: str) -> Mistake:
    """Warn about \\n as two characters: YAML reads it as a line break only in double quotes, and Hydra never does."""
    problem = f"'{shown(text, LONGEST_VALUE)}' contains a backslash and the letter {code[1]}, not {ESCAPES[code]}"
    return Mistake(path, problem, hint=f"{instead}; in YAML, use double quotes")
