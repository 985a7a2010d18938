"""Makes every Python that imports it run backend=fake on a simulated GPU when a job's device is not the CPU.

The code in PRETENDED_LOAD runs when a job loads its model. With PRETENDED_FORK, processes are forked although a GPU is
initialized.
"""

from __future__ import annotations

import dataclasses
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable
from typing import Any


def of_fake(fake: Any) -> None:
    check, load, capabilities = fake.check, fake.load, fake.capabilities
    fake.LIBRARIES = (os.environ.get("PRETENDED_LIBRARY", "pretended_gpu"),)

    def with_device(job: Any) -> Any:
        able = capabilities(job)
        return dataclasses.replace(able, ignores=tuple(one for one in able.ignores if one != "device"))

    def use(job: Any) -> None:
        if job.device.kind != "cpu":
            import pretended_gpu

            pretended_gpu.use()

    def checking(job: Any) -> Any:
        use(job)
        return check(job)

    def loading(job: Any, prepared: Any) -> Any:
        use(job)
        exec(os.environ.get("PRETENDED_LOAD", ""), {"job": job})
        return load(job, prepared)

    fake.check, fake.load, fake.capabilities = checking, loading, with_device


def of_transformers(_: Any) -> None:
    """Make importing transformers initialize torch's CUDA, if PRETENDED_TORCH is set."""
    if os.environ.get("PRETENDED_TORCH"):
        import torch

        def forked() -> None:  # torch has cached the number of devices
            torch.cuda._is_in_bad_fork = lambda: True
            torch.cuda.is_available = lambda: True
            torch.cuda.device_count = lambda: 1
            torch.cuda._lazy_init = refuse

        def refuse() -> None:
            raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")

        torch.cuda._initialized = True
        os.register_at_fork(after_in_child=forked)


def of_fork_safety(fork_safety: Any) -> None:
    if os.environ.get("PRETENDED_FORK"):
        fork_safety.initialized = list


CHANGES: dict[str, Callable[[Any], None]] = {
    "hforch.backends.fake": of_fake,
    "hforch.runs.processes.fork_safety": of_fork_safety,
    "transformers.modeling_utils": of_transformers,
}


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of CHANGES like the other finders, and patches each after its import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            CHANGES[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder())
