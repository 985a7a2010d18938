"""The argument parser of the commands."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from typing import Any, ClassVar, NoReturn

from hforch.errors import ConfigError, Mistake

OVERRIDES = "key=value"  # the metavar of positional arguments that are overrides


class ParserBuilt(Exception):
    """Raised instead of parsing, with the parser; see `parser_of`."""

    def __init__(self, parser: CommandParser) -> None:
        super().__init__(parser.prog)
        self.parser = parser


class CommandParser(argparse.ArgumentParser):
    """An argument parser that raises ConfigError.

    Args:
        command: the name of the command.
        description: one sentence.
        epilog: the text below the options: examples and details.
    """

    is_wanted: ClassVar[bool] = False

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
        if CommandParser.is_wanted:
            raise ParserBuilt(self)
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


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command, without running the command; that of `hforch` if it builds none, as `run`."""
    module = import_module(f"hforch.commands.{command}")
    if getattr(module, "CommandParser", None) is None:
        from hforch.app.flags import parser_of_runs

        return parser_of_runs()
    CommandParser.is_wanted = True
    try:
        module.main([])
    except ParserBuilt as built:
        return built.parser
    finally:
        CommandParser.is_wanted = False
    raise TypeError(f"hforch {command} does not parse its arguments with its CommandParser")
