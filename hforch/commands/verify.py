"""hforch verify RECIPE: run a frozen recipe and compare its outputs with the frozen ones."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.commands._parser import CommandParser
from hforch.config.diagnose.overrides import SEVERAL
from hforch.config.hydra_adapter.parsing import quoted
from hforch.errors import EXIT_FAILED, EXIT_OK, EXIT_UNMET, EXIT_USAGE, ConfigError, Mistake, shown
from hforch.utils.paths import expanded

if TYPE_CHECKING:
    from hforch.comparison.verifying import Verdict
    from hforch.config.frozen import Frozen

SHOWN = 5
EXAMPLE = """examples:
  hforch verify recipes/winner.yaml
  hforch verify recipes/winner.yaml backend=openvino     compare another backend with the frozen outputs
  hforch verify recipes/winner.yaml --json

Exit code 0: all outputs are identical, token for token (or as text, if the backend has no token ids). Exit code 3: some
outputs differ.
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("verify", "Run a frozen recipe and compare its outputs with the frozen ones.", EXAMPLE)
    parser.add_argument("recipe", metavar="RECIPE", type=expanded, help="a recipe written by hforch freeze")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe")
    parser.add_argument(
        "--output", metavar="DIR", type=expanded, help="the directory of the run (default: outputs/DATE/TIME)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_intermixed_args(argv)
    from hforch.app.finish import QUIET
    from hforch.app.hydra_app import run_app
    from hforch.commands._recipes import existing
    from hforch.comparison.entries import read_jobs
    from hforch.comparison.verifying import read_frozen, verdict
    from hforch.runs.output_dirs import mistakes_if_used

    recipe = existing(args.recipe)
    frozen = read_frozen(recipe)
    given = {one.partition("=")[0].lstrip("+") for one in args.overrides}
    if missing := [one for one in frozen.needs if one.partition("=")[0] not in given]:
        hint = shlex.join(["hforch", "verify", str(args.recipe), *missing])
        raise ConfigError(
            [Mistake("", f"the frozen run used {one}, which recipes cannot contain", None, hint) for one in missing]
        )
    if args.output and mistakes_if_used(args.output, "--output"):
        raise ConfigError([Mistake("", f"{args.output} contains an earlier run", "--output", "use another directory")])
    directory = args.output or Path("outputs") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    words = [*args.overrides, f"hydra.run.dir={quoted(str(directory))}"]
    if args.json:
        words.append("runtime.display=none")
    fingerprint = None if "model" in given else frozen.model.get("fingerprint")
    damaged = damaged_entries(frozen)
    for one in damaged:
        print(f"damaged cache entry (will be recreated if needed): {one}", file=sys.stderr)
    try:
        code = run_app(words, recipe=recipe, fingerprint=fingerprint)
    except ConfigError as error:
        raise ConfigError(map(_of_one_run, error.mistakes)) from error
    if code == EXIT_USAGE or not directory.is_dir():
        return code
    entry = read_jobs([directory])[0]
    found = verdict(frozen, entry)
    if args.json:
        from hforch.utils.json_text import to_json
        from hforch.utils.sanitize import for_json

        told = {"identical": found.is_identical, **asdict(found), "directory": str(directory)}
        told["damaged"] = damaged
        told["changed"] = [dict(zip(("what", "then", "now"), one, strict=True)) for one in found.changed]
        print(for_json(to_json(told, indent=2)))
    else:
        show(found)
        if entry.get("runtime.display") in QUIET:  # otherwise the run has printed its directory
            print(f"results: {directory}")
    return EXIT_UNMET if not found.is_identical else EXIT_FAILED if code == EXIT_FAILED else EXIT_OK


def damaged_entries(frozen: Frozen) -> list[str]:
    """Verify the cache entries that the frozen run used; return the damaged ones with the reason.

    Cached file digests are dropped first, so that all files are read in full, here and by the run.
    """
    from hforch.models.cache import check, entries, forget_digests

    forget_digests()
    used = {frozen.model.get("export"), frozen.model.get("sha256")} - {None}
    found = [(entry, check(entry)) for entry in entries() if entry.made_of & used]
    return [f"{entry.kind}/{entry.name}: {reason}" for entry, reason in found if reason]


def _of_one_run(mistake: Mistake) -> Mistake:
    """Replace the hint to run a sweep, which hforch verify cannot do."""
    if mistake.problem != SEVERAL:
        return mistake
    return replace(mistake, hint="pass a single value; hforch verify runs only one job")


def show(found: Verdict) -> None:
    one_by_one = "token for token" if found.unit == "tokens" else "character for character (no token ids)"
    print()
    if found.is_identical:
        all_ = "the output matches the frozen one" if found.outputs == 1 else f"all {found.outputs} outputs match"
        print(f"identical: {all_}, {one_by_one}")
    else:
        same = found.outputs - len(found.differences) - len(found.missing)
        print(f"not identical: {same} of {found.outputs} outputs match the frozen ones")
    for one in found.differences[:SHOWN]:
        repeat = f", repeat {one.repeat + 1}" if one.repeat else ""
        place = f"first differs at {found.unit[:-1]} {one.at}" if one.at is not None else "differs"
        print(f"  input {one.index + 1} ({one.input_id}){repeat} {place}")
        print(f"    frozen: {shown(one.frozen or '(only its digest is stored)')}")
        print(f"    now:    {shown(one.now or '')}")
    if len(found.differences) > SHOWN:
        print(f"  and {len(found.differences) - SHOWN} more")
    if found.missing:
        more = ", ..." if len(found.missing) > SHOWN else ""
        print(f"  missing outputs: {len(found.missing)} (inputs {', '.join(found.missing[:SHOWN])}{more})")
    for what, then, now in found.changed:
        print(f"changed: {what}: {shown(str(then))} -> {shown(str(now))}")
    if not found.is_model_known:
        print("cannot check whether the model is the same: it has no fingerprint")
    if not found.changed:
        known = "configuration, model, versions" if found.is_model_known else "configuration, versions"
        print(f"unchanged: {known}, machine")
