"""Progress bars for Python programs and notebooks: tqdm's, which fits both."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hforch.utils.notebook import in_notebook
from hforch.utils.progress import Advance, Progress, Silent

WITHOUT_TOTAL = "{desc} [{elapsed}]"


def new_bar(**arguments: Any) -> Any:
    """Return a tqdm bar that disappears when it is closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm recommends ipywidgets, without which it prints a bar of text
        from tqdm.auto import tqdm

        return tqdm(leave=False, **arguments)


class Bars:
    """A Progress that shows a bar for each stage."""

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        form = {"bar_format": WITHOUT_TOTAL} if total is None else {}
        unit = {"unit": "B", "unit_scale": True} if name == "download" else {}
        with new_bar(desc=f"{name}: {detail}", total=total, **form, **unit) as bar:
            yield bar.update

    def note(self, text: str) -> None:
        return None


def progress_of(requested: Progress | bool | None) -> Progress:
    """Return the Progress that a caller requested.

    Args:
        requested: a Progress, or whether to show bars; None: only in notebooks.
    """
    if isinstance(requested, bool) or requested is None:
        return Bars() if (in_notebook() if requested is None else requested) else Silent()
    return requested
