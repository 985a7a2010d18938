"""A look at the primary config and the options it names, because a broken file stops Hydra at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hforch.config import yaml_nodes
from hforch.config.nearest import did_you_mean, nearest
from hforch.config.places import Places
from hforch.config.recipes import ENTRIES_BEFORE
from hforch.config.sources import config_file
from hforch.errors import Mistake


def primary_mistakes(places: Places, loader: Any) -> list[Mistake]:
    """What is wrong with the primary config and with the defaults lists that lead from it."""
    if not loader.repository.config_exists(places.config_name):
        return [_no_such_config(places, loader)]
    return list(_defaults_mistakes(places, loader, places.config_name, seen=set()))


def _no_such_config(places: Places, loader: Any) -> Mistake:
    names = [name for name in loader.get_group_options("") if not name.startswith("_dummy")]
    folders = ", ".join(places.show(folder) or "." for folder in (places.main, *places.extra))
    hint = did_you_mean(places.config_name, names, "--config-name {}")
    return Mistake("", f"there is no config {places.config_name}.yaml in {folders}", hint=hint)


def primary_file(places: Places, loader: Any) -> str | None:
    return _file(places, loader, places.config_name)


def yaml_mistake(places: Places, loader: Any, name: str) -> Mistake | None:
    """A file that is no YAML, or no mapping, as a mistake with its line."""
    import yaml

    path = name.replace("/", ".").rpartition(".")[0]
    try:
        loaded = loader.repository.load_config(name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{places.show(Path(mark.name).resolve())}:{mark.line + 1}" if mark else _file(places, loader, name)
        return Mistake(path, f"the file of {name} is broken YAML: {error.problem or error.context}", where)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        return Mistake(path, f"the file of {name} cannot be read: {error}", _file(places, loader, name))
    except ValueError as error:  # a defaults list of a wrong form
        return Mistake(path, str(error), _file(places, loader, name))
    if loaded is not None and not hasattr(loaded.config, "keys"):
        return Mistake(path, f"the file of {name} must hold a mapping", _file(places, loader, name))
    return None


def _file(places: Places, loader: Any, name: str) -> str | None:
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    file = config_file(folders, name)
    return places.show(file) if file else None


def _defaults_mistakes(places: Places, loader: Any, name: str, seen: set[str]) -> Iterator[Mistake]:
    from hydra.core.default_element import ConfigDefault, GroupDefault

    seen.add(name)
    broken = yaml_mistake(places, loader, name)
    if broken is not None:
        yield broken
        return
    loaded = loader.repository.load_config(name)
    folder = name.rpartition("/")[0]
    for number, entry in enumerate(loaded.defaults_list or [] if loaded else []):
        entry.update_parent(folder, folder.replace("/", "."))
        where = _line(places, loader, name, number)
        if isinstance(entry, GroupDefault) and isinstance(entry.value, str) and "${" not in entry.value:
            mistake = _entry_mistake(loader, entry, where)
            if mistake is not None:
                yield mistake
            elif entry.value != "???" and loader.repository.config_exists(entry.get_config_path()):
                broken = yaml_mistake(places, loader, entry.get_config_path())
                if broken is not None:
                    yield broken
        elif isinstance(entry, ConfigDefault) and not entry.is_self():
            path = entry.get_config_path()
            if path not in seen and loader.repository.config_exists(path):
                yield from _defaults_mistakes(places, loader, path, seen)
            elif path not in seen and not entry.optional:
                options = loader.get_group_options(path.rpartition("/")[0])
                yield Mistake("", f"there is no config {path}", where, did_you_mean(path, options))


def _entry_mistake(loader: Any, entry: Any, where: str | None) -> Mistake | None:
    repo, group, option = loader.repository, entry.get_group_path(), entry.value
    if not repo.group_exists(group):
        if entry.is_optional():
            return None
        known = [*repo.get_group_options("", None), "hydra/launcher", "hydra/sweeper"]
        return Mistake(group, "there is no such group", where, did_you_mean(group, known))
    if option != "???" and not repo.config_exists(entry.get_config_path()) and not entry.is_optional():
        options = repo.get_group_options(group)
        problem = f"'{option}' is not one of its options: {', '.join(options)}"
        found = nearest(option, options)
        return Mistake(group, problem, where, f"did you mean {group}: {found}?" if found else None)
    return None


def _line(places: Places, loader: Any, name: str, number: int) -> str | None:
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    file = config_file(folders, name)
    if file is None:
        return None
    recipe = places.written_as.get(file)
    if recipe is not None:
        number -= ENTRIES_BEFORE
    found = yaml_nodes.find(recipe or file, ("defaults", str(number)))
    return f"{places.show(file)}:{found.line}"


def hidden_files(places: Places, choices: Mapping[str, str]) -> list[Mistake]:
    """A user's files that were meant, but that another folder's file of the same name comes before."""
    names = {"": places.config_name, **{group: f"{group}/{option}" for group, option in choices.items()}}
    mistakes = []
    for group, name in names.items():
        file = config_file([places.main], name)
        for folder in places.extra if file else ():
            other = config_file([folder], name)
            if file and other and file.read_bytes() != other.read_bytes():
                mistakes.append(
                    Mistake(
                        group,
                        f"{places.show(file)} and {places.show(other)} have one name, and the first would be taken",
                        places.show(other),
                        f"give {places.show(other)} a name of its own",
                    )
                )
    return mistakes
