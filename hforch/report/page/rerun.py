"""Commands and recipes that run a job or a sweep again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from hforch.comparison.entries import Entry
from hforch.config.as_recipe import recipe_of, to_yaml
from hforch.config.options import option
from hforch.config.untrusted import CHOSEN_ANEW, unsafe_overrides
from hforch.errors import ConfigError, HforchError
from hforch.records.sweep_file import SWEEP, read_sweep
from hforch.utils.redaction import redacted_line, redacted_override

ALONE = "A single job has no baseline. To recompute KL divergence and agreement, run the entire sweep."


def of_job(entry: Entry) -> dict[str, str]:
    """Return `command`, `cwd` (the working directory), `recipe`, `freeze`, and `note` if there is a warning."""
    words, job, found = list(map(str, entry.record.get("overrides") or [])), dict(entry.job), {}
    if (job.get("scoring") or {}).get("baseline"):
        left = "text" if job["scoring"].get("text") else "none"
        words = [word for word in words if not word.startswith(("scoring=", "scoring."))] + [f"scoring={left}"]
        job["scoring"] = option("scoring", left)
        found["note"] = ALONE
    job["tracker"] = option("tracker", "none")
    if ((job.get("runtime") or {}).get("measure") or {}).get("until"):  # which needs other jobs
        words = [word for word in words if not word.startswith("runtime.measure")]
        job["runtime"] = {**job["runtime"], "measure": option("runtime", "default")["measure"]}
    try:
        found["recipe"] = to_yaml(recipe_of(job))
    except (HforchError, KeyError, TypeError, ValueError, AttributeError) as error:
        found["recipe"] = f"# cannot write this job as a recipe: {(str(error) or 'no values').splitlines()[0]}\n"
    if warning := _warning(entry.record, words):
        found["note"] = " ".join(filter(None, (found.get("note"), warning)))
    return found | {
        "command": _command(entry.record, words),
        "cwd": str(entry.record.get("cwd") or ""),
        "freeze": shlex.join(["hforch", "freeze", str(entry.directory), "-o", "recipe.yaml"]),
    }


def of_sweeps(entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
    """Yield `directory`, `command`, `cwd` and `note` (may be empty) for each sweep of the jobs."""
    for folder in dict.fromkeys(entry.directory.parent for entry in entries):
        with suppress(ConfigError, OSError, KeyError, TypeError):
            if (folder / SWEEP).is_file():
                sweep = read_sweep(folder)
                asked = sweep["asked"]
                words = list(map(str, asked["overrides"]))
                note, command = _warning(asked, words), _command(asked, ["-m", *words])
                yield {"directory": str(folder), "command": command, "cwd": str(sweep.get("cwd") or ""), "note": note}


def _warning(asked: Mapping[str, Any], words: Iterable[str]) -> str:
    """Return a warning if a recorded command, which may come from another user, can run code; else an empty string."""
    typed = [word for word in words if not word.startswith(CHOSEN_ANEW)]
    found = [f"{text} {what}" for text, what in unsafe_overrides(typed)]
    if asked.get("config_dir"):
        found.append(f"--config-dir {asked['config_dir']} may contain options that run code")
    return redacted_line(f"Check this command before you run it: {'; '.join(found)}.") if found else ""


def _command(asked: Mapping[str, Any], words: Iterable[str]) -> str:
    """Return the recorded command, without the output directory, which already contains a run."""
    recipe = ["run", str(asked["recipe"])] if asked.get("recipe") else []
    flags = [
        part
        for name in ("config_dir", "config_name")
        if asked.get(name)
        for part in (f"--{name.replace('_', '-')}", str(asked[name]))
    ]
    typed = [word for word in words if not word.startswith(CHOSEN_ANEW)]
    return shlex.join(["hforch", *recipe, *flags, *map(redacted_override, typed)])
