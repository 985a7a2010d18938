"""The commands of the command line, one per module."""

from pathlib import Path


def verbs() -> list[str]:
    """Return the names of the commands: the modules here whose names do not start with an underscore."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))
