"""The commands of the command line, one module each."""

from pathlib import Path


def command_names() -> list[str]:
    """Return the names of the commands: the modules of this package that do not start with an underscore."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))
