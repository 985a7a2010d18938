"""The command line: dispatch commands and pass everything else to the Hydra app. Exceptions become exit codes here.

Heavy imports are deferred until the command is known: `hforch --help` imports only Hydra.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

from hforch.commands import command_names
from hforch.config.config_dirs import conf_dir
from hforch.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ConfigError,
    HforchError,
    Mistake,
    full_errors,
    message_of,
)
from hforch.runs.processes import prestart
from hforch.utils import std_streams, telemetry
from hforch.utils.internal_errors import internal_error

MOST_TOLD = 200  # maximum number of errors shown
RUNNING = ("ask", "run", "resume", "verify")  # commands that run jobs, like the Hydra app


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command or the Hydra app, and return the exit code.

    Args:
        argv: the arguments after the program's name; None for sys.argv.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # run as a program, not called as a function
        std_streams.open_missing()
        telemetry.set_environment()
    std_streams.prepare()
    if argv is None:
        std_streams.survive_closed_readers()

    def work() -> int:
        if argv is None:
            prestart.start(words, command_names(), conf_dir() / "config.yaml")
        return dispatch(words)

    try:
        return reporting(work, runs_jobs(words))
    finally:
        prestart.discard()


def dispatch(words: list[str]) -> int:
    """Run the command named by the first word, or the Hydra app if it is an override or a flag."""
    first = words[0] if words else ""
    if first == "--version":
        from hforch import __version__

        print(f"hforch {__version__}")
        return EXIT_OK
    _check_working_directory()
    if first in command_names():
        return int(import_module(f"hforch.commands.{first}").main(words[1:]))
    if first and "=" not in first and first[0] not in "-+~":
        from hforch.config.diagnose.split_words import is_key
        from hforch.config.diagnose.suggestions import did_you_mean

        if is_key(first) and words[1:]:
            value = "".join(words[1:3] if words[1] == "=" else words[1:2]).removeprefix("=")
            raise ConfigError([Mistake("", f"'{first}' has no `=`", hint=f"write {shlex.quote(f'{first}={value}')}")])
        known = command_names()
        hint = did_you_mean(first, known, "hforch {}") or "overrides have the form key=value"
        raise ConfigError([Mistake("", f"unknown command '{first}'; available: {', '.join(known)}", hint=hint)])
    from hforch.app.hydra_app import run_app

    return run_app(words)


def runs_jobs(words: list[str]) -> bool:
    """Return whether a command line runs jobs, unlike `hforch compare`."""
    return not words or words[0] in RUNNING or words[0] not in command_names()


def _check_working_directory() -> None:
    """Raise ConfigError if the working directory was deleted, because almost everything would fail."""
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd() is the same)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        problem = f"the working directory does not exist: {reason}"
        raise ConfigError([Mistake("", problem, hint="cd to an existing directory and try again")]) from error


def reporting(work: Callable[[], int], is_run: bool = True) -> int:
    """Call the function and return its exit code; turn an exception into a message on stderr and an exit code.

    HYDRA_FULL_ERROR=1 shows the traceback as well.

    Args:
        is_run: whether the function runs jobs.
    """
    try:
        code = work()
        sys.stdout.flush()
        found = std_streams.outlet()
        return EXIT_FAILED if code == EXIT_OK and found is not None and found.is_incomplete else code
    except KeyboardInterrupt as stop:
        if not stop.args:  # with arguments, the run has already printed the message
            print("interrupted", file=sys.stderr)
        # If Ctrl-C interrupts exec() of a string (as in dataclasses), CPython sets a flag, and at exit kills itself
        # with the signal instead of returning our exit code. Another exec() clears the flag.
        exec("")
        return EXIT_INTERRUPTED
    except HforchError as error:
        if full_errors():
            traceback.print_exc()
        print(describe(error, is_run), file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if full_errors():
            traceback.print_exc()
        print(internal_error(error), file=sys.stderr)
        return EXIT_FAILED


def describe(error: HforchError, is_run: bool = True) -> str:
    """Return the message of an error; several configuration errors get a heading with their number.

    Args:
        is_run: whether the command runs jobs; the heading then states that none was run.
    """
    if isinstance(error, ConfigError) and len(error.mistakes) > 1:
        more = len(error.mistakes) - MOST_TOLD
        told = ConfigError(error.mistakes[:MOST_TOLD]) if more > 0 else error
        rest = f"\n\nand {more} more" if more > 0 else ""
        heading = f"{len(error.mistakes)} errors{'; nothing was run' if is_run else ''}:"
        return f"{heading}\n\n{message_of(told)}{rest}"
    return message_of(error)
