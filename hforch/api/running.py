"""`hforch.run` and `hforch.sweep`: run jobs as the command line does, and return typed results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

from hforch import errors
from hforch.api.process import Outcome, run_command
from hforch.api.results import ComparisonResult, RunResult, SweepResult
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.config.hydra_adapter.parsing import quoted
from hforch.config.keywords import Setting, overrides_of, refuse_unknown
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.runs.mode import MULTIRUN, SINGLE_RUN, RunMode

Items = Sequence[str | Mapping[str, Any]]


def run(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    directory: str | Path | None = None,
    force: bool = False,
    report: bool = False,
    display: str | None = None,
    progress: bool | None = None,
    model: Setting | Path = None,
    backend: Setting = None,
    device: Setting = None,
    precision: Setting = None,
    ov_config: Setting = None,
    prompt: Setting = None,
    generation: Setting = None,
    stop: Setting | Sequence[str] = None,
    inputs: Setting | Items | Path = None,
    checks: Setting | Sequence[Mapping[str, Any]] = None,
    scoring: Setting = None,
    tracker: Setting = None,
    runtime: Setting = None,
    **unknown: Never,
) -> RunResult:
    """Run one job, like `hforch OVERRIDES`, in a separate process.

    Args:
        overrides: configuration overrides as on the command line. The groups of the configuration are keyword
            arguments too, as in `load_llm`; `inputs` also takes a list of inputs, or the path of a file.
        recipe: a recipe file; all other arguments apply on top of it.
        config_dir: a directory with your own options.
        directory: the directory for the results; by default, as on the command line, `outputs/DATE/TIME`.
        force: overwrite an earlier run in the directory.
        report: write report.html to the directory.
        display: a value of runtime.display, such as `auto`, to print what the command line prints; None: nothing.
        progress: whether to show a progress bar; None: only in notebooks.
        unknown: refused.

    Returns:
        The record, samples and metrics. Failed samples and failed checks are not errors; see `status`.

    Raises:
        UnknownArgument: the name of a keyword argument is unknown.
        ConfigError: the configuration is invalid; the message lists every error, and nothing was run.
        HforchError: the job could not be run, for example a ModelError or a BackendError.
        KeyboardInterrupt: the run was interrupted; the record states it, and `hforch resume` continues it.

    Example:
        result = hforch.run(backend="openvino", precision="int8", inputs=["What is electroencephalography?"])
        print(result.answers[0], result.metrics["tokens_per_s"])
    """
    outcome = _command(locals(), SINGLE_RUN)
    (entry,) = read_jobs([outcome.directory])
    result = RunResult(entry)
    if result.error is not None:
        raise _error_of(str(result.record["error"]["type"]), result.error)
    return result


def sweep(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    directory: str | Path | None = None,
    force: bool = False,
    report: bool = False,
    display: str | None = None,
    progress: bool | None = None,
    model: Setting | Path | Sequence[str] = None,
    backend: Setting | Sequence[str] = None,
    device: Setting | Sequence[str] = None,
    precision: Setting | Sequence[str] = None,
    ov_config: Setting | Sequence[str] = None,
    prompt: Setting | Sequence[str] = None,
    generation: Setting | Sequence[str] = None,
    stop: Setting | Sequence[str] = None,
    inputs: Setting | Items | Path = None,
    checks: Setting | Sequence[Mapping[str, Any]] = None,
    scoring: Setting | Sequence[str] = None,
    tracker: Setting = None,
    runtime: Setting = None,
    **unknown: Never,
) -> SweepResult:
    """Run one job per combination of values, like `hforch -m OVERRIDES`, in a separate process.

    Takes the arguments of `run`. A list of options (`backend=["pytorch", "openvino"]`) or of values
    (`generation={"max_new_tokens": [8, 16]}`) is swept over, except for values that are lists themselves: `stop`,
    `inputs`, `checks`, and keys such as `prompt.messages`.

    Returns:
        The jobs and their comparison. Jobs that fail are not errors; see `failed`.

    Raises:
        UnknownArgument: the name of a keyword argument is unknown.
        ConfigError: the configuration is invalid; the message lists every error, and nothing was run.
        HforchError: the sweep could not be run.
        KeyboardInterrupt: the sweep was interrupted; `hforch resume` continues it.

    Example:
        result = hforch.sweep(backend="openvino", precision=["fp32", "int8"], inputs="facts", prompt="chat")
        result.to_pandas()
    """
    outcome = _command(locals(), MULTIRUN)
    entries = read_jobs([outcome.directory])
    return SweepResult(outcome.directory, [RunResult(entry) for entry in entries], ComparisonResult(compare(entries)))


def _error_of(name: str, message: str) -> HforchError:
    """Return the error with which a job ended, by the name of its class in the record."""
    if name == "ConfigError":
        return ConfigError([Mistake("", message)])
    kind = getattr(errors, name, None)
    if kind is errors.OutOfMemory:
        return errors.BackendError(message)
    return kind(message) if isinstance(kind, type) and issubclass(kind, HforchError) else HforchError(message)


def _command(given: Mapping[str, Any], mode: RunMode) -> Outcome:
    """Run the command line that the arguments of `run` or `sweep` describe.

    Raises:
        UnknownArgument: the name of a keyword argument is unknown.
        HforchError: see `run` and `sweep`.
    """
    refuse_unknown(given["unknown"], sorted(given.keys() - {"overrides", "unknown"}))
    words = ["-m"] if mode.has_summary else []
    words += [flag for name, flag in (("force", "--force"), ("report", "--report")) if given[name]]
    if given["config_dir"] is not None:
        words += ["--config-dir", str(given["config_dir"])]
    if given["directory"] is not None:
        words.append(f"{mode.directory}={quoted(str(given['directory']))}")
    display = given["display"]
    own = overrides_of(given["overrides"], given, sweeps=mode.has_summary)
    own += [] if display is None else [f"runtime.display={display}"]
    is_shown = any(override.lstrip("+").startswith("runtime.display=") for override in own)
    words += own if is_shown else ["runtime.display=none", *own]
    return run_command(words, given["recipe"], mode.has_summary, is_shown, given["progress"])
