"""The argument parser of the commands."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from hforch.errors import ConfigError, Mistake


class CommandParser(argparse.ArgumentParser):
    """An argument parser that raises ConfigError.

    Args:
        command: the name of the command.
        description: one sentence.
        epilog: the text below the options: examples and details.
    """

    def __init__(self, command: str, description: str, epilog: str) -> None:
        super().__init__(
            f"hforch {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message)
        if unknown is None:
            raise ConfigError([Mistake("", message, hint=f"run {self.prog} --help for usage")])
        raise ConfigError([self._unknown(word) for word in unknown[1].split()])

    def _unknown(self, word: str) -> Mistake:
        from hforch.config.diagnose.suggestions import did_you_mean

        if not word.startswith("-"):
            return Mistake("", f"{self.prog}: unexpected argument '{word}'", hint=f"run {self.prog} --help for usage")
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        hint = did_you_mean(word.partition("=")[0], flags) or f"run {self.prog} --help to see all flags"
        return Mistake("", f"unknown flag {word}", hint=hint)
