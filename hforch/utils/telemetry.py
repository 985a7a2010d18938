"""Disable the telemetry of libraries that hforch imports, in this process only.

The user's settings stay unchanged: nothing is written to disk, and existing environment variables are respected.
"""

from __future__ import annotations

import os
import sys

INTEL = "openvino_telemetry"


def opt_out() -> None:
    """Stop OpenVINO and NNCF from sending telemetry to Google Analytics.

    They send it by default if openvino_telemetry is installed. Importing that package fails from now on, which both
    libraries handle; if it is already imported, it is set to "consent declined" instead.
    """
    main = sys.modules.get(f"{INTEL}.main")
    if main is None:
        sys.modules.setdefault(INTEL, None)  # type: ignore[arg-type]
    else:
        declined = main.ConsentCheckResult.DECLINED
        main.OptInChecker.check = lambda *_, **__: declined


def set_environment() -> None:
    """Set environment variables for this process and its children, for libraries that read their settings from them."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
