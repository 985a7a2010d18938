"""Entry point of `python -m hforch`."""

import sys

from hforch.cli import main

if __name__ == "__main__":
    sys.exit(main())
