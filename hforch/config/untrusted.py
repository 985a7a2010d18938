"""Check the contents of recipes and records, which may come from others.

Settings that run code or write files are allowed only on the user's own command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hforch.config.keys import groups
from hforch.launchers.registry import launcher_named

TRUST = "trust_remote_code"
NAMES_A_FILE = re.compile(r"DIR|PATH|FILE|LIBRARY|EXTENSION|DEVICE_PROPERTIES")
OPTION = re.compile(r"[A-Za-z0-9_][\w-]*(\.[\w-]+)*(/[A-Za-z0-9_][\w-]*(\.[\w-]+)*)*")
REFERENCES = "allowed: ${group.key} and ${oc.select:group.key,default}"
LAUNCHER_OPTION = re.compile(rf"hydra/launcher=(?P<option>{OPTION.pattern})")
LAUNCHER_SETTING = re.compile(r"\+{0,2}hydra\.launcher\.(?P<key>\w+(\.\w+)*)=(?P<value>.*)")
MODE = re.compile(r"hydra\.mode=\w+")
CHOSEN_ANEW = ("hydra.run.dir=", "hydra.sweep.dir=")
"""Output directories, which `hforch resume` sets itself."""


def has_only_references(text: str, read_twice: bool = False) -> bool:
    """Return whether each `${` in a string starts a plain reference to a key of a group, or an oc.select of one.

    Args:
        read_twice: whether to check escaped ones too, because the values of a sweep are parsed twice.
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
    """Yield the overrides of a record that can run code or write files, each with what it does."""
    chosen = [match["option"] for text in overrides if (match := LAUNCHER_OPTION.fullmatch(text))]
    launcher = launcher_named(chosen[-1] if chosen else None)
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        group = re.split(r"[./@=]", key)[0]
        if text[:1] == "-" or not key:
            yield text, "is a flag or not an override"
        elif group not in groups():
            setting = LAUNCHER_SETTING.fullmatch(text)
            is_harmless = setting is not None and launcher.may_be_set(setting["key"], setting["value"])
            if not is_harmless and not any(kind.fullmatch(text) for kind in (LAUNCHER_OPTION, MODE)):
                yield text, "changes Hydra's own settings, which can run code and write files"
        elif TRUST in text and not re.fullmatch(rf"\+*model\.{TRUST}=false", text):
            yield text, "trusts the code in a model repository"
        elif group == "ov_config" and NAMES_A_FILE.search(text.removeprefix("ov_config=").upper()):
            yield text, "passes file or directory paths to OpenVINO"
        elif not has_only_references(text, read_twice=True) or re.search(r"\$(?!\{)", text):
            yield text, "reads more than configuration values"
