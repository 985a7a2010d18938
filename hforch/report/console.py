"""A rich console that prints external text safely, without markup, control characters or credentials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from hforch.utils.redaction import without_known
from hforch.utils.sanitize import for_terminal
from hforch.utils.std_streams import styled


class SafeConsole(Console):
    """A console that escapes control characters in text, but not the terminal codes of rich.

    Credentials are redacted before lines are wrapped, as wrapping could split them.
    """

    def render_str(self, text: str, **styles: Any) -> Text:
        return super().render_str(without_known(text), **styles)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else Segment(for_terminal(segment.text), segment.style) for segment in buffer
        )


def console(stream: Any, width: int | None = None) -> SafeConsole:
    """Return a console with markup, emoji codes and highlighting disabled."""
    return SafeConsole(file=styled(stream), width=width, highlight=False, markup=False, emoji=False)
