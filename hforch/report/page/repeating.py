"""How a job, and the sweep that it is of, is run again: as a command, and as a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from hforch.compare.reading import Entry
from hforch.config.as_recipe import recipe_of, to_yaml
from hforch.config.options import option
from hforch.errors import ConfigError, HforchError
from hforch.runs.sweep import SWEEP, read_sweep

DIRECTORIES = ("hydra.run.dir=", "hydra.sweep.dir=")
ALONE = "A job by itself has no baseline, so only the command of the whole sweep takes divergence and agreement again."


def of_job(entry: Entry) -> dict[str, str]:
    """`command`, the `cwd` it was given in, `recipe`, `freeze`, and a `note` if something is left out."""
    words, job, found = list(map(str, entry.record.get("overrides") or [])), dict(entry.job), {}
    if (job.get("scoring") or {}).get("baseline"):
        left = "text" if job["scoring"].get("text") else "none"
        words = [word for word in words if not word.startswith(("scoring=", "scoring."))] + [f"scoring={left}"]
        job["scoring"] = option("scoring", left)
        found["note"] = ALONE
    try:
        found["recipe"] = to_yaml(recipe_of(job))
    except (HforchError, KeyError, TypeError, ValueError, AttributeError) as error:
        found["recipe"] = f"# this job cannot be written as a recipe: {(str(error) or 'no values').splitlines()[0]}\n"
    return found | {
        "command": _command(entry.record, words),
        "cwd": str(entry.record.get("cwd") or ""),
        "freeze": shlex.join(["hforch", "freeze", str(entry.directory), "-o", "recipe.yaml"]),
    }


def of_sweeps(entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
    """For each sweep that the jobs are of, `directory`, `command` and `cwd`."""
    for folder in dict.fromkeys(entry.directory.parent for entry in entries):
        with suppress(ConfigError, OSError, KeyError, TypeError):
            if (folder / SWEEP).is_file():
                sweep = read_sweep(folder)
                asked = sweep["asked"]
                command = _command(asked, ["-m", *map(str, asked["overrides"])])
                yield {"directory": str(folder), "command": command, "cwd": str(sweep.get("cwd") or "")}


def _command(asked: Mapping[str, Any], words: Iterable[str]) -> str:
    """What was typed, without the directory, which holds the answers of that run."""
    recipe = ["run", str(asked["recipe"])] if asked.get("recipe") else []
    flags = [
        part
        for name in ("config_dir", "config_name")
        if asked.get(name)
        for part in (f"--{name.replace('_', '-')}", str(asked[name]))
    ]
    typed = [word for word in words if not word.startswith(DIRECTORIES)]
    return shlex.join(["hforch", *recipe, *flags, *typed])
