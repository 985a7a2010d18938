"""hforch doctor: show hardware, package versions and cache; check and clean the cache."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hforch.commands._cache_entries import cache_rows
from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, Mistake

DESCRIPTION = "Show the CPU features, memory, package versions, devices and cached models of this machine."
EXAMPLE = """examples:
  hforch doctor
  hforch doctor --json > machine.json
  hforch doctor --check-cache                verify all cache entries (exit code 1 if one is damaged)
  hforch doctor --bandwidth                  measure the memory read bandwidth, for the metric mbu
  hforch doctor --clean exports              remove all exported models
  hforch doctor --clean int8-60881698        remove the entry whose name starts with this
  hforch doctor --clean all --older-than 30  remove all entries that are at least 30 days old
"""
WHAT = """remove cache entries: a name, the start of a name, a pattern such as 'int8-*', a kind (wheels, checkpoints,
exports, tokenizers, engine_checks), incomplete, or all"""
SHOWN = 6  # maximum number of cache entries shown, so that the output fits on one screen
# Required packages that are listed if they have the tested version; the others are only counted.
KNOWN = ("torch", "transformers", "langchain-core", "langchain-huggingface", "hydra-core", "accelerate")


def main(argv: list[str]) -> int:
    parser = CommandParser("doctor", DESCRIPTION, EXAMPLE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--cache", action="store_true", help="list all cache entries")
    parser.add_argument("--check-cache", action="store_true", help="verify all cache entries and list the damaged ones")
    parser.add_argument("--bandwidth", action="store_true", help="measure and store the memory read bandwidth")
    parser.add_argument("--clean", nargs="*", metavar="WHAT", help=WHAT)
    parser.add_argument(
        "--older-than",
        type=float,
        metavar="DAYS",
        help="with --clean: remove only entries that are at least DAYS days old",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --clean: list what would be removed, without removing it"
    )
    options = parser.parse_args(argv)
    if options.clean is not None:
        from hforch.commands._clean_cache import clean

        return clean(options.clean, options.older_than, options.dry_run, options.json)
    if options.dry_run or options.older_than is not None:
        raise ConfigError(
            [
                Mistake(
                    "",
                    "--dry-run and --older-than require --clean",
                    hint="for example: hforch doctor --clean all --dry-run",
                )
            ]
        )

    if options.bandwidth:
        from hforch.commands._bandwidth import measure_bandwidth

        return measure_bandwidth(options.json)
    if options.check_cache:
        from hforch.commands._check_cache import check_cache

        return check_cache(options.json)

    from hforch.commands._doctor_report import cached, inspect_machine

    found = {"cache": cached()} if options.cache else inspect_machine()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show({"cache": cache_rows(found["cache"], None)} if options.cache else sections(found))
    return EXIT_OK


def sections(found: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the collected data as rows of two columns for each section."""
    from hforch.commands._nvidia import remarks, rows

    machine = found["machine"]
    return {
        "machine": [
            ("hforch", f"{found['hforch']}, Python {machine['python']}"),
            ("system", machine["system"]),
            ("CPU", f"{machine['cpu']}, {_threads(machine)}"),
            ("features", _features(machine)),
            ("memory", _memory(machine)),
        ],
        "packages": [
            ("versions", _versions(found["versions"])),
            *_packages(found["packages"], found["nvidia"]["driver_found"]),
        ],
        "devices": [
            *_devices("torch", found["torch"]),
            *rows(found["nvidia"]),
            *remarks(found["nvidia"], found["torch"]),
            *_devices("openvino", found["openvino"]),
            ("workers", _workers(found["workers"])),
        ],
        "cache": cache_rows(found["cache"], SHOWN),
    }


def _threads(machine: Mapping[str, Any]) -> str:
    said = f"{machine['cores']} cores, {machine['threads']} threads"
    return said if machine["usable"] == machine["threads"] else f"{said}, {machine['usable']} usable by this process"


def _features(machine: Mapping[str, Any]) -> str:
    """Return the relevant CPU features, such as `AVX2, AVX-512 (VNNI, BF16), no AMX; bfloat16 in hardware`."""
    found = machine["features"]
    if found is None:
        return "unknown"
    said = []
    for kind, parts in found.items():
        detail = ", ".join(part for part in parts if part)
        said.append(f"no {kind}" if not parts else f"{kind} ({detail})" if detail else kind)
    return f"{', '.join(said)}; {'bfloat16 in hardware' if machine['bf16'] else 'bfloat16 is emulated (slow)'}"


def _memory(machine: Mapping[str, Any]) -> str:
    said = f"{machine['memory_free_gb']:.1f} of {machine['memory_gb']:.1f} GB free"
    whole = machine["machine_memory_gb"]
    return (
        said if whole <= machine["memory_gb"] else f"{said} (limited by the container; the machine has {whole:.1f} GB)"
    )


def _versions(found: Mapping[str, Any]) -> str:
    """Return which set of tested versions is installed."""
    if found["set"] == "newest":
        return "the newest tested set, without OpenVINO (hforch constraints --newest)"
    if found["set"] is not None:
        return "the tested set (hforch constraints)"
    names = found["differ"]
    told = f"{', '.join(names[:SHOWN])}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}"
    return f'not tested together: {told}; for the tested set: pip install -c "$(hforch constraints)" hforch'


def _packages(found: Sequence[Mapping[str, Any]], has_nvidia: bool = True) -> list[tuple[str, str]]:
    """Return, for each extra, a row that lists its packages at the tested version; and a row for each other package.

    Args:
        has_nvidia: whether to list missing packages for NVIDIA GPUs.
    """
    as_tested: dict[str, list[str]] = {}
    rows = []
    for row in found:
        if row["version"] is None and row["extra"] == "cuda" and not has_nvidia:
            continue
        if row["version"] is None:
            rows.append((row["name"], f"not installed: {row['install']}"))
        elif not row["fits"]:
            rows.append((row["name"], f"{row['version']}, but hforch requires {row['wants']}: {row['install']}"))
        elif row["as_tested"] or row["tested"] is None:
            as_tested.setdefault(row["extra"] or "required", []).append(f"{row['name']} {row['version']}")
        else:
            rows.append((row["name"], f"{row['version']}, tested with {row['tested']}"))
        rows += [("", f"{row['name']} {row['version']}: {what}") for what in row["differs"]]
    return [(title, _listed(names, title)) for title, names in as_tested.items()] + rows


def _listed(names: Sequence[str], title: str) -> str:
    shown = [name for name in names if title != "required" or name.partition(" ")[0] in KNOWN]
    more = len(names) - len(shown)
    return f"all at the tested versions: {', '.join(shown)}{f' and {more} more' if more else ''}"


def _devices(library: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    if found["error"]:
        return [(library, found["error"])]
    return [(f"{library} {device['device']}", ", ".join(_facts(device))) for device in found["devices"]]


def _workers(found: Mapping[str, Sequence[str] | None]) -> str:
    """Return how worker processes are started."""
    anew = [f"{one} (importing it initializes {', '.join(names)})" for one, names in found.items() if names]
    slower = f"started by fork, except on accelerators with {', '.join(anew)}: started as new processes (slower)"
    said = [slower] if anew else []
    broken = [f"importing {one} crashes the process" for one, names in found.items() if names is None]
    return "; ".join([*said, *broken]) or "started by fork (fast)"


def _facts(device: Mapping[str, Any]) -> list[str]:
    facts = [device["name"]]
    if device.get("memory_gb"):
        facts.append(f"{device['memory_gb']:.1f} GB")
    if device.get("capabilities"):
        facts.append(" ".join(device["capabilities"]))
    return facts


def show(tables: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    if sys.stdout.isatty():
        _rich(tables)
    else:
        _plain(tables)


def _plain(tables: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    for title, rows in tables.items():
        print(title)
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"  {name:<{width}}  {text}")


def _rich(tables: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from hforch.report.console import console

    table = Table(box=None, show_header=False, pad_edge=False)
    for title, rows in tables.items():
        table.add_row(Text(title, style="bold"), "")
        for name, text in rows:
            table.add_row(Text(f"  {name}"), Text(text))
    console(sys.stdout).print(table)
