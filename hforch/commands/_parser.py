"""How verbs read their flags: as argparse does, but a mistake is told like any other."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from hforch.errors import ConfigError, Mistake


class VerbParser(argparse.ArgumentParser):
    """A parser whose mistakes are ConfigErrors.

    Args:
        verb: the verb, such as `doctor`.
        description: what it does, one sentence.
        example: commands to show below.
    """

    def __init__(self, verb: str, description: str, example: str) -> None:
        super().__init__(
            f"hforch {verb}",
            description=description,
            epilog=example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message)
        if unknown is None:
            raise ConfigError([Mistake("", message, hint=f"{self.prog} --help shows how")])
        raise ConfigError([self._unknown(word) for word in unknown[1].split()])

    def _unknown(self, word: str) -> Mistake:
        from hforch.config.diagnose.suggestions import did_you_mean

        if not word.startswith("-"):
            return Mistake("", f"{self.prog} does not take '{word}'", hint=f"{self.prog} --help shows how")
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        hint = did_you_mean(word.partition("=")[0], flags) or f"{self.prog} --help shows all"
        return Mistake("", f"there is no flag {word}", hint=hint)
