"""A look at a config file and those that its defaults list leads to, because Hydra stops at the first broken one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hforch.config import yaml_nodes
from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.origins import config_file
from hforch.config.diagnose.suggestions import did_you_mean, nearest
from hforch.config.hydra_adapter.nodes import node_of
from hforch.config.hydra_adapter.parsing import is_group_default
from hforch.config.keys import groups
from hforch.config.recipes import ENTRIES_BEFORE
from hforch.config.shorthand import allowed
from hforch.errors import Mistake


def file_mistakes(
    config_dirs: ConfigDirs, loader: Any, name: str, path: str = "", above: tuple[str, ...] = ()
) -> Iterator[Mistake]:
    """What is wrong with a file and with its defaults list, and with the files that this leads to.

    Args:
        name: the file's, as Hydra calls it, such as `model/gpt2`.
        path: the group whose option it is; empty for a primary config.
        above: the files whose defaults lists led here.
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
        if _leads_nowhere_yet(entry):
            continue
        about = path or (entry.get_group_path() if hasattr(entry, "get_group_path") else "")
        target = entry.get_config_path()
        where = _line(config_dirs, loader, name, number)
        if target in (*above, name):
            circle = " -> ".join((*above, name, target))
            yield Mistake(about, f"the defaults lists lead round in a circle: {circle}", where, "take one out")
        elif loader.repository.config_exists(target):
            yield from file_mistakes(config_dirs, loader, target, about, (*above, name))
        elif not entry.is_optional():
            yield _absent(loader, entry, path, where)


def _lists_for_groups(config_dirs: ConfigDirs, loader: Any, name: str, config: Any) -> Iterator[Mistake]:
    """Groups to which a primary config gives a list, which cannot be merged with the mapping that they are."""
    from omegaconf import ListConfig

    file = _file(config_dirs, loader, name)
    for group in groups():
        if isinstance(node_of(config, group), ListConfig):
            line = f":{yaml_nodes.find(file, (group,)).line}" if file else ""
            hint = "options are chosen in the defaults list"
            problem = "must be a mapping of the group's keys; it is a list"
            yield Mistake(group, problem, f"{show_file(config_dirs, loader, name)}{line}", hint)


def unreadable(config_dirs: ConfigDirs, loader: Any, name: str, path: str) -> Mistake | None:
    """A file that is no YAML, or no mapping, as a mistake with its line."""
    import yaml
    from omegaconf.errors import OmegaConfBaseException

    from hforch.config.diagnose.library_errors import REFUSALS, explain

    shown = show_file(config_dirs, loader, name)
    try:
        loaded = loader.repository.load_config(name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown}:{mark.line + 1}" if mark else shown
        return Mistake(path, f"the file of {name} is broken YAML: {explain(error)}", where)
    except OmegaConfBaseException as error:
        keys = tuple(re.findall(r"[^.\[\]]+", str(error.full_key or "")))
        file = _file(config_dirs, loader, name)
        where = f"{shown}:{yaml_nodes.find(file, keys).line}" if file else shown
        return Mistake(".".join(filter(None, (path, *keys))), f"cannot be read: {explain(error)}", where)
    except REFUSALS as error:
        return Mistake(path, f"the file of {name} cannot be read: {explain(error)}", shown)
    if loaded is not None and not hasattr(loaded.config, "keys"):
        return Mistake(path, f"the file of {name} must hold a mapping", shown)
    return None


def show_file(config_dirs: ConfigDirs, loader: Any, name: str) -> str | None:
    file = _file(config_dirs, loader, name)
    return config_dirs.show(file) if file else None


def _file(config_dirs: ConfigDirs, loader: Any, name: str) -> Path | None:
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    return config_file(folders, name)


def _leads_nowhere_yet(entry: Any) -> bool:
    """An entry that stands for the file itself, or whose option is not chosen, or not here."""
    if is_group_default(entry):
        return not isinstance(entry.value, str) or "${" in entry.value or entry.value == "???"
    return bool(entry.is_self())


def _absent(loader: Any, entry: Any, path: str, where: str | None) -> Mistake:
    """An entry of a defaults list that names what is not there."""
    repo, target = loader.repository, entry.get_config_path()
    if not is_group_default(entry):
        options = loader.get_group_options(target.rpartition("/")[0])
        problem = f"its defaults list names {target}, which is not there" if path else f"there is no config {target}"
        return Mistake(path, problem, where, did_you_mean(target.rpartition("/")[2], options))
    group, option = entry.get_group_path(), entry.value
    if not repo.group_exists(group):
        known = [*repo.get_group_options("", None), "hydra/launcher", "hydra/sweeper"]
        problem = f"its defaults list names the group {group}, which is not there" if path else "there is no such group"
        return Mistake(path or group, problem, where, did_you_mean(group, known))
    options = repo.get_group_options(group)
    problem = f"'{option}' is not one of {'its' if not path else 'the'} options{f' of {group}' if path else ''}: "
    found = nearest(option, options)
    hint = f"did you mean {group}: {found}?" if found else None
    return Mistake(path or group, problem + allowed(group, options), where, hint)


def _line(config_dirs: ConfigDirs, loader: Any, name: str, number: int) -> str | None:
    """The place of an entry of a file's defaults list."""
    file = _file(config_dirs, loader, name)
    if file is None:
        return None
    recipe = config_dirs.written_as.get(file)
    if recipe is not None:
        number -= ENTRIES_BEFORE
    found = yaml_nodes.find(recipe or file, ("defaults", str(number)))
    return f"{config_dirs.show(file)}:{found.line}"
