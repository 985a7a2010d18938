"""Turn off usage reports of the libraries that hforch imports, for this process only.

The user's own settings stay as they are: nothing is written, and environment variables that are set are respected.
"""

from __future__ import annotations

import os
import sys

INTEL = "openvino_telemetry"


def opt_out() -> None:
    """Stop OpenVINO and NNCF from reporting usage to Google Analytics.

    They report by default, unless openvino_telemetry is not installed. Importing it fails from here on, which both
    libraries handle; if the host program has imported it already, it gets no consent instead.
    """
    main = sys.modules.get(f"{INTEL}.main")
    if main is None:
        sys.modules.setdefault(INTEL, None)  # type: ignore[arg-type]
    else:
        declined = main.ConsentCheckResult.DECLINED
        main.OptInChecker.check = lambda *_, **__: declined


def set_environment() -> None:
    """Set environment variables for this process and its children, for libraries that read their settings there."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
