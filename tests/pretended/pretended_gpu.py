"""A library that initializes a GPU when it is imported, as torchao does with CUDA; there is no GPU.

A process that has imported it can use the GPU, but its forks cannot. The code in PRETENDED_IMPORT runs when a newly
started worker imports it.
"""

from __future__ import annotations

import os
import sys
import types

in_fork = False


def use() -> None:
    if in_fork:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")


def _forked() -> None:
    global in_fork
    in_fork = True


os.register_at_fork(after_in_child=_forked)
cuda = types.ModuleType("torch.cuda")
cuda.__dict__.update(is_initialized=lambda: not in_fork, _is_in_bad_fork=lambda: in_fork)
cuda.__dict__.update(is_available=lambda: False, device_count=lambda: 0)  # measuring code finds no devices
sys.modules["torch"] = types.ModuleType("torch")
sys.modules["torch"].__dict__.update(cuda=cuda)
if any("hforch.runs.processes.spawn" in word for word in sys.orig_argv):
    exec(os.environ.get("PRETENDED_IMPORT", ""))
