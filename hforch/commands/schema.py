"""hforch schema: JSON Schemas, for editors that complete and check YAML, and for programs that read records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hforch.commands._parser import VerbParser
from hforch.errors import EXIT_OK, ConfigError, Mistake
from hforch.utils.files import write_output

DESCRIPTION = (
    "Print the JSON Schema of a job, a recipe, a primary config, an option of a group, or a file that runs write."
)
EXAMPLE = """examples:
  hforch schema                                   a whole job, as record.json holds it
  hforch schema recipe > recipe.schema.json       what a recipe may hold
  hforch schema generation                        what FOLDER/generation/NAME.yaml may hold
  hforch schema record                            record.json; also: sample (a line of samples.jsonl), sweep
  hforch schema --write schema                    all of them, as files

An editor with the YAML language server completes and checks a file that begins like this:
  # yaml-language-server: $schema=recipe.schema.json
"""


def main(argv: list[str]) -> int:
    parser = VerbParser("schema", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="job (if left out), recipe, config, a group, or record, sample, sweep"
    )
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="write every schema into this folder")
    options = parser.parse_args(argv)

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


def names() -> tuple[str, ...]:
    """Return what there is a schema of."""
    from hforch.config import json_schema
    from hforch.records import schemas

    return (*json_schema.names(), *schemas.names())


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of one of `names()`."""
    from hforch.config import json_schema
    from hforch.records import schemas

    return schemas.schema_of(name) if name in schemas.names() else json_schema.schema_of(name)


def _write(folder: Path) -> int:
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
