"""Resolve the relative paths in a recipe against the recipe's directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Any

from hforch.config import model_names
from hforch.config.home_paths import with_home
from hforch.config.hydra_adapter.parsing import choices_of, quoted
from hforch.config.keys import path_keys
from hforch.config.path_settings import files_in, with_files
from hforch.utils.paths import expanded

MODEL = "model"  # the group whose option may be the path of a model
PLAIN = re.compile(r"[\w./-]+")


@dataclass
class RecipePaths:
    """The paths of one recipe.

    Attributes:
        folder: the directory of the recipe.
        is_model: returns whether a name is an option of `model`, which takes precedence over a path.
        given: the paths as the recipe states them, by their resolved form.
    """

    folder: Path
    is_model: Callable[[str], bool] = lambda name: False
    given: dict[str, str] = field(default_factory=dict)

    def resolve(self, data: dict[str, Any]) -> None:
        """Replace the relative paths in the data of a recipe."""
        self._resolve_settings(data)
        for selected in (*(data.get("defaults") or []), *(data.get("jobs") or []), *(data.get("exclude") or [])):
            for key in set(selected) & {MODEL}:
                named = selected[key]
                selected[key] = [self.model(one) for one in named] if isinstance(named, list) else self.model(named)
        for job in data.get("jobs") or []:
            self._resolve_settings(job)
            for key in set(job) & path_keys():
                job[key] = self.resolved(job[key])
        params = ((data.get("hydra") or {}).get("sweeper") or {}).get("params")
        if isinstance(params, dict):
            for key, value in params.items():
                if isinstance(value, str):
                    params[key] = self._swept(str(key).lstrip("+"), value)
        for rule in data.get("exclude") or []:
            for key in set(rule) & path_keys():
                value = rule[key]
                rule[key] = [self.resolved(one) for one in value] if isinstance(value, list) else self.resolved(value)

    def resolved(self, path: Any) -> Any:
        """Return a path relative to the current directory if it is inside it, else absolute; other values unchanged.

        Unchanged are also absolute paths, paths with `~`, mandatory values, interpolations and standard input.
        """
        if not isinstance(path, str) or not path or path in ("-", "???") or path.startswith(("~", "/", "${")):
            return path
        whole = Path(normpath(self.folder / path))
        inside = whole.is_relative_to(Path.cwd())
        found = str(whole.relative_to(Path.cwd()) if inside else whole)
        self.given[found] = path
        return found

    def model(self, name: Any) -> Any:
        """Return the name of a model with its path resolved, if it is a path; other values unchanged.

        The result starts with `./` or `/`, or ends with .gguf, so it is never taken for an option or a name on the Hub.
        """
        if not isinstance(name, str) or name.startswith(("~", "/", "${")) or self.is_model(name):
            return name
        is_path = model_names.is_path(name) or name.endswith(model_names.GGUF)
        if not is_path and not model_names.exists(self.folder / name):
            return name
        found = str(self.resolved(name))
        found = found if found.startswith("/") or found.endswith(model_names.GGUF) else f"./{found}"
        self.given[found] = name
        return found

    def _resolve_settings(self, data: dict[str, Any]) -> None:
        """Replace the relative paths in mappings of groups."""
        for key in path_keys():
            group, _, rest = key.partition(".")
            if isinstance(data.get(group), dict):
                data[group] = _replaced(data[group], rest.split("."), self.resolved)
        self._resolve_checks(data.get("checks"))

    def _resolve_checks(self, checks: Any) -> None:
        items = checks.get("items") if isinstance(checks, dict) else None
        if isinstance(items, list):
            checks["items"] = [with_files(item, self.resolved) for item in items]

    def _swept(self, key: str, value: str) -> str:
        """Return the values of a sweep parameter with paths resolved; unchanged if it is not a list of paths."""
        resolved = self.model if key == MODEL else self.resolved if key in path_keys() else None
        paths = choices_of(with_home(f"{key}={value}")) if resolved else None
        if resolved is None or paths is None:
            return value
        names = [str(resolved(path)) for path in paths]
        return ",".join(name if key == MODEL and PLAIN.fullmatch(name) else quoted(name) for name in names)


def described(job: Mapping[str, Any], given: Mapping[str, str], hidden: Iterator[str]) -> dict[str, dict[str, str]]:
    """Return the paths in a job as they were given and as they are resolved, by config path.

    Args:
        given: the paths as a recipe states them, by their values in the job.
        hidden: the config paths whose values come from the environment.
    """
    unseen = set(hidden)
    return {
        at: {"given": given.get(path, path), "resolved": str(expanded(path).absolute())}
        for at, path in _paths_in(job)
        if at not in unseen
    }


def _paths_in(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the config paths and the values of all paths in a job."""
    for key in sorted(path_keys()):
        value: Any = job
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value != "-":
            yield key, value
    for number, item in enumerate((job.get("checks") or {}).get("items") or []):
        yield from ((f"checks.items.{number}.{key}", file) for key, file in files_in(item))


def _replaced(tree: dict[str, Any], steps: list[str], change: Callable[[Any], Any]) -> dict[str, Any]:
    first, *rest = steps
    if first not in tree:
        return tree
    value = tree[first]
    if rest:
        return {**tree, first: _replaced(value, rest, change)} if isinstance(value, dict) else tree
    return {**tree, first: change(value)}
