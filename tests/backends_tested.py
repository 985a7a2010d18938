"""Parameters for tests of all backends that load weights, pytorch first."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.backends.registry import BACKENDS as ALL
from hforch.config.compose import job_from_overrides

BACKENDS = sorted(
    (name for name in ALL if capabilities(job_from_overrides([f"backend={name}"])).needs.weights is not None),
    key=lambda name: (name != "pytorch", name),
)
EXACT = ("precision=fp32", "ov_config=accuracy")
"""Settings with which an output does not depend on the other inputs in its batch."""
