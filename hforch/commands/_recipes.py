"""Find a recipe: a file, or one of hforch's recipes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hforch.config.config_dirs import recipes_dir
from hforch.errors import ConfigError, Mistake

SUFFIXES = (".yaml", ".yml")
FOLDER = Path("recipes")


def found_recipe(word: str) -> Path:
    """Return the recipe that an argument of `hforch run` names.

    If no such file exists, `NAME` also stands for recipes/NAME.yaml, and `NAME` and `recipes/NAME.yaml` stand for
    hforch's recipe of that name; a note on stderr states which file is used.

    Raises:
        ConfigError: there is no such recipe.
    """
    file = Path(word)
    if not file.exists():
        for other in _meanings(file):
            if other.is_file():
                is_shipped = other.parent == recipes_dir()
                print(f"note: using {'the recipe of hforch' if is_shipped else 'the recipe'} {other}", file=sys.stderr)
                return other
    return existing(file)


def _meanings(file: Path) -> Iterator[Path]:
    """Yield the files that the name of a missing recipe may stand for."""
    names = [file.name] if file.suffix in SUFFIXES else [f"{file.name}{suffix}" for suffix in SUFFIXES]
    if file.parent == Path():
        yield from (FOLDER / name for name in names)
    if file.parent in (Path(), FOLDER):
        yield from (recipes_dir() / name for name in names)


def shipped_recipes() -> dict[str, str]:
    """Return the names of hforch's recipes, each with its description."""
    import yaml

    from hforch.config.hydra_adapter.nodes import yaml_loader

    found = {}
    for file in sorted(recipes_dir().glob("*.yaml")):
        data = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml_loader())
        found[file.stem] = str(data.get("description") or data.get("name") or "")
    return found


def existing(file: Path) -> Path:
    """Return the file.

    Raises:
        ConfigError: it does not exist; the hint is the closest name.
    """
    if file.is_file():
        return file
    from hforch.config.diagnose.suggestions import nearest
    from hforch.utils.paths import kind_of_file

    folder = file if file.is_dir() else file.parent
    there = [str(other) for other in folder.glob("*.y*ml")] if folder.is_dir() else []
    there = there or [str(other) for other in FOLDER.rglob("*.y*ml")]
    there = there or [str(FOLDER / other.name) for other in recipes_dir().glob("*.yaml")]
    found = nearest(str(file), there) if not file.exists() else None
    known = f"available: {', '.join(sorted(there))}" if there else None
    kind = kind_of_file(file)
    problem = f"{file} is {kind}, not a file" if kind else f"recipe not found: {file}"
    raise ConfigError([Mistake("", problem, hint=f"did you mean {found}?" if found else known)])
