"""How a job, and the sweep that it is of, is run again: as a command, and as a recipe."""

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

ALONE = "A job by itself has no baseline, so only the command of the whole sweep takes divergence and agreement again."


def of_job(entry: Entry) -> dict[str, str]:
    """`command`, the `cwd` it was given in, `recipe`, `freeze`, and a `note` if something is left out."""
    words, job, found = list(map(str, entry.record.get("overrides") or [])), dict(entry.job), {}
    if (job.get("scoring") or {}).get("baseline"):
        left = "text" if job["scoring"].get("text") else "none"
        words = [word for word in words if not word.startswith(("scoring=", "scoring."))] + [f"scoring={left}"]
        job["scoring"] = option("scoring", left)
        found["note"] = ALONE
    job["tracker"] = option("tracker", "none")
    try:
        found["recipe"] = to_yaml(recipe_of(job))
    except (HforchError, KeyError, TypeError, ValueError, AttributeError) as error:
        found["recipe"] = f"# this job cannot be written as a recipe: {(str(error) or 'no values').splitlines()[0]}\n"
    if warning := _warning(entry.record, words):
        found["note"] = " ".join(filter(None, (found.get("note"), warning)))
    return found | {
        "command": _command(entry.record, words),
        "cwd": str(entry.record.get("cwd") or ""),
        "freeze": shlex.join(["hforch", "freeze", str(entry.directory), "-o", "recipe.yaml"]),
    }


def of_sweeps(entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
    """For each sweep that the jobs are of, `directory`, `command`, `cwd` and `note`, which may be empty."""
    for folder in dict.fromkeys(entry.directory.parent for entry in entries):
        with suppress(ConfigError, OSError, KeyError, TypeError):
            if (folder / SWEEP).is_file():
                sweep = read_sweep(folder)
                asked = sweep["asked"]
                words = list(map(str, asked["overrides"]))
                note, command = _warning(asked, words), _command(asked, ["-m", *words])
                yield {"directory": str(folder), "command": command, "cwd": str(sweep.get("cwd") or ""), "note": note}


def _warning(asked: Mapping[str, Any], words: Iterable[str]) -> str:
    """What of a command is more than data, as it may have been written by somebody else; empty if nothing is."""
    typed = [word for word in words if not word.startswith(CHOSEN_ANEW)]
    found = [f"{text} {what}" for text, what in unsafe_overrides(typed)]
    if asked.get("config_dir"):
        found.append(f"--config-dir {asked['config_dir']} holds options that can run code")
    return redacted_line(f"Look at this command before you run it: {'; '.join(found)}.") if found else ""


def _command(asked: Mapping[str, Any], words: Iterable[str]) -> str:
    """What was typed, without the directory, which holds the answers of that run."""
    recipe = ["run", str(asked["recipe"])] if asked.get("recipe") else []
    flags = [
        part
        for name in ("config_dir", "config_name")
        if asked.get(name)
        for part in (f"--{name.replace('_', '-')}", str(asked[name]))
    ]
    typed = [word for word in words if not word.startswith(CHOSEN_ANEW)]
    return shlex.join(["hforch", *recipe, *flags, *map(redacted_override, typed)])
