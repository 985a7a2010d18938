"""Parameters for tests of all backends."""

from __future__ import annotations

BACKENDS = ["pytorch", "openvino", "openvino_genai"]
EXACT = ("precision=fp32", "ov_config=accuracy")
"""Settings with which an output does not depend on the other inputs in its batch."""
