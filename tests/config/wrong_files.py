"""User YAML files with errors: with a wrong value or option, or invalid as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

DEEP = 3_000
NO_CONFIG: dict[str, str | bytes] = {
    "a list that does not end": "a: [1\n",
    "a second colon": "a: b: c\n",
    "a tab": "a:\n\tb: 1\n",
    "a quote that does not end": 'a: "b\n',
    "a list for a mapping": "- a\n",
    "a number for a mapping": "3\n",
    "a string for a mapping": "just words\n",
    "Latin-1": "a: caf\xe9\n".encode("latin-1"),
    "UTF-16": "a: b\n".encode("utf-16"),
    "a zero byte": b"a: \0\n",
    "random bytes": bytes(range(128, 256)),
    "a duplicate key": "a: 1\na: 2\n",
    "a key that is null": "null: 1\n",
    "a key that is a list": "[a]: 1\n",
    "an unknown tag": "a: !evil 3\n",
    "a tag that runs code": "a: !!python/object/apply:os.system [id]\n",
    "a set": "a: !!set {b, c}\n",
    "an undefined alias": "a: *b\n",
    "a list that contains itself": "a: &b [*b]\n",
    "a mapping that contains itself": "&a {b: *a}\n",
    "a merge of a number": "<<: 3\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "deeply nested lists": f"a: {'[' * DEEP}{']' * DEEP}\n",
    "deeply nested mappings": f"a: {'{b: ' * DEEP}1{'}' * DEEP}\n",
    "a number of 5,000 digits": f"a: {'9' * 5_000}\n",
    "an interpolation that does not end": "a: ${b\n",
    "defaults that are not a list": "defaults: 3\n",
    "defaults that are a mapping": "defaults: {a: b}\n",
    "defaults that are null": "defaults:\n",
    "a list among the defaults": "defaults: [[a]]\n",
    "a number among the defaults": "defaults: [3]\n",
    "defaults with an unknown config": "defaults: [nowhere]\n",
    "defaults with an unknown absolute config": "defaults: [/model/nowhere]\n",
    "defaults with an unknown group": "defaults: [{/nowhere: a}]\n",
    "defaults with an unknown option": "defaults: [{/model: nowhere}]\n",
    "an override of an unknown group": "defaults: [{override /nowhere: a}]\n",
    "an override before the end": "defaults: [{override /stop: newline}, {/inputs@a: eeg}]\n",
    "two of _self_": "defaults: [_self_, _self_]\n",
    "an option left open": "defaults: ['???']\n",
    "an option that is an interpolation": "defaults: [{/model: '${nowhere}'}]\n",
    "defaults that name the file itself": "defaults: [{name}]\n",
}
"""Contents of invalid files by kind; {name} is the name of the file without its extension."""


@dataclass
class YamlFile:
    """A YAML file with one entry per line.

    Attributes:
        group: the group of the option; empty for a primary config and a recipe, which contain groups.
        defaults: the entries of the defaults list, each with the config path that it affects, if any.
        values: YAML values by config path.
    """

    group: str
    defaults: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return "".join(f"{line}\n" for line, _ in self._lines())

    def line_of(self, path: str) -> int:
        return next(number for number, (_, about) in enumerate(self._lines(), start=1) if about == path)

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("defaults:", ""), *((f"  - {entry}", path) for entry, path in self.defaults)] if self.defaults else []
        if self.group:
            return [*lines, *((f"{path.partition('.')[2]}: {text}", path) for path, text in self.values.items())]
        lines += [(f"{path}: {text}", path) for path, text in self.values.items() if "." not in path]
        for group in dict.fromkeys(path.partition(".")[0] for path in self.values if "." in path):
            lines.append((f"{group}:", ""))
            of_group = {path: text for path, text in self.values.items() if path.startswith(f"{group}.")}
            lines += [(f"  {path.partition('.')[2]}: {text}", path) for path, text in of_group.items()]
        return lines
