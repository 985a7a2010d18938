"""hforch schema: JSON Schemas, for editors that complete and check YAML, and for programs that read records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hforch.commands._parser import VerbParser
from hforch.errors import EXIT_OK, ConfigError, Mistake
from hforch.utils.files import write_output

DESCRIPTION = "Print the JSON Schema of a job, of a recipe, of a primary config, or of an option of a group."
EXAMPLE = """examples:
  hforch schema                                   a whole job, as record.json holds it
  hforch schema recipe > recipe.schema.json       what a recipe may hold
  hforch schema generation                        what FOLDER/generation/NAME.yaml may hold
  hforch schema --write schema                    all of them, as files

An editor with the YAML language server completes and checks a file that begins like this:
  # yaml-language-server: $schema=recipe.schema.json
"""


def main(argv: list[str]) -> int:
    parser = VerbParser("schema", DESCRIPTION, EXAMPLE)
    parser.add_argument("name", metavar="NAME", nargs="?", help="job (if left out), recipe, config, or a group")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="write every schema into this folder")
    options = parser.parse_args(argv)

    from hforch.config.json_schema import names, schema_of

    if options.write is not None:
        if options.name is not None:
            raise ConfigError([Mistake("", "--write writes all schemas", hint=f"leave {options.name} out")])
        return _write(options.write)
    name = options.name or "job"
    if name not in names():
        from hforch.config.diagnose.suggestions import did_you_mean

        problem = f"there is no schema of '{name}'; there are: {', '.join(names())}"
        raise ConfigError([Mistake("", problem, hint=did_you_mean(name, names()))])
    print(to_text(schema_of(name)), end="")
    return EXIT_OK


def _write(folder: Path) -> int:
    from hforch.config.json_schema import names, schema_of

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names():
            write_output(folder / f"{name}.json", to_text(schema_of(name)))
    except OSError as error:
        problem = f"{error.filename or folder} cannot be written: {(error.strerror or str(error)).lower()}"
        raise ConfigError([Mistake("", problem, f"--write {folder}")]) from error
    print(f"{len(names())} schemas in {folder}")
    return EXIT_OK


def to_text(schema: dict[str, Any]) -> str:
    """As it is committed: indented, the keys in the order of the types."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
