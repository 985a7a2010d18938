"""hforch freeze JOB_DIR: write a recipe that repeats a run and contains its outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hforch.commands._comparison_flags import add_skip_damaged
from hforch.commands._parser import VerbParser
from hforch.errors import EXIT_OK, ConfigError, HforchError, Mistake
from hforch.utils.files import write_output

EXAMPLE = """\
The recipe contains the resolved configuration, the inputs, the model's revision or fingerprint, library versions, the
machine, and the outputs.

  hforch freeze outputs/2026-11-23/10-15-00-123456 -o recipes/winner.yaml
  hforch run recipes/winner.yaml
  hforch verify recipes/winner.yaml
"""


def main(argv: list[str]) -> int:
    parser = VerbParser("freeze", "Write a recipe that repeats a run.", EXAMPLE)
    parser.add_argument(
        "directory", metavar="JOB_DIR", type=Path, help="the directory of a run, or of one job of a sweep"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the recipe to write (default: standard output)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    add_skip_damaged(parser)
    args = parser.parse_args(argv)
    from hforch.comparison.entries import read_jobs
    from hforch.comparison.freezing import freeze

    entries = read_jobs([args.directory])
    if len(entries) > 1:
        jobs = ", ".join(str(one.directory) for one in entries[:3])
        problem = f"{args.directory} contains {len(entries)} jobs; a recipe repeats only one"
        raise ConfigError([Mistake("", problem, None, f"pass one of them: {jobs}")])
    if args.output and args.output.exists() and not args.force:
        raise ConfigError(
            [Mistake("", f"{args.output} already exists", f"-o {args.output}", "pass --force to overwrite it")]
        )
    text = freeze(replace(entries[0], skips_damaged=args.skip_damaged))
    if args.output is None:
        print(text, end="")
        return EXIT_OK
    try:
        write_output(args.output, text)
    except OSError as error:
        raise HforchError(f"cannot write {args.output}: {(error.strerror or str(error)).lower()}") from error
    print(f"wrote {args.output}, which repeats {entries[0].directory}")
    print(f"to check that it still gives the same outputs: hforch verify {args.output}")
    return EXIT_OK
