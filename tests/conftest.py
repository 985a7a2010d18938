"""Shared fixtures: tiny models on disk, the default model loaded, and jobs from overrides."""

from __future__ import annotations

import inspect
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import command_line
import forking
import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

# Progress bars would fill pages of test output.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Tests started in the background of a script ignore Ctrl-C, and so would all processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONG_S = {
    **{"test_guarantees": 340, "test_readme": 290, "test_grammar": 190, "test_shipped_recipes": 150, "test_bench": 150},
    **{"test_network": 80, "test_orphans": 60, "test_shortage": 45},
    **{"test_mistakes": 150, "test_sweep": 120, "test_scored_sweeps": 100, "test_page": 100, "test_init": 90},
    **{
        "test_openvino_genai": 70,
        "test_frozen": 60,
        "test_exports": 60,
        "test_hostile_page": 50,
        "test_secrets": 40,
    },
    **{"test_page_corners": 45, "test_directories": 40, "test_precision": 40, "test_fuzz": 40, "test_cli": 35},
    **{"test_collect": 35, "test_damaged_runs": 35, "test_compose": 30, "test_reports": 30},
    **{
        "test_hints": 40,
        "test_existing_pipeline": 40,
        "test_llm_fields": 60,
        "test_reference_page": 30,
        "test_secrets": 40,
        "test_shared_gpu": 40,
    },
    **{"test_zoo": 50, "test_batch_rows": 50, "test_guarded_reader": 30},
    **{"test_trackers": 60, "test_contributing": 100, "test_kv_cache": 70, "test_launchers": 15},
}
"""Approximate duration of test files in seconds; all others take less. Long ones start first."""
CORES = os.sched_getaffinity(0)
ENVIRONMENT = dict(os.environ)
LOADING = {"tiny_gpt2", "tiny_bloom", "load", "smollm2", "default_model", "write_gguf"}
"""Fixtures that create or load a model."""


def pytest_configure() -> None:
    """Pin each pytest process to its own cores: threads of processes that share cores wait for each other."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker and len(CORES) >= count:
        os.sched_setaffinity(0, sorted(CORES)[int(worker.removeprefix("gw")) :: count])


@pytest.fixture
def all_cores() -> Iterator[int]:
    """Yield the number of cores, and let the test and its child processes use all of them."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield len(CORES)
    os.sched_setaffinity(0, own)


imported: set[bool] = set()


def pytest_runtest_setup(item: pytest.Item) -> None:
    loads = command_line.may_load = item.get_closest_marker("model") is not None
    if loads not in imported:
        imported.add(loads)
        import_libraries(BACKENDS if loads else ())


def import_libraries(backends: Sequence[str]) -> None:
    """Import the libraries of runs, and hide them from garbage collection: measured runs collect three times."""
    from hforch.runs.processes.imports import import_runner
    from hforch.runs.processes.preload import preload, quick_imports

    with quick_imports(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_runner()
        for backend in backends:
            preload(backend)


@pytest.fixture(autouse=True)
def heavy_work_is_forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run exports and conversions in forks, so that they need not import torch, except in tests of their process."""
    if request.node.get_closest_marker("model") and not request.node.get_closest_marker("own_process"):
        from hforch.models import subprocesses

        monkeypatch.setattr(
            subprocesses, "start", lambda *asked: forking.server_for(BACKENDS, ENVIRONMENT).start(*asked)
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from importlib.util import find_spec

    for item in items:
        if item.get_closest_marker("slow") or LOADING & {*getattr(item, "fixturenames", ())}:
            item.add_marker("model")
        if item.path.parent.name == "hostile":
            item.add_marker("hostile")
    items.sort(key=lambda item: -LONG_S.get(item.path.stem, 0))  # so that all workers finish at about the same time

    def gpu() -> bool:
        if find_spec("torch") is None:
            return False
        import torch

        return torch.accelerator.is_available()

    if any(item.get_closest_marker("gpu") for item in items) and not gpu():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="torch finds no GPU"))
    if find_spec("openvino") is None:  # make test-newest
        for item in items:
            if item.get_closest_marker("openvino") or names_openvino(item):
                item.add_marker(pytest.mark.skip(reason="openvino is not installed"))


def names_openvino(item: pytest.Item) -> bool:
    """Return whether a test's module, name, parameters or source names OpenVINO."""
    if "openvino" in item.nodeid or "genai" in item.nodeid:
        return True
    try:
        source = inspect.getsource(item.function)  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError):
        return False
    return "openvino" in source.lower() or "ov_config" in source


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder shared by all processes of this test session."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture(scope="session")
def tiny_bloom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_bloom(tmp_path_factory.mktemp("tiny") / "bloom")


@pytest.fixture(scope="session")
def load() -> Iterator[Callable[..., Any]]:
    """Return `hforch.load_llm`, with everything loaded closed after the test."""
    from hforch import load_llm

    loaded: dict[tuple[str, ...], Any] = {}

    def load(*overrides: str) -> Any:
        if overrides not in loaded:
            loaded[overrides] = load_llm(*overrides)
        return loaded[overrides]

    yield load
    for llm in loaded.values():
        llm.close()


@pytest.fixture(scope="session", params=BACKENDS)
def smollm2(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    """The default model with exact settings, on each backend."""
    return load(f"backend={request.param}", *EXACT, "generation.max_new_tokens=16")
