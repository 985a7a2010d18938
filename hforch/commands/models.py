"""hforch models [DIR]: list the models on this machine, and how to use each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, HforchError, Mistake

if TYPE_CHECKING:
    from hforch.models.inventory import KnownModel

TITLES = {
    "default": "default model",
    "cache": "hforch's cache (converted and exported models)",
    "hub": "cache of the Hugging Face Hub",
    "folder": "directories",
}
EXAMPLE = """\
Each model is listed with its format, precision, size, and the overrides with which to use it. Nothing is downloaded.

examples:
  hforch models
  hforch models ~/models                search this directory instead of the current one
  hforch models --json
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("models", "List the models on this machine, and how to use each.", EXAMPLE)
    parser.add_argument(
        "folders", metavar="DIR", nargs="*", type=Path, help="directories to search (default: the current one)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    args = parser.parse_intermixed_args(argv)
    if missing := [one for one in args.folders if not one.is_dir()]:
        raise ConfigError([Mistake("", f"directory not found: {one}") for one in missing])
    from hforch.models.inventory import known_models

    try:
        found = known_models(args.folders or [Path()])
    except OSError as error:
        raise HforchError(f"cannot read the cache: {error}") from error
    if args.json:
        from hforch.utils.json_text import to_json
        from hforch.utils.sanitize import for_json

        print(for_json(to_json([one.as_values() for one in found], indent=2)))
    else:
        _show(found)
    return EXIT_OK


def _show(found: Sequence[KnownModel]) -> None:
    """Print a section for each place, with two lines for each model."""
    from hforch.report.console import console
    from hforch.report.plain_watcher import shown

    printer = console(sys.stdout)
    for place, title in TITLES.items():
        models = [one for one in found if one.place == place]
        for at, one in enumerate(models):
            if at == 0:
                printer.print(title, style="bold")
            printer.print(f"  {shown(_line(one))}", soft_wrap=True)
            if one.overrides is not None:
                printer.print(f"      {shown(shlex.join(one.overrides))}", style="cyan", soft_wrap=True)


def _line(one: KnownModel) -> str:
    size = "" if one.size_mb is None else f"{one.size_mb:,.1f} MB"
    facts = [one.kind, one.precision or "", size]
    if one.place == "folder" and one.path:
        facts.append(one.path)
    note = f" ({one.note})" if one.note else ""
    return f"{one.name}: {', '.join(fact for fact in facts if fact)}{note}"
