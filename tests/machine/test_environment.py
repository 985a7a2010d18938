"""Versions of libraries in records."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hforch.config.backends.registry import BACKENDS
from hforch.machine.environment import PACKAGES, describe_environment, installed, packages_of
from hforch.runs.processes.preload import libraries_of


def test_the_packages_of_a_backends_libraries_are_recorded_too() -> None:
    assert packages_of(["jinja2.sandbox", "yaml", "torch.nn", "hforch.chain", "not_installed.module"]) == [
        "PyYAML",
        "jinja2",
    ]
    found = describe_environment(["yaml"])["packages"]
    assert found["PyYAML"] == installed("pyyaml") is not None
    assert "PyYAML" not in describe_environment()["packages"]


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_the_version_of_each_library_of_a_backend_is_recorded(backend: str) -> None:
    libraries = libraries_of(backend)
    packages = describe_environment(libraries)["packages"]
    for module in {library.partition(".")[0] for library in libraries}:
        assert module.replace("_", "-") in packages, module


def test_no_library_is_imported_for_its_version() -> None:
    program = """
import sys
from hforch.machine.environment import packages_of
packages_of(["torch.nn", "optimum.intel", "openvino_genai", "yaml"])
print([name for name in ("torch", "optimum", "openvino_genai", "yaml") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and PACKAGES
