"""All sources of weights, found in the modules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hforch.config import models
from hforch.config.models.base import ModelSource
from hforch.utils.entries import load_entry, names_of
from hforch.utils.strict_model import union_of

SOURCES: Mapping[str, type[ModelSource]] = {name: load_entry(models, name, "SOURCE") for name in names_of(models)}
"""The class of each source, by name."""

SHAPES = {pattern: shape for source in SOURCES.values() for pattern, shape in source.shapes.items()}
"""Descriptions of the patterns, for messages."""

if TYPE_CHECKING:
    AnySource = ModelSource
else:
    AnySource = union_of(tuple(SOURCES.values()), "source")
