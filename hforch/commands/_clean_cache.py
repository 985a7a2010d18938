"""hforch doctor --clean: remove the selected cache entries."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from hforch.commands._cache_entries import entry_line
from hforch.commands._doctor_report import describe_entry
from hforch.errors import EXIT_FAILED, EXIT_OK, ConfigError, Mistake
from hforch.models.cache import KINDS, Entry, entries, remove, remove_rest

WORDS = (*KINDS, "incomplete", "all")


def clean(words: Sequence[str], older_than: float | None, dry_run: bool, as_json: bool) -> int:
    """Remove the selected entries and print each.

    Args:
        words: names, prefixes of names, patterns, kinds, `incomplete` or `all`.
        older_than: remove only entries that are at least this many days old.
        dry_run: print what would be removed, and remove nothing.
        as_json: print JSON.

    Returns:
        the exit code: 1 if an entry could not be removed.

    Raises:
        ConfigError: an argument matches no entry; nothing is removed.
    """
    there = entries()
    chosen = choose(words, there)
    if older_than is not None:
        limit = datetime.now(UTC) - timedelta(days=older_than)
        chosen = [entry for entry in chosen if entry.created <= limit]
    removed: list[Entry] = []
    failed: list[tuple[Entry, str]] = []
    for entry in chosen:
        reason = None if dry_run else _remove(entry)
        if reason is None:
            removed.append(entry)
        else:
            failed.append((entry, reason))
    if "all" in words and older_than is None and not dry_run:
        remove_rest()
    _print_removed(removed, failed, dry_run, as_json)
    return EXIT_FAILED if failed else EXIT_OK


def choose(words: Sequence[str], there: Sequence[Entry]) -> list[Entry]:
    """Return the selected entries, each once, in the order of the cache."""
    if not words:
        names = ", ".join(entry.name for entry in there) or "none, the cache is empty"
        raise ConfigError(
            [Mistake("", "--clean requires an argument", hint=f"{', '.join(WORDS)}, or an entry: {names}")]
        )
    found = {word: _named(word, there) for word in words}
    mistakes = [_nothing(word, there) for word, named in found.items() if not named and word not in WORDS]
    if mistakes:
        raise ConfigError(mistakes)
    paths = {entry.path for named in found.values() for entry in named}
    return [entry for entry in there if entry.path in paths]


def _named(word: str, there: Sequence[Entry]) -> list[Entry]:
    if word == "all":
        return list(there)
    if word == "incomplete":
        return [entry for entry in there if not entry.complete]
    if word in KINDS:
        return [entry for entry in there if entry.kind == word]
    if any(sign in word for sign in "*?["):
        return [entry for entry in there if fnmatchcase(entry.name, word)]
    exact = [entry for entry in there if entry.name == word]
    begun = [entry for entry in there if word and entry.name.startswith(word)]
    if not exact and len(begun) > 1:
        names = ", ".join(entry.name for entry in begun)
        hint = f"to remove all of them: '{word}*'"
        raise ConfigError(
            [Mistake("", f"--clean {word}: {len(begun)} entries start with {word!r}: {names}", hint=hint)]
        )
    return exact or begun


def _nothing(word: str, there: Sequence[Entry]) -> Mistake:
    from hforch.config.diagnose.suggestions import did_you_mean

    hint = did_you_mean(word, [*WORDS, *(entry.name for entry in there)])
    return Mistake(
        "", f"--clean {word}: no matching entry in the cache", hint=hint or "hforch doctor --cache lists the entries"
    )


def _remove(entry: Entry) -> str | None:
    """Remove an entry. Return the reason if this fails, else None."""
    try:
        return None if remove(entry) else "another process is creating it"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _print_removed(removed: Sequence[Entry], failed: Sequence[tuple[Entry, str]], dry_run: bool, as_json: bool) -> None:
    freed = sum(entry.size_mb for entry in removed)
    if as_json:
        told: dict[str, Any] = {
            "dry_run": dry_run,
            "removed": [describe_entry(entry) for entry in removed],
            "failed": [describe_entry(entry) | {"reason": reason} for entry, reason in failed],
            "freed_mb": round(freed, 3),
        }
        print(json.dumps(told, indent=2))
    else:
        for entry in removed:
            print(f"{'would remove' if dry_run else 'removed'} {entry.kind}/{entry_line(describe_entry(entry))}")
        print(f"{freed:,.1f} MB {'would be' if dry_run else 'was'} freed" if removed else "nothing to remove")
    for entry, reason in failed:
        print(f"{entry.kind}/{entry.name} was not removed: {reason}", file=sys.stderr)
