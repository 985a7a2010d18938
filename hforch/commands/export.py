"""hforch export: export a model to OpenVINO IR and print its directory and weight formats."""

from __future__ import annotations

import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, HforchError, Mistake
from hforch.utils.paths import expanded
from hforch.utils.system_limits import limit_reached

if TYPE_CHECKING:
    from hforch.config.schema import Job

DESCRIPTION = "Export a model to OpenVINO IR. An existing export in the cache is reused."
EXAMPLE = """examples:
  hforch export -o smollm2-int8 model=smollm2 precision=int8
  hforch model=./smollm2-int8 backend=openvino
"""
EXPORTED = ("model", "precision")  # groups that determine an export


def main(argv: list[str]) -> int:
    """Compose the job, fetch its model, export it, and print the directory, size and bit widths of the IR.

    Raises:
        ConfigError: the overrides are invalid or do not affect an export, or the output directory is not empty.
        ModelError, BackendError: see `hforch.models.exports.export`.
    """
    options = _parser().parse_args(argv)
    output = _checked(options.output)

    from hforch.models import fetch
    from hforch.models.exports import describe, export
    from hforch.report.display import open_watcher

    job = _composed(options.overrides)
    progress = open_watcher("auto", sys.stderr)  # stdout is reserved for the result
    checkpoint = fetch(job.model, progress)
    if checkpoint.kind == "openvino":
        progress.note("the model is already an OpenVINO IR; nothing to export")
        path, found = checkpoint.path, describe(checkpoint.path)
    else:
        made = export(checkpoint, job.precision, job.model.trust_remote_code, progress)
        path, found = made.path, {"weight_format": made.weight_format, "bits": made.bits}
    if output:
        _copy(path, output)
    _show(output or path, found)
    return EXIT_OK


def _parser() -> CommandParser:
    parser = CommandParser("export", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=expanded, help="copy the IR to this empty or new directory"
    )
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="overrides of a run that affect the export: model=..., precision=...",
    )
    return parser


def _checked(output: Path | None) -> Path | None:
    if output is None:
        return None
    output = expanded(output).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        problem = f"{output} is not an empty directory"
        raise ConfigError(
            [Mistake("", problem, f"-o {output}", "use a new or empty directory; existing files are not overwritten")]
        )
    return output


def _composed(overrides: Sequence[str]) -> Job:
    """Return the job whose model is exported.

    Raises:
        ConfigError: overrides are invalid or have no effect on an export; contains all errors.
    """
    from hforch.app.hydra_app import use_project
    from hforch.backends.base import capabilities
    from hforch.config.compose import compose

    mistakes = list(_without_effect(overrides))
    flags = Namespace(config_dir=None, config_name=None)
    use_project(flags)
    try:
        composed = compose(overrides, config_dir=flags.config_dir, config_name=flags.config_name)
    except ConfigError as error:
        raise ConfigError([*mistakes, *error.mistakes]) from error
    job = composed.job
    typed = [text for text in overrides if _group(text) == "backend"]
    if typed and capabilities(job).needs.weights != "openvino":
        problem = f"the backend {job.backend.name} does not load OpenVINO models"
        mistakes.append(Mistake("backend", problem, typed[-1], "remove it, or select a backend that does"))
    if mistakes:
        raise ConfigError(mistakes)
    for note in composed.notes:
        print(f"note: {note}", file=sys.stderr)
    return job


def _without_effect(overrides: Sequence[str]) -> Iterator[Mistake]:
    for text in overrides:
        group = _group(text)
        if "=" in text and group not in (*EXPORTED, "backend"):
            hint = f"remove it; an export depends only on {' and '.join(EXPORTED)}"
            yield Mistake(group, "has no effect on an export", text, hint)


def _group(override: str) -> str:
    return re.split(r"[.@=]", override.lstrip("+~"))[0]


def _copy(path: Path, output: Path) -> None:
    """Copy an IR to an empty or new directory, openvino_model.xml last. Delete the copied files on an error.

    Raises:
        HforchError: the directory cannot be written.
    """
    was_there = output.exists()
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "entry.json"]
    try:
        for file in sorted(files, key=lambda file: file.name == "openvino_model.xml"):
            target = output / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    except BaseException as error:
        for left in [*output.iterdir()] if was_there else [output]:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = limit_reached(error) or (error.strerror or str(error)).lower()
            raise HforchError(f"cannot write {output}: {reason}") from error
        raise


def _show(path: Path, found: dict[str, Any]) -> None:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1_000_000
    print(f"{path}\n{size:,.1f} MB, {found['weight_format']} weights")
    rows: list[tuple[str, ...]] = [
        (element, f"{row['layers']:,}", f"{row['parameters']:,}", _groups(row.get("group_sizes")))
        for element, row in found["bits"].items()
    ]
    header = ("type", "layers", "parameters", "group size")
    if sys.stdout.isatty():
        _rich_table(header, rows)
        return
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, (6, 8, 16, 0), strict=True)).rstrip())


def _groups(sizes: dict[str, int] | None) -> str:
    return ", ".join(f"{size} ({layers} layers)" for size, layers in sizes.items()) if sizes else "-"


def _rich_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table

    from hforch.report.console import console

    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    console(sys.stdout).print(table)
