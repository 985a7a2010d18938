"""Fixtures that more than one room uses: tiny models on disk, the default model loaded, and jobs from overrides."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

# Pages of progress bars help nobody in a test's output.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Tests started in the background of a script ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from importlib.util import find_spec

    def gpu() -> bool:
        if find_spec("torch") is None:
            return False
        import torch

        return torch.accelerator.is_available()

    if any(item.get_closest_marker("gpu") for item in items) and not gpu():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="torch has no GPU here"))


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture(scope="session")
def tiny_bloom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_bloom(tmp_path_factory.mktemp("tiny") / "bloom")


@pytest.fixture(scope="session")
def load() -> Iterator[Callable[..., Any]]:
    """`hforch.load_llm`, remembering what it has loaded."""
    from hforch import load_llm

    loaded: dict[tuple[str, ...], Any] = {}

    def load(*overrides: str) -> Any:
        if overrides not in loaded:
            loaded[overrides] = load_llm(*overrides)
        return loaded[overrides]

    yield load
    for llm in loaded.values():
        llm.engine.close()


@pytest.fixture(scope="session", params=BACKENDS)
def smollm2(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    """The default model, exact, on each backend."""
    return load(f"backend={request.param}", *EXACT, "generation.max_new_tokens=16")
