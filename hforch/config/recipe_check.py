"""Validate the content of a recipe file; `recipes.py` describes what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from hforch.config import shorthand
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.hydra_adapter.nodes import yaml_loader
from hforch.config.keys import groups
from hforch.config.untrusted import NAMES_A_FILE, OPTION, REFERENCES, TRUST, has_only_references
from hforch.errors import Mistake
from hforch.launchers.base import Launcher
from hforch.launchers.registry import launcher_named

TEXTS = ("name", "description")
OPTIONS = re.compile(r"[\w.-]+(\s*,\s*[\w.-]+)*|(glob|choice)\([\w.*?, -]+\)")
SWEPT_KEY = re.compile(r"\+{0,2}(?P<group>[a-z_]+)(\.[\w-]+)*")
LAUNCHER = "override hydra/launcher"
Node = yaml.Node


def mistakes_in(text: str, shown: str) -> list[Mistake]:
    """Return an error with its line for everything in a recipe that is not allowed.

    Args:
        text: the content of the file.
        shown: the name of the file in messages.
    """
    walk = _Walk(shown)
    walk.events(text)
    if not walk.mistakes:
        walk.top(node := yaml.compose(text, Loader=yaml.SafeLoader))
        if node is None or not node.value:
            hint = "a minimal recipe is: defaults: [{backend: openvino}]"
            walk.mistakes.append(Mistake("", "the recipe is empty", shown, hint))
    return walk.mistakes


class _Walk:
    """Visits the nodes of a recipe and collects errors."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.sweeps = False
        self.launcher = Launcher()
        self.mistakes: list[Mistake] = []

    def reject(self, node: Any, path: str, problem: str, hint: str | None = None) -> None:
        self.mistakes.append(Mistake(path, problem, f"{self.shown}:{node.start_mark.line + 1}", hint))

    def events(self, text: str) -> None:
        """Reject YAML features beyond plain data: tags, anchors, aliases and a second document."""
        documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if isinstance(event, yaml.DocumentStartEvent) and documents == 2:
                self.reject(event, "", "a recipe must be a single YAML document")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                self.reject(event, "", "anchors and aliases are not allowed in a recipe", "write the value out")
            tag = getattr(event, "tag", None)
            if tag is not None:
                self.reject(event, "", f"the YAML tag {tag} is not allowed in a recipe", "write plain YAML")

    def top(self, node: Node | None) -> None:
        if node is None:
            return
        allowed = [*groups(), "defaults", "hydra", "jobs", "exclude", "frozen", *TEXTS]
        entries = list(self.pairs(node, ""))
        self.sweeps = any(name in ("hydra", "jobs") for name, _, _ in entries)
        self.launcher = launcher_named(_chosen_launcher(node))
        for name, key, value in entries:
            if name == "defaults":
                self.defaults(value)
            elif name == "hydra":
                self.hydra(value)
            elif name == "jobs":
                self.jobs(value)
            elif name == "exclude":
                self.exclude(value)
            elif name == "frozen":
                self.frozen(value)
            elif name in groups() and not isinstance(value, yaml.MappingNode):
                self.reject(value, name, "must be a mapping of the group's keys; set options under defaults")
            elif name in groups():
                self.value(value, name)
            elif name in TEXTS:
                if not isinstance(value, yaml.ScalarNode):
                    self.reject(value, name, "must be a string")
            else:
                self.reject(key, name, "unknown key", did_you_mean(name, allowed))

    def pairs(self, node: Node, path: str) -> Iterator[tuple[str, Node, Node]]:
        """Yield the entries of a mapping whose keys are plain names and not duplicates; reject the others."""
        if not isinstance(node, yaml.MappingNode):
            self.reject(node, path, "must be a mapping")
            return
        seen = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            inner = f"{path}.{name}".lstrip(".")
            if not isinstance(name, str) or name == "<<":
                self.reject(key, path, "a key must be a plain name")
            elif name.startswith("_") and name.endswith("_"):
                self.reject(key, inner, f"not allowed in a recipe: the Hydra keyword {name} can run code")
            elif name in seen:
                self.reject(key, inner, "is a duplicate key")
            else:
                seen.add(name)
                yield name, key, value

    def value(self, node: Node, path: str) -> None:
        """Check a value in a group: any plain data with harmless interpolations."""
        if isinstance(node, yaml.MappingNode):
            for name, key, inner in self.pairs(node, path):
                self.text(key, path)
                self.trusted(name, inner, f"{path}.{name}")
                self.value(inner, f"{path}.{name}")
        elif isinstance(node, yaml.SequenceNode):
            for number, inner in enumerate(node.value):
                self.value(inner, f"{path}.{number}")
        else:
            self.text(node, path)

    def trusted(self, name: str, node: Node, path: str) -> None:
        """Reject values that only the user who runs the recipe may set."""
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        if name == TRUST and value != "false":
            self.reject(
                node, path, "a recipe cannot enable trust_remote_code", f"pass model.{TRUST}=true on the command line"
            )
        if path.startswith("ov_config.") and NAMES_A_FILE.search(name.upper()) and value != "":
            self.reject(node, path, "a recipe cannot set file or directory paths here", "pass it on the command line")

    def text(self, node: Any, path: str) -> None:
        """Check a scalar: each `${` must start a plain reference to a group's key, or an oc.select of one.

        An escaped `${` is text, unless the recipe has a sweep, whose values are parsed twice.
        """
        if not has_only_references(node.value, read_twice=self.sweeps):
            problem = f"the interpolation in '{node.value}' is not allowed in a recipe"
            self.reject(node, path, problem, REFERENCES)

    def defaults(self, node: Node) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self.reject(node, "defaults", "must be a list, such as: - model: smollm2")
            return
        seen: set[str] = set()
        for entry in node.value:
            if not isinstance(entry, yaml.MappingNode) or len(entry.value) != 1:
                self.reject(entry, "defaults", "each entry must be a single `group: option`")
                continue
            for name, key, option in self.pairs(entry, "defaults"):
                self.choice(name, key, option, seen)

    def choice(self, name: str, key: Node, option: Node, seen: set[str]) -> None:
        path = "hydra.launcher" if name == LAUNCHER else name
        if name not in (*groups(), LAUNCHER):
            hint = did_you_mean(name, [*groups(), LAUNCHER])
            self.reject(
                key, f"defaults.{name}", "recipes may set only options of hforch's groups and of hydra/launcher", hint
            )
        elif name in seen:
            self.reject(key, path, "is set twice")
        elif not isinstance(option, yaml.ScalarNode) or not _is_option(name, option.value):
            self.reject(option, path, "must be the name of one option", shorthand.hint(name))
        seen.add(name)

    def jobs(self, node: Node) -> None:
        """Check the listed jobs: a list of mappings from groups or their keys to single values."""
        example = "such as: - {backend: openvino, precision: int8}"
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.reject(node, "jobs", f"must be a list of combinations, {example}")
            return
        for number, entry in enumerate(node.value):
            if isinstance(entry, yaml.MappingNode) and not entry.value:
                self.reject(entry, f"jobs.{number}", f"is empty; set at least one override, {example}")
            for name, key, value in self.pairs(entry, f"jobs.{number}"):
                self.override(name, key, value, f"jobs.{number}.{name}")

    def override(self, name: str, key: Node, value: Node, path: str) -> None:
        """Check one override of a listed job: an option of a group, a mapping of its keys, or the value of a key."""
        match = SWEPT_KEY.fullmatch(name)
        plain = name.lstrip("+")
        if match is None or match["group"] not in groups():
            hint = did_you_mean(plain.partition(".")[0], groups())
            self.reject(key, path, "only hforch's groups and their keys can be set", hint)
        elif plain not in groups():
            self.trusted(plain.rpartition(".")[2], value, plain)
            self.value(value, plain)
        elif isinstance(value, yaml.MappingNode):
            self.value(value, plain)
        elif not isinstance(value, yaml.ScalarNode) or not _is_option(plain, value.value):
            hint = shorthand.hint(plain) or "list each combination as a separate job"
            self.reject(value, path, "must be the name of one option", hint)

    def exclude(self, node: Node) -> None:
        """Check the combinations to exclude from the sweep: a list of mappings from groups or their keys to values."""
        if not isinstance(node, yaml.SequenceNode):
            self.reject(
                node, "exclude", "must be a list of combinations, such as: - {backend: pytorch, precision: int4}"
            )
            return
        for number, entry in enumerate(node.value):
            for name, key, value in self.pairs(entry, f"exclude.{number}"):
                path = f"exclude.{number}.{name}"
                values = value.value if isinstance(value, yaml.SequenceNode) else [value]
                if name.partition(".")[0] not in groups():
                    hint = did_you_mean(name.partition(".")[0], groups())
                    self.reject(key, path, "only hforch's groups and their keys can be excluded", hint)
                elif not all(isinstance(one, yaml.ScalarNode) and "$" not in one.value for one in values):
                    self.reject(value, path, "must be a value or a list of values")

    def frozen(self, node: Node) -> None:
        """Check the section that `hforch freeze` wrote: only its types, since no string in it is interpolated."""
        from hforch.config.frozen import problems

        tree = yaml_loader()("").construct_object(node, deep=True)
        for path, problem in problems(tree):
            hint = "restore this section from hforch freeze, or remove it"
            self.reject(node, f"frozen.{path}".rstrip("."), problem, hint)

    def hydra(self, node: Node) -> None:
        for name, key, value in self.pairs(node, "hydra"):
            if name == "sweeper":
                self.sweeper(value)
            elif name == "launcher":
                self.launcher_settings(value, "hydra.launcher")
            else:
                self.reject(
                    key,
                    f"hydra.{name}",
                    "recipes may set only sweeper.params and launcher settings under hydra",
                    "pass it on the command line instead",
                )

    def sweeper(self, node: Node) -> None:
        for name, key, value in self.pairs(node, "hydra.sweeper"):
            if name != "params":
                self.reject(key, f"hydra.sweeper.{name}", "recipes may set only `params` of the sweeper")
                continue
            for swept, swept_key, values in self.pairs(value, "hydra.sweeper.params"):
                self.swept(swept, swept_key, values)

    def swept(self, name: str, key: Node, values: Node) -> None:
        path = f"hydra.sweeper.params.{name}"
        match = SWEPT_KEY.fullmatch(name)
        if match is None or match["group"] not in groups():
            hint = did_you_mean(name.partition(".")[0], groups())
            self.reject(key, path, "only hforch's groups and their keys can be swept", hint)
        elif not isinstance(values, yaml.ScalarNode):
            self.reject(values, path, "must be a string as on the command line, such as: a,b")
        elif name.lstrip("+") in groups() and not _are_options(name.lstrip("+"), values.value):
            hint = shorthand.hint(name.lstrip("+"))
            self.reject(values, path, "must name options of the group, such as: a,b or glob(*)", hint)
        elif TRUST in f"{name} {values.value}":
            self.reject(
                key, path, "a recipe cannot enable trust_remote_code", f"pass model.{TRUST}=true on the command line"
            )
        elif match["group"] == "ov_config" and NAMES_A_FILE.search(name.upper()):
            self.reject(key, path, "a recipe cannot set file or directory paths here", "pass it on the command line")
        elif re.search(r"\$(?!\{)", values.value):
            self.reject(values, path, "$ is only allowed at the start of a reference such as ${group.key}")
        else:
            self.text(values, path)

    def launcher_settings(self, node: Node, path: str) -> None:
        """Check the launcher settings: numbers, and others that the selected launcher allows."""
        for name, _, value in self.pairs(node, path):
            inner = f"{path}.{name}"
            if isinstance(value, yaml.MappingNode):
                self.launcher_settings(value, inner)
                continue
            key = inner.removeprefix("hydra.launcher.")
            if isinstance(value, yaml.ScalarNode) and self.launcher.may_be_set(key, value.value):
                continue
            others = ", ".join(self.launcher.recipe_settings)
            hint = f"recipes may also set: {others}" if others else None
            self.reject(value, inner, "must be a number: recipes may set only numeric launcher settings", hint)


def _chosen_launcher(recipe: Node) -> str | None:
    """Return the option of hydra/launcher in a recipe, or None; the recipe may be invalid."""
    lists = [value for key, value in recipe.value if key.value == "defaults"] if _is_mapping(recipe) else []
    entries = [one for list_ in lists if isinstance(list_, yaml.SequenceNode) for one in list_.value]
    chosen = (value for entry in entries if _is_mapping(entry) for key, value in entry.value if key.value == LAUNCHER)
    return next((value.value for value in chosen if isinstance(value, yaml.ScalarNode)), None)


def _is_mapping(node: Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _is_option(group: str, text: str) -> bool:
    return bool(OPTION.fullmatch(text)) or shorthand.meaning(group, text) is not None


def _are_options(group: str, text: str) -> bool:
    return bool(OPTIONS.fullmatch(text)) or all(_is_option(group, one.strip()) for one in text.split(","))
