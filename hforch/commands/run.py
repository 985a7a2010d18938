"""hforch run RECIPE: run a recipe, a YAML file with options, values and sweep parameters."""

from __future__ import annotations

from pathlib import Path

from hforch.errors import EXIT_OK, ConfigError, Mistake

HELP = """\
hforch run RECIPE [key=value ...] [flags]

Run a recipe: a YAML file with options, values and sweep parameters. RECIPE is the path of the file, or a name: NAME
stands for recipes/NAME.yaml or, if that file does not exist, for the recipe NAME that is installed with hforch. Without
arguments, hforch run lists the installed recipes.

Overrides on the command line take precedence: a value replaces the recipe's value, and an option replaces all of the
recipe's settings for that group. All flags of hforch are accepted (see hforch --help).

examples:
  hforch run                                                  list the installed recipes
  hforch run recipes/step_by_step.yaml
  hforch run step_by_step
  hforch run recipes/step_by_step.yaml backend=openvino generation.max_new_tokens=32
  hforch run recipes/step_by_step.yaml -m precision=auto,int8
  hforch run recipes/step_by_step.yaml --cfg job              print the configuration, without running it

A recipe looks like this:

  defaults:
    - model: smollm2
    - precision: int8
  generation:
    max_new_tokens: 32
  hydra:
    sweeper:
      params:
        stop: none,newline

Instead of a sweep, or in addition to it, a recipe can list jobs, each with its overrides:

  jobs:
    - {backend: pytorch, precision: fp32}
    - {backend: openvino, precision: int8, generation.max_new_tokens: 16}
"""


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        if argv:
            print(HELP, end="")
            return EXIT_OK
        from hforch.commands._recipes import shipped_recipes

        print("installed recipes (hforch run NAME):")
        shipped = shipped_recipes()
        width = max(map(len, shipped), default=0)
        for name, description in shipped.items():
            print(f"  {name:<{width}}  {description}")
        hint = "use hforch run RECIPE.yaml or hforch run NAME; hforch run --help shows how to write a recipe"
        raise ConfigError([Mistake("", "hforch run requires a recipe", hint=hint)])
    from hforch.app.hydra_app import run_app

    recipe, rest = _take_recipe(argv)
    return run_app(rest, recipe=recipe)


def _take_recipe(argv: list[str]) -> tuple[Path, list[str]]:
    """Return the recipe, the first argument that is neither a flag nor an override, and the other arguments."""
    takes_value = (
        "--config-dir",
        "-cd",
        "--config-name",
        "-cn",
        "--config-path",
        "-cp",
        "--package",
        "-p",
        "--cfg",
        "-c",
    )
    words = [
        (number, word)
        for number, word in enumerate(argv)
        if word[0:1] != "-" and (number == 0 or argv[number - 1] not in takes_value)
    ]
    plain = next((one for one in words if one[1][0:1] not in ("+", "~") and "=" not in one[1]), None)
    number, word = plain or next(filter(_is_recipe, words), (None, ""))
    if number is not None:
        from hforch.commands._recipes import found_recipe

        return found_recipe(word), argv[:number] + argv[number + 1 :]
    raise ConfigError([Mistake("", "hforch run requires a recipe", hint=f"hforch run RECIPE.yaml {' '.join(argv)}")])


def _is_recipe(numbered: tuple[int, str]) -> bool:
    """Return whether an argument is an existing YAML file, even if it looks like an override (`a=b.yaml`)."""
    return Path(numbered[1]).suffix in (".yaml", ".yml") and Path(numbered[1]).is_file()
