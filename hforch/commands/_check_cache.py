"""hforch doctor --check-cache: verify the contents of all cache entries."""

from __future__ import annotations

import json

from hforch.commands._doctor_report import describe_entry
from hforch.errors import EXIT_FAILED, EXIT_OK, shown
from hforch.models.cache import check, entries


def check_cache(as_json: bool) -> int:
    """Read all cache entries and print the damaged ones.

    Returns:
        the exit code: 1 if an entry is damaged.
    """
    found = [entry for entry in entries() if not entry.path.name.startswith(".")]  # skip entries that are being created
    wrong = [(entry, reason) for entry in found if (reason := check(entry))]
    if as_json:
        told = [describe_entry(entry) | {"reason": reason} for entry, reason in wrong]
        print(json.dumps({"checked": len(found), "damaged": told}, indent=2))
        return EXIT_FAILED if wrong else EXIT_OK
    for entry, reason in wrong:
        print(f"{entry.kind}/{entry.name} is damaged: {shown(reason)}")
    entries_ = f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"
    if wrong:
        are = "is damaged; it is" if len(wrong) == 1 else "are damaged; they are"
        print(f"{len(wrong)} of {entries_} {are} recreated when needed (to delete: hforch doctor --clean incomplete)")
    else:
        print(f"{entries_} checked, none damaged")
    return EXIT_FAILED if wrong else EXIT_OK
