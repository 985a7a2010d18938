"""hforch constraints: print the path of the tested package versions. It runs without hforch's dependencies."""

from __future__ import annotations

from hforch.commands._parser import CommandParser
from hforch.errors import EXIT_OK, ConfigError, Mistake
from hforch.utils.tested_versions import SETS, constraints_file

DESCRIPTION = "Print the path of a pip constraints file with the package versions that hforch was tested with."
EXAMPLE = """examples:
  pip install --no-deps hforch-*.whl                            install hforch alone,
  pip install -c "$(hforch constraints)" 'hforch[genai]'        then its dependencies at the tested versions
  pip install -c "$(hforch constraints --newest)" hforch        the newest versions that were tested, without OpenVINO
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("constraints", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "--newest",
        action="store_true",
        help="print the path of the file with the newest tested versions, for hforch without OpenVINO",
    )
    options = parser.parse_args(argv)
    name = "newest" if options.newest else "tested"
    file = constraints_file(name)
    if file is None:
        raise ConfigError([Mistake("", f"this installation has no {SETS[name]}", hint="install hforch again")])
    print(file)
    return EXIT_OK
