"""What a recipe or a record may say. Both are data that may come from others; what runs code or names files to write
is the decision of whoever runs them, and is given on their own command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hforch.config.keys import groups
from hforch.launchers.registry import launcher_named

TRUST = "trust_remote_code"
NAMES_A_FILE = re.compile(r"DIR|PATH|FILE|LIBRARY|EXTENSION|DEVICE_PROPERTIES")
OPTION = re.compile(r"[A-Za-z0-9_][\w-]*(\.[\w-]+)*(/[A-Za-z0-9_][\w-]*(\.[\w-]+)*)*")
REFERENCES = "allowed are ${group.key} and ${oc.select:group.key,default}"
LAUNCHER_OPTION = re.compile(rf"hydra/launcher=(?P<option>{OPTION.pattern})")
LAUNCHER_SETTING = re.compile(r"\+{0,2}hydra\.launcher\.(?P<key>\w+(\.\w+)*)=(?P<value>.*)")
MODE = re.compile(r"hydra\.mode=\w+")
CHOSEN_ANEW = ("hydra.run.dir=", "hydra.sweep.dir=")
"""Directories, which a resume sets itself."""


def has_only_references(text: str, read_twice: bool = False) -> bool:
    """Whether each `${` in a text begins a plain reference into our groups, or oc.select of one.

    Args:
        read_twice: an escaped one counts too, as where a sweep hands its values on.
    """
    names = "|".join(groups())
    plain = rf"\$\{{\s*(\.+\w+|({names}))(\.\w+)*\s*\}}"
    select = rf"\$\{{\s*oc\.select:\s*({names})(\.\w+)*(\s*,\s*[\w .-]*)?\}}"
    allowed = re.compile(f"{plain}|{select}")
    return all(
        (len(match[1]) % 2 and not read_twice) or allowed.match(text, match.end() - len("${"))
        for match in re.finditer(r"(\\*)\$\{", text)
    )


def unsafe_overrides(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the overrides of a record that are more than data, each with what they do."""
    chosen = [match["option"] for text in overrides if (match := LAUNCHER_OPTION.fullmatch(text))]
    launcher = launcher_named(chosen[-1] if chosen else None)
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        group = re.split(r"[./@=]", key)[0]
        if text[:1] == "-" or not key:
            yield text, "is a flag, or no override at all"
        elif group not in groups():
            setting = LAUNCHER_SETTING.fullmatch(text)
            is_harmless = setting is not None and launcher.may_be_set(setting["key"], setting["value"])
            if not is_harmless and not any(kind.fullmatch(text) for kind in (LAUNCHER_OPTION, MODE)):
                yield text, "sets what is Hydra's own, which can run code and write files"
        elif TRUST in text and not re.fullmatch(rf"\+*model\.{TRUST}=false", text):
            yield text, "trusts code of a model's repository"
        elif group == "ov_config" and NAMES_A_FILE.search(text.removeprefix("ov_config=").upper()):
            yield text, "names files or folders to OpenVINO"
        elif not has_only_references(text, read_twice=True) or re.search(r"\$(?!\{)", text):
            yield text, "reads more than values of the configuration"
