"""All kinds of checks: the modules of `hforch/checks/kinds/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hforch.checks import kinds
from hforch.checks.base import Check
from hforch.utils.entries import load_entry, names_of
from hforch.utils.strict_model import union_of

KINDS: Mapping[str, type[Check]] = {name: load_entry(kinds, name, "CHECK") for name in names_of(kinds)}
"""The Check subclass of each kind, by name."""

if TYPE_CHECKING:
    AnyCheck = Check
else:
    AnyCheck = union_of(tuple(KINDS.values()), "kind")
