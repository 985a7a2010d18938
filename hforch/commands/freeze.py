"""hforch freeze JOB_DIR: save a run as a recipe that reproduces it and contains its outputs."""

from __future__ import annotations

from dataclasses import replace

from hforch.commands._comparison_flags import add_skip_damaged
from hforch.commands._directories import HELP, run_directory
from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, HforchError, Mistake
from hforch.utils.files import write_output
from hforch.utils.paths import expanded

EXAMPLE = """\
The recipe contains the resolved configuration, the inputs, the model's fingerprint and revision, library versions, the
machine, and the outputs.

examples:
  hforch freeze outputs/2026-11-23/10-15-00-123456 -o recipes/winner.yaml
  hforch freeze latest/3 -o recipes/winner.yaml
  hforch run recipes/winner.yaml
  hforch verify recipes/winner.yaml
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("freeze", "Save a run as a recipe that reproduces it.", EXAMPLE)
    parser.add_argument(
        "directory",
        metavar="JOB_DIR",
        type=run_directory,
        help=f"the directory of a run, or of one job of a sweep; {HELP}, `latest/3` is its job 3",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=expanded, help="the recipe to write (default: standard output)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    add_skip_damaged(parser)
    args = parser.parse_args(argv)
    from hforch.comparison.entries import read_jobs
    from hforch.comparison.freezing import freeze

    entries = read_jobs([args.directory])
    if len(entries) > 1:
        jobs = f"{entries[0].directory} ... {entries[-1].directory}"
        problem = f"{args.directory} contains {len(entries)} jobs; freeze one of them"
        raise ConfigError([Mistake("", problem, None, jobs)])
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
    print(f"wrote {args.output}, which reproduces the run in {entries[0].directory}")
    print(f"to verify its outputs: hforch verify {args.output}")
    return EXIT_OK
