"""Recipes: shareable files, validated as data before Hydra reads them so that they cannot run their author's code.

A recipe may contain: `name` and `description`; `defaults`, a list of options of hforch's groups and of
`override hydra/launcher`; values in the groups; `hydra.sweeper.params`; settings in `hydra.launcher` that are numeric
or that the launcher allows; `jobs`, combinations to run in addition to the sweep; `exclude`, combinations to exclude;
and `frozen`, the run that `hforch freeze` recorded, which is not passed to Hydra. Everything else is rejected,
including two kinds of keys in the groups: trust_remote_code, and OpenVINO properties that name a file or directory to
write. Users can pass both on the command line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.origins import config_file
from hforch.config.hydra_adapter.nodes import yaml_loader
from hforch.config.keys import groups
from hforch.config.project import overridden_options, replaced_values, selected_groups
from hforch.config.recipe_check import LAUNCHER, TEXTS, mistakes_in
from hforch.config.recipe_paths import RecipePaths
from hforch.config.yaml_nodes import read_yaml
from hforch.errors import ConfigError, Mistake

CONFIG_NAME = "hforch_recipe"
ENTRIES_BEFORE = 2  # in the generated defaults list: the base config and _self_


@contextmanager
def opened(recipe: Path | None, config_dirs: ConfigDirs, overrides: Sequence[str] = ()) -> Iterator[ConfigDirs]:
    """Yield the search path with a recipe as the primary config, based on the previous one.

    If an override or the recipe selects an option of a group, the values of the group in the user's primary config do
    not apply, since they belong to another option.

    Args:
        recipe: the recipe, if any.
        overrides: the overrides applied to it; if one selects an option of a group, the recipe's values in that group
            do not apply either.

    Raises:
        ConfigError: the recipe is invalid.
    """
    selected = selected_groups(overrides)
    if recipe is None:
        yield _with_project_values(config_dirs, selected)
        return
    folders = [config_dirs.main, *config_dirs.extra]
    if config_file(folders, config_dirs.config_name) is None:
        problem = f"config not found: {config_dirs.config_name}, which the recipe extends"
        raise ConfigError([Mistake("", problem, f"--config-name {config_dirs.config_name}", "omit the flag")])
    data = read_recipe(recipe, config_dirs)
    notes = tuple(_replaced(data, overrides))
    paths = RecipePaths(recipe.resolve().parent, lambda name: config_file(folders, f"model/{name}") is not None)
    paths.resolve(data)
    config_dirs = _with_project_values(config_dirs, {**_selected_by(data), **selected})
    with _as_mistakes(config_dirs.show(recipe.resolve())):
        config = _as_config(data, config_dirs.config_name)
    with tempfile.TemporaryDirectory(prefix="hforch-recipe-") as folder:
        file = Path(folder).resolve() / f"{CONFIG_NAME}.yaml"
        file.write_text(config, encoding="utf-8")
        yield replace(
            config_dirs,
            extra=(*config_dirs.extra, file.parent),
            config_name=CONFIG_NAME,
            exclude=tuple(data.get("exclude") or ()),
            jobs=tuple(data.get("jobs") or ()),
            notes=(*config_dirs.notes, *notes),
            given_paths=paths.given,
            written_as={**config_dirs.written_as, file: recipe.resolve()},
        )


def _with_project_values(config_dirs: ConfigDirs, selected: Mapping[str, str]) -> ConfigDirs:
    """Return the search path without the primary config's values of the selected groups, with a note on each."""
    notes = (*replaced_values(config_dirs, selected), *overridden_options(config_dirs, selected))
    return replace(config_dirs, replaced=frozenset(selected), notes=(*config_dirs.notes, *notes))


def _selected_by(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the groups of which every job of a recipe selects an option, each with what selects it."""
    options = dict(next(iter(entry.items())) for entry in data.get("defaults") or [])
    params = ((data.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    for job in data.get("jobs") or ():  # a group counts only if all of them select an option
        chosen = {key: value for key, value in job.items() if not isinstance(value, Mapping)}
        params = {key: value for key, value in (params or chosen).items() if key in chosen}
    return {
        group: f"the recipe's {group}={option}" for group, option in {**options, **params}.items() if group in groups()
    }


def _replaced(data: dict[str, Any], overrides: Sequence[str]) -> Iterator[str]:
    """Remove the recipe's values in groups whose option an override selects; yield a note for each group."""
    for group, text in selected_groups(overrides).items():
        if values := data.pop(group, None):
            yield f"{text} replaces the recipe's values of {group}: {', '.join(values)}"


def _as_config(data: dict[str, Any], base: str) -> str:
    """Return a recipe as a primary config for Hydra."""
    from omegaconf import OmegaConf

    options = [next(iter(entry.items())) for entry in data.get("defaults") or []]
    overrides = [{key if key == LAUNCHER else f"override {key}": option} for key, option in options]
    config = {
        key: value
        for key, value in data.items()
        if key not in (*TEXTS, "defaults", "jobs", "exclude", "frozen") and value is not None
    }
    if (config.get("hydra") or {}).get("sweeper", {}).get("params") or data.get("jobs"):
        config["hydra"] = {**(config.get("hydra") or {}), "mode": "MULTIRUN"}
    return OmegaConf.to_yaml(OmegaConf.create({"defaults": [base, "_self_", *overrides], **config}))


def read_recipe(file: Path, config_dirs: ConfigDirs) -> dict[str, Any]:
    """Return the data of a recipe file.

    Raises:
        ConfigError: the recipe is invalid; contains all errors and their lines.
    """
    shown = config_dirs.show(file.resolve())
    with _as_mistakes(shown):
        text = read_yaml(file)
        if found := mistakes_in(text, shown):
            raise ConfigError(sorted(found, key=lambda mistake: mistake.path))
        return yaml.load(text, Loader=yaml_loader()) or {}


@contextmanager
def _as_mistakes(shown: str) -> Iterator[None]:
    """Convert exceptions raised while reading YAML to errors in the recipe."""
    from hforch.config.diagnose.library_errors import REFUSALS, explain

    try:
        yield
    except REFUSALS as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{shown}:{mark.line + 1}" if mark else shown
        problem = "invalid YAML" if isinstance(error, yaml.YAMLError) else "cannot read the recipe"
        raise ConfigError([Mistake("", f"{problem}: {explain(error)}", where)]) from error
