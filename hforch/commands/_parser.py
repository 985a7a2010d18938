"""The argument parser of the commands."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

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
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = self._words or list(args or ())  # intermixed arguments are parsed in several passes
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message)
        if unknown is None:
            raise ConfigError([Mistake("", message, hint=f"run {self.prog} --help for usage")])
        from hforch.config.diagnose.unknown_flags import long_flags, unknown_flags

        flags = long_flags(action.option_strings for action in self._actions)
        takes_overrides = any(action.dest == "overrides" for action in self._actions)
        raise ConfigError(unknown_flags(unknown[1].split(), self._words, flags, self.prog, takes_overrides))
