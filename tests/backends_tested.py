"""What tests of all backends run over: those that load weights, pytorch first."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.backends.registry import BACKENDS as ALL
from hforch.config.compose import job_from_overrides

BACKENDS = sorted(
    (name for name in ALL if capabilities(job_from_overrides([f"backend={name}"])).needs.weights is not None),
    key=lambda name: (name != "pytorch", name),
)
EXACT = ("precision=fp32", "ov_config=accuracy")
"""Settings under which a text does not depend on what else is in its batch."""
