"""A library that kills the process when it is imported."""

import os

os.write(2, b"no such instruction\n")
os._exit(3)
