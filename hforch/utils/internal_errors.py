"""Describe unexpected exceptions to users."""

from __future__ import annotations

from hforch.utils.redaction import redacted_line
from hforch.utils.system_limits import limit_reached
from hforch.utils.tested_versions import missing_package


def internal_error(error: Exception) -> str:
    """Return the message for an exception that is not an HforchError: the limit or the missing package
    that caused it, or its type and text.

    Credentials are removed.
    """
    return (
        limit_reached(error)
        or missing_package(error)
        or redacted_line(
            f"internal error: {type(error).__name__}: {error}\n    set HYDRA_FULL_ERROR=1 to see the traceback"
        )
    )
