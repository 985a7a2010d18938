"""What tests of all backends run over."""

from __future__ import annotations

BACKENDS = ["pytorch", "openvino", "openvino_genai"]
EXACT = ("precision=fp32", "ov_config=accuracy")
"""Settings under which a text does not depend on what else is in its batch."""
