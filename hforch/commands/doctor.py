"""hforch doctor: what this machine has for hforch, on one screen."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hforch.errors import EXIT_OK

DESCRIPTION = "Show what this machine has: packages and their versions, devices, and the cache of models."
EXAMPLE = """example:
  hforch doctor
  hforch doctor --json > machine.json
"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "hforch doctor", description=DESCRIPTION, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)

    from hforch.commands._machine import look

    found = look()
    if options.json:
        print(json.dumps(found, indent=2))
    elif sys.stdout.isatty():
        _rich(sections(found))
    else:
        _plain(sections(found))
    return EXIT_OK


def sections(found: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """What was found as rows of two columns, by section."""
    machine = found["machine"]
    cpu = f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    memory = f"{machine['memory_free_gb']:.1f} of {machine['memory_gb']:.1f} GB free"
    return {
        "machine": [
            ("hforch", found["hforch"]),
            ("Python", machine["python"]),
            ("system", machine["system"]),
            ("CPU", cpu),
            ("memory", memory),
        ],
        "packages": _packages(found["packages"]),
        "devices": [*_devices("torch", found["torch"]), *_devices("openvino", found["openvino"])],
        "cache": _cache(found["cache"]),
    }


def _packages(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What is there on one row for each extra, and a row for each package that is not as hforch needs it."""
    together: dict[str, list[str]] = {}
    rows = []
    for row in found:
        if row["fits"]:
            together.setdefault(row["extra"] or "needed", []).append(f"{row['name']} {row['version']}")
        elif row["version"] is None:
            rows.append((row["name"], f"not installed: {row['install']}"))
        else:
            rows.append((row["name"], f"{row['version']}, but hforch needs {row['wants']}: {row['install']}"))
    return [(title, ", ".join(names)) for title, names in together.items()] + rows


def _devices(library: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    if found["error"]:
        return [(library, found["error"])]
    return [(f"{library} {device['device']}", ", ".join(_facts(device))) for device in found["devices"]]


def _facts(device: Mapping[str, Any]) -> list[str]:
    facts = [device["name"]]
    if device.get("memory_gb"):
        facts.append(f"{device['memory_gb']:.1f} GB")
    if device.get("capabilities"):
        facts.append(" ".join(device["capabilities"]))
    return facts


def _cache(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    if found["error"]:
        return [("folder", found["error"])]
    rows = [("folder", f"{found['home']} ({sum(entry['size_mb'] for entry in found['entries']):,.0f} MB)")]
    for entry in found["entries"]:
        state = "" if entry["complete"] else ", not complete"
        made = entry["created"][:10]
        rows.append((entry["kind"], f"{entry['what'] or entry['name']}, {entry['size_mb']:,.1f} MB, {made}{state}"))
    return rows


def _plain(tables: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    for title, rows in tables.items():
        print(title)
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"  {name:<{width}}  {text}")


def _rich(tables: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for title, rows in tables.items():
        table.add_row(Text(title, style="bold"), "")
        for name, text in rows:
            table.add_row(Text(f"  {name}"), Text(text))
    Console().print(table)
