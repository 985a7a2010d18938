"""The verbs of the command line, one a module."""

from pathlib import Path


def verbs() -> list[str]:
    """Return the names of the verbs: those of the modules here that do not begin with an underscore."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))
