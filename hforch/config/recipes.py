"""Recipes: files to share, read as data before Hydra sees them, so that running one runs no code of its author.

Allowed are: `name` and `description`; `defaults`, a list of options of our groups and of `override hydra/launcher`;
values under the groups; `hydra.sweeper.params`, harmless settings under `hydra.launcher`; `exclude`, combinations that
are left out of the sweep; and `frozen`, what `hforch freeze` tells of a run, which Hydra never sees. All else is
refused, and so are two things among our own keys: trusting a repository's code, and OpenVINO properties that name a
file or a folder to write. Whoever runs the recipe can give both on the command line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.origins import config_file
from hforch.config.hydra_adapter.nodes import yaml_loader
from hforch.config.keys import groups
from hforch.config.recipe_check import LAUNCHER, TEXTS, mistakes_in
from hforch.config.yaml_nodes import read_yaml
from hforch.errors import ConfigError, Mistake

CONFIG_NAME = "hforch_recipe"
ENTRIES_BEFORE = 2  # in the defaults list made of a recipe's: the config it builds on, and _self_


@contextmanager
def opened(recipe: Path | None, config_dirs: ConfigDirs, overrides: Sequence[str] = ()) -> Iterator[ConfigDirs]:
    """The places with a recipe as the primary config, on top of the one they name; unchanged without a recipe.

    Args:
        overrides: what comes on top of the recipe; where they choose an option of a group, the recipe's values under
            that group, written for another one, do not hold.

    Raises:
        ConfigError: the recipe holds what no recipe may.
    """
    if recipe is None:
        yield config_dirs
        return
    if config_file([config_dirs.main, *config_dirs.extra], config_dirs.config_name) is None:
        problem = f"there is no config {config_dirs.config_name} for the recipe to build on"
        raise ConfigError([Mistake("", problem, f"--config-name {config_dirs.config_name}", "leave the flag out")])
    data = read_recipe(recipe, config_dirs)
    notes = tuple(_replaced(data, overrides))
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
            notes=notes,
            written_as={**config_dirs.written_as, file: recipe.resolve()},
        )


def _replaced(data: dict[str, Any], overrides: Sequence[str]) -> Iterator[str]:
    """Take away the recipe's values under groups of which an option is chosen; says which."""
    for text in overrides:
        group, sign, option = text.lstrip("+").partition("=")
        if sign and group in groups() and not option.lstrip().startswith("{") and (values := data.pop(group, None)):
            yield f"{text} takes the place of what the recipe says of {group}: {', '.join(values)}"


def _as_config(data: dict[str, Any], base: str) -> str:
    """A primary config for Hydra that says what the recipe says and nothing more."""
    from omegaconf import OmegaConf

    options = [next(iter(entry.items())) for entry in data.get("defaults") or []]
    overrides = [{key if key == LAUNCHER else f"override {key}": option} for key, option in options]
    config = {
        key: value
        for key, value in data.items()
        if key not in (*TEXTS, "defaults", "exclude", "frozen") and value is not None
    }
    if (config.get("hydra") or {}).get("sweeper", {}).get("params"):
        config["hydra"] = {**config["hydra"], "mode": "MULTIRUN"}
    return OmegaConf.to_yaml(OmegaConf.create({"defaults": [base, "_self_", *overrides], **config}))


def read_recipe(file: Path, config_dirs: ConfigDirs) -> dict[str, Any]:
    """The data of a recipe file.

    Raises:
        ConfigError: with every mistake and its line.
    """
    shown = config_dirs.show(file.resolve())
    with _as_mistakes(shown):
        text = read_yaml(file)
        if found := mistakes_in(text, shown):
            raise ConfigError(sorted(found, key=lambda mistake: mistake.path))
        return yaml.load(text, Loader=yaml_loader()) or {}


@contextmanager
def _as_mistakes(shown: str) -> Iterator[None]:
    """Turn what readers of YAML raise into mistakes of the recipe."""
    from hforch.config.diagnose.library_errors import REFUSALS, explain

    try:
        yield
    except REFUSALS as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{shown}:{mark.line + 1}" if mark else shown
        problem = "broken YAML" if isinstance(error, yaml.YAMLError) else "the recipe cannot be read"
        raise ConfigError([Mistake("", f"{problem}: {explain(error)}", where)]) from error
