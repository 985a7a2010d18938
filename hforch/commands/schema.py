"""hforch schema: print JSON Schemas, for editors that complete and validate YAML and for programs that read records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, Mistake
from hforch.utils.files import write_output
from hforch.utils.paths import expanded

DESCRIPTION = (
    "Print the JSON Schema of a job, a recipe, a primary config, an option of a group, or an output file of a run."
)
EXAMPLE = """examples:
  hforch schema                                   a job, as stored in record.json
  hforch schema recipe > recipe.schema.json       a recipe
  hforch schema generation                        an option of a group, CONFIG_DIR/generation/NAME.yaml
  hforch schema record                            record.json; also: sample (a line of samples.jsonl), sweep
  hforch schema --write schema                    write all schemas to a directory

Editors that use the YAML language server offer completion and validation in a file that starts with this line:
  # yaml-language-server: $schema=recipe.schema.json
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("schema", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="job (default), recipe, config, a group, record, sample or sweep"
    )
    parser.add_argument("--write", metavar="DIR", type=expanded, help="write all schemas to this directory")
    options = parser.parse_args(argv)

    if options.write is not None:
        if options.name is not None:
            raise ConfigError([Mistake("", "--write writes all schemas", hint=f"omit {options.name}")])
        return _write(options.write)
    name = options.name or "job"
    if name not in names():
        from hforch.config.diagnose.suggestions import did_you_mean

        problem = f"unknown schema '{name}'; available: {', '.join(names())}"
        raise ConfigError([Mistake("", problem, hint=did_you_mean(name, names()))])
    print(to_text(schema_of(name)), end="")
    return EXIT_OK


def names() -> tuple[str, ...]:
    """Return the names of all schemas."""
    from hforch.config import json_schema
    from hforch.records import schemas

    return (*json_schema.names(), *schemas.names())


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema with a name from `names()`."""
    from hforch.config import json_schema
    from hforch.records import schemas

    return schemas.schema_of(name) if name in schemas.names() else json_schema.schema_of(name)


def _write(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names():
            write_output(folder / f"{name}.json", to_text(schema_of(name)))
    except OSError as error:
        problem = f"cannot write {error.filename or folder}: {(error.strerror or str(error)).lower()}"
        raise ConfigError([Mistake("", problem, f"--write {folder}")]) from error
    print(f"wrote {len(names())} schemas to {folder}")
    return EXIT_OK


def to_text(schema: dict[str, Any]) -> str:
    """Return the schema as committed in schema/: indented, with keys in the order of the fields."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
