"""Check a config file and the files in its defaults list; Hydra itself stops at the first invalid one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hforch.config import yaml_nodes
from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.option_hints import did_you_mean_option
from hforch.config.diagnose.origins import config_file
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.hydra_adapter.nodes import node_of
from hforch.config.hydra_adapter.parsing import is_group_default
from hforch.config.keys import groups
from hforch.config.recipes import ENTRIES_BEFORE
from hforch.config.shorthand import allowed
from hforch.errors import Mistake
from hforch.launchers.registry import not_installed

FAILED = re.compile(r"In '(?P<name>[^']+)': \w+ raised while composing config:$")
KEY = "full_key: "
UNKNOWN_KEY = re.compile(r"Key '.*' not in '\w+'")


def file_mistakes(
    config_dirs: ConfigDirs, loader: Any, name: str, path: str = "", above: tuple[str, ...] = ()
) -> Iterator[Mistake]:
    """Yield the errors in a config file and its defaults list, and in the files that this list names.

    Args:
        name: Hydra's name of the config, such as `model/gpt2`.
        path: the group of the option; empty for a primary config.
        above: the configs whose defaults lists led to this config.
    """
    broken = unreadable(config_dirs, loader, name, path)
    if broken is not None:
        yield broken
        return
    loaded = loader.repository.load_config(name)
    if not path and loaded is not None:
        yield from _lists_for_groups(config_dirs, loader, name, loaded.config)
    folder = name.rpartition("/")[0]
    for number, entry in enumerate(loaded.defaults_list or [] if loaded else []):
        entry.update_parent(folder, folder.replace("/", "."))
        if _has_no_target(entry):
            continue
        about = path or (entry.get_group_path() if hasattr(entry, "get_group_path") else "")
        target = entry.get_config_path()
        where = _line(config_dirs, loader, name, number)
        if target in (*above, name):
            circle = " -> ".join((*above, name, target))
            yield Mistake(about, f"circular defaults lists: {circle}", where, "remove one of the entries")
        elif loader.repository.config_exists(target):
            yield from file_mistakes(config_dirs, loader, target, about, (*above, name))
        elif not entry.is_optional():
            yield _absent(loader, entry, path, where)


def _lists_for_groups(config_dirs: ConfigDirs, loader: Any, name: str, config: Any) -> Iterator[Mistake]:
    """Yield an error for each group that a primary config sets to a list, which cannot be merged with a mapping."""
    from omegaconf import ListConfig

    file = _file(config_dirs, loader, name)
    for group in groups():
        if isinstance(node_of(config, group), ListConfig):
            line = f":{yaml_nodes.find(file, (group,)).line}" if file else ""
            hint = "set options in the defaults list"
            problem = "must be a mapping of the group's keys; got a list"
            yield Mistake(group, problem, f"{show_file(config_dirs, loader, name)}{line}", hint)


def unreadable(config_dirs: ConfigDirs, loader: Any, name: str, path: str) -> Mistake | None:
    """Return an error with its line if a config file is not valid YAML or not a mapping, else None."""
    import yaml
    from omegaconf.errors import OmegaConfBaseException

    from hforch.config.diagnose.library_errors import REFUSALS, explain

    shown = show_file(config_dirs, loader, name)
    try:
        loaded = loader.repository.load_config(name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown}:{mark.line + 1}" if mark else shown
        return Mistake(path, f"invalid YAML in {name}: {explain(error)}", where)
    except OmegaConfBaseException as error:
        keys = tuple(re.findall(r"[^.\[\]]+", str(error.full_key or "")))
        file = _file(config_dirs, loader, name)
        where = f"{shown}:{yaml_nodes.find(file, keys).line}" if file else shown
        return Mistake(".".join(filter(None, (path, *keys))), f"cannot be read: {explain(error)}", where)
    except REFUSALS as error:
        return Mistake(path, f"cannot read {name}: {explain(error)}", shown)
    if loaded is not None and not hasattr(loaded.config, "keys"):
        return Mistake(path, f"{name} must contain a YAML mapping", shown)
    return None


def composition_mistake(error: Exception, config_dirs: ConfigDirs, loader: Any, path: str, where: str) -> Mistake:
    """Return Hydra's error while merging files as an error in the file and the key that Hydra names, if any.

    Args:
        path: the config path if Hydra names none.
        where: the place if Hydra names no file; an override that selects an option is appended to the name of its file.
    """
    from hforch.config.diagnose.library_errors import explain

    said = [line.strip() for line in str(error).splitlines()]
    failed = FAILED.match(said[0]) if len(said) > 1 else None
    if failed is None:
        return Mistake(path, explain(error), where)
    key = next((line.removeprefix(KEY) for line in said if line.startswith(KEY)), "")
    problem = "unknown key" if UNKNOWN_KEY.match(said[1]) else said[1].rstrip(".")
    file = _file(config_dirs, loader, failed["name"])
    if file is None:
        return Mistake(key or path, problem, where)
    written = config_dirs.written_as.get(file, file)
    segments = tuple(re.findall(r"[^.\[\]]+", key))
    group = tuple(filter(None, failed["name"].rpartition("/")[0].split("/")))
    inner = segments[len(group) :] if segments[: len(group)] == group else segments
    line = max((yaml_nodes.find(written, one) for one in (segments, inner)), key=lambda found: found.depth).line
    _, selected, override = where.partition(", selected by ")
    at = f":{line}" if key else ""
    return Mistake(key or path, problem, f"{config_dirs.show(file)}{at}{selected}{override}")


def show_file(config_dirs: ConfigDirs, loader: Any, name: str) -> str | None:
    file = _file(config_dirs, loader, name)
    return config_dirs.show(file) if file else None


def _file(config_dirs: ConfigDirs, loader: Any, name: str) -> Path | None:
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    return config_file(folders, name)


def _has_no_target(entry: Any) -> bool:
    """Return whether an entry is `_self_` or does not name an option (`???`, null or an interpolation)."""
    if is_group_default(entry):
        return not isinstance(entry.value, str) or "${" in entry.value or entry.value == "???"
    return bool(entry.is_self())


def _absent(loader: Any, entry: Any, path: str, where: str | None) -> Mistake:
    """Return the error for an entry of a defaults list that names a missing config, group or option."""
    repo, target = loader.repository, entry.get_config_path()
    if not is_group_default(entry):
        options = loader.get_group_options(target.rpartition("/")[0])
        problem = f"its defaults list names {target}, which does not exist" if path else f"config not found: {target}"
        return Mistake(path, problem, where, did_you_mean(target.rpartition("/")[2], options))
    group, option = entry.get_group_path(), entry.value
    if not repo.group_exists(group):
        known = [*repo.get_group_options("", None), "hydra/launcher", "hydra/sweeper"]
        problem = f"its defaults list names the group {group}, which does not exist" if path else "unknown group"
        return Mistake(path or group, problem, where, did_you_mean(group, known))
    options = repo.get_group_options(group)
    if group == "hydra/launcher" and (absent := not_installed(option)) is not None:
        return Mistake(path or group, absent[0], where, absent[1])
    problem = f"unknown option '{option}'{f' of {group}' if path else ''}; available: "
    hint = did_you_mean_option(group, option, options, f"{group}: {{}}")
    return Mistake(path or group, problem + allowed(group, options), where, hint)


def _line(config_dirs: ConfigDirs, loader: Any, name: str, number: int) -> str | None:
    """Return `file:line` of an entry in a config's defaults list; None if the config is not a file."""
    file = _file(config_dirs, loader, name)
    if file is None:
        return None
    recipe = config_dirs.written_as.get(file)
    if recipe is not None:
        number -= ENTRIES_BEFORE
    found = yaml_nodes.find(recipe or file, ("defaults", str(number)))
    return f"{config_dirs.show(file)}:{found.line}"
