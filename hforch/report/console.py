"""rich's console, on which text of others is only text."""

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
    """A console that makes the text of each segment visible; what rich itself writes to steer a terminal is kept.

    Credentials are taken out before lines are wrapped, which could break them in two.
    """

    def render_str(self, text: str, **styles: Any) -> Text:
        return super().render_str(without_known(text), **styles)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else Segment(for_terminal(segment.text), segment.style) for segment in buffer
        )


def console(stream: Any, width: int | None = None) -> SafeConsole:
    """A console without markup, emoji names and highlighting."""
    return SafeConsole(file=styled(stream), width=width, highlight=False, markup=False, emoji=False)
