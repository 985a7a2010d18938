"""Generate command lines and config files with errors, and the expected report of each error."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from wrong_files import YamlFile
from wrong_values import Key, as_override, as_yaml, keys, options, right_values

from hforch.config.keys import groups
from hforch.config.options import option

Draw = Callable[[st.SearchStrategy[Any]], Any]
FIRST = "hydra.verbose=false"  # a first word without `=` would be parsed as a command
MINE, PRIMARY, RECIPE = "mine", "my/exp.yaml", "r.yaml"
ONLY_TYPED = re.compile(r"trust_remote_code|^ov_config")  # a recipe with one of these is refused entirely


@dataclass(frozen=True)
class Told:
    """The expected report of one error.

    Attributes:
        kind: the name of the function that created the error.
        path: the config path; empty for the command line as a whole.
        where: the override, or the file.
        line: the config path whose line in the file must be reported, if any.
        hides: errors that may be unreported because of this one: "" (none), those of its "group", or "all".
    """

    kind: str
    path: str
    where: str
    line: str | None = None
    hides: str = ""

    @property
    def group(self) -> str:
        return self.path.partition(".")[0]


@dataclass
class Line:
    """A builder for a command line.

    Attributes:
        primary: the primary file: a user's config or a recipe; empty for the built-in config.
        chosen: the chosen options by group, valid or not.
        taken: config paths that are already in use.
        yaml: the files with wrong values.
        files: the files that are invalid as a whole.
    """

    multirun: bool
    primary: str
    overrides: list[str] = field(default_factory=list)
    chosen: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    yaml: dict[str, YamlFile] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    kind: str = ""

    def tell(self, path: str, where: str, *, line: str | None = None, hides: str = "") -> None:
        self.told.append(Told(self.kind, path, where, line, hides))

    def type(self, path: str, typed: str, *, hides: str = "") -> None:
        """Add an override that is an error."""
        self.overrides.append(typed)
        self.tell(path, typed, hides=hides)

    def is_free(self, path: str) -> bool:
        """Return whether neither the path nor any path above or below it is in use."""
        return not any(f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.") for other in self.taken)

    def free_group(self, draw: Draw) -> str:
        """Return a random group that is not in use, and mark it as used."""
        group: str = draw(st.sampled_from([one for one in groups() if one not in self.chosen and self.is_free(one)]))
        self.taken.add(group)
        return group

    def free_key(self, draw: Draw, wanted: Callable[[Key], bool] = lambda key: True) -> Key:
        key: Key = draw(st.sampled_from([one for one in keys() if wanted(one) and self.is_free(one.path)]))
        self.taken.add(key.path)
        return key

    # ------------------------------------------------------------ choosing options
    def choose(self, group: str, name: str) -> None:
        self.chosen[group] = name
        self.overrides.append(f"{group}={name}")

    def choose_one_with(self, draw: Draw, key: Key) -> None:
        """Choose an option that has the key most of the time, so that its value is validated too."""
        if key.group not in self.chosen and draw(st.integers(0, 3)):
            self.choose(key.group, draw(st.sampled_from(having(key))))

    def options_file(self, draw: Draw, key: Key) -> YamlFile:
        """Return the file of the user's option of a group, which extends a built-in option with the key."""
        if key.group not in self.chosen:
            self.choose(key.group, MINE)
            self.yaml[f"my/{key.group}/{MINE}.yaml"] = YamlFile(key.group, [(draw(st.sampled_from(having(key))), "")])
        return self.yaml[f"my/{key.group}/{MINE}.yaml"]

    def primary_file(self) -> YamlFile:
        begins = [("config", ""), ("_self_", "")] if self.primary == PRIMARY else []
        return self.yaml.setdefault(self.primary, YamlFile("", begins))

    # ------------------------------------------------------------ writing wrong values
    def write(self, draw: Draw, key: Key, value: Any, *, hides: str = "", recipes: bool = True) -> str:
        """Write a wrong value on the command line or to a file, and return `typed` or the name of the file."""
        places = ["typed"]
        if f"my/{key.group}/{MINE}.yaml" in self.yaml or key.group not in self.chosen:
            places.append(f"my/{key.group}/{MINE}.yaml")
        free = PRIMARY not in self.files  # the file may be invalid as a whole
        if (self.primary == PRIMARY and free) or (
            self.primary == RECIPE and recipes and not ONLY_TYPED.search(key.path)
        ):
            places.append(self.primary)
        place: str = draw(st.sampled_from(places))
        if place == "typed":
            self.choose_one_with(draw, key)
            self.type(key.path, self.as_typed(draw, key, as_override(value)), hides=hides)
            return place
        file = self.primary_file() if place == self.primary else self.options_file(draw, key)
        file.values[key.path] = as_yaml(value)
        self.tell(key.path, place, line=key.path, hides=hides)
        return place

    def as_typed(self, draw: Draw, key: Key, text: str) -> str:
        """Return an override that sets a value in a random form."""
        ways = ["++"] if key.free else ["", "++", "{}"]
        swept = sum(",0" in one for one in self.overrides)
        way = draw(st.sampled_from([*ways, "sweep"] if self.multirun and swept < 2 else ways))
        if way == "{}":
            return f"{key.group}={{{key.name}: {text}}}"
        if way != "sweep":
            return f"{way}{key.path}={text}"
        right = [as_override(value) for value in right_values(key.path)[:1]]
        return f"{ways[0]}{key.path}={','.join(draw(st.permutations([text, text, *right])))}"

    # ------------------------------------------------------------ output
    def words(self, draw: Draw) -> list[str]:
        if self.primary:
            self.primary_file()
        command = ["run", RECIPE] if self.primary == RECIPE else []
        folder = ["--config-dir", "my"] if any(name.startswith("my/") for name in (*self.yaml, *self.files)) else []
        name = ["--config-name", "exp"] if self.primary == PRIMARY else []
        multirun = ["-m"] if self.multirun else []
        overrides = draw(st.permutations(self.overrides))
        return [*command, FIRST, *folder, *name, *multirun, *self.flags, *overrides]

    def all_files(self) -> dict[str, bytes]:
        texts = {name: file.text() for name, file in self.yaml.items()}
        if texts.get(RECIPE) == "":
            texts[RECIPE] = "name: mine\n"  # an empty recipe is refused
        return {name: text.encode() for name, text in texts.items()} | self.files

    def where(self, told: Told) -> str:
        return f"{told.where}:{self.yaml[told.where].line_of(told.line)}" if told.line else told.where


def having(key: Key) -> list[str]:
    """Return the options that have a key, else all options of its group."""
    return [one for one in options(key.group) if key.name in option(key.group, one)] or list(options(key.group))
