"""hforch init DIR: create a project directory with a working configuration, inputs and a recipe."""

from __future__ import annotations

from pathlib import Path

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, HforchError, Mistake
from hforch.utils.files import write_whole
from hforch.utils.paths import expanded

EXAMPLE = """examples:
  hforch init                 create the files in the current directory
  hforch init my-comparison   create them in a new directory
"""

CONFIG = """\
# Settings for all runs in this directory, in addition to hforch's defaults. hforch uses this file automatically, like
# hforch --config-dir conf --config-name project; to ignore it, pass --config-name config.
defaults:
  - config
  - override inputs: questions
  - override prompt: chat
  - override checks: contains_expected
  - override generation: short
  - _self_

# Values that you add here, such as generation.max_new_tokens, replace those of the options above. An option that is
# selected on the command line or in a recipe replaces all values of its group.
"""

GENERATION = """\
# yaml-language-server: $schema=../../schema/generation.json
# Short answers.
defaults:
  - greedy
max_new_tokens: 32
"""

INPUTS = """\
# yaml-language-server: $schema=../../schema/inputs.json
# The questions of this project, one JSON object per line. The path is relative to the working directory.
kind: file
path: inputs/questions.jsonl
format: auto
encoding: utf-8
limit: null
"""

QUESTIONS = """\
{"question": "What is the capital of France?", "expected": "Paris"}
{"question": "Which gas do plants give off in daylight?", "expected": "oxygen"}
{"question": "Who wrote Romeo and Juliet?", "expected": "Shakespeare"}
{"question": "What is the opposite of hot?", "expected": "cold"}
"""

RECIPE = """\
# yaml-language-server: $schema=../schema/recipe.json
# Compare the speed and the answers of two backends on these questions:
#
#   hforch run recipes/backends.yaml
name: backends
description: compare torch and OpenVINO on the questions of this project.
defaults:
  - model: smollm2
  - precision: fp32
hydra:
  sweeper:
    params:
      backend: pytorch,openvino
"""

README = """\
# hforch project

    # answer the questions
    hforch
    # list the jobs of the recipe, without running them
    hforch run recipes/backends.yaml --dry-run
    # run the recipe
    hforch run recipes/backends.yaml
    # recommend the fastest job that passes at least half of its checks
    hforch compare latest --require 'checks>=0.5' --optimize tokens_per_s
    # save a job as a recipe that reproduces it
    hforch freeze latest/1 -o recipes/winner.yaml
    # run that recipe and compare the outputs
    hforch verify recipes/winner.yaml

- `inputs/questions.jsonl`: the questions, each with a string that the answer should contain
- `conf/`: custom options, one directory per group and one file per option; `conf/project.yaml` selects the options
  that every hforch command in this directory uses
- `recipes/`: recipes, files with settings and sweep parameters
- `schema/`: JSON Schemas, for completion and validation in editors; `hforch schema --write schema` updates them
- `outputs/`: the records of all runs
"""

FILES = {
    "conf/project.yaml": CONFIG,
    "conf/inputs/questions.yaml": INPUTS,
    "conf/generation/short.yaml": GENERATION,
    "inputs/questions.jsonl": QUESTIONS,
    "recipes/backends.yaml": RECIPE,
    "README.md": README,
    ".gitignore": "outputs/\n",
}
SCHEMAS = ("recipe", "inputs", "generation")


def main(argv: list[str]) -> int:
    parser = CommandParser(
        "init", "Create a project directory with a configuration, inputs and a recipe to edit.", EXAMPLE
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=expanded,
        default=Path(),
        help="the directory (default: the current one)",
    )
    folder = parser.parse_args(argv).folder
    from hforch.commands.schema import to_text
    from hforch.config.json_schema import schema_of
    from hforch.runs.output_dirs import has_results

    if has_results(folder.absolute()):
        problem = f"{folder} contains the results of a run or a sweep, or is inside those of a sweep"
        raise ConfigError([Mistake("", problem, None, "use another directory")])
    files = FILES | {f"schema/{name}.json": to_text(schema_of(name)) for name in SCHEMAS}
    if there := [name for name in files if (folder / name).exists()]:
        found = f"{'file' if len(there) == 1 else 'files'} already {'exists' if len(there) == 1 else 'exist'}"
        hint = "use another directory, or move the existing files"
        raise ConfigError([Mistake("", f"{found}: {', '.join(str(folder / name) for name in there)}", None, hint)])
    try:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, text)
    except OSError as error:
        place = error.filename or folder
        raise HforchError(f"cannot write {place}: {(error.strerror or str(error)).lower()}") from error
    for name in files:
        print(folder / name)
    print("\nNext steps:")
    for command in (*([f"cd {folder}"] if folder != Path() else []), *next_commands()):
        print(f"  {command}")
    return EXIT_OK


def next_commands() -> list[str]:
    recipe = "hforch run recipes/backends.yaml"
    return ["hforch", f"{recipe} --dry-run", recipe]
