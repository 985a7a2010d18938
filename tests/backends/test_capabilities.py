"""Tests that other modules know backends only by their capabilities."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shipped_options import needs

import hforch
from hforch.backends.base import capabilities, check
from hforch.config.backends.registry import BACKENDS
from hforch.config.compose import job_from_overrides
from hforch.config.config_dirs import conf_dir
from hforch.config.options import option
from hforch.errors import ConfigError

ROOT = Path(hforch.__file__).parent
NAMES = sorted(BACKENDS)
CLASSES = {one.__name__ for one in BACKENDS.values()}
OPTIONS = ROOT / "config" / "backends"
LANGCHAINS = ROOT / "backends" / "huggingface" / "from_model_id.py"
"""It translates LangChain's names of backends, which resemble hforch's."""
ALSO_OTHERS = {"openvino"}
"""Names of backends that are also names of devices, checkpoints and packages."""


def mentions_backend(node: ast.AST) -> bool:
    """Return whether an expression reads a backend's name, such as `job.backend.name` or `get("backend.name")`."""
    if isinstance(node, ast.Attribute) and node.attr == "library":  # several backends may share a library
        return False
    return any("backend" in (getattr(one, "id", None), getattr(one, "attr", None)) for one in ast.walk(node)) or any(
        isinstance(one, ast.Constant) and str(one.value).split(".")[0] == "backend" for one in ast.walk(node)
    )


def told_apart(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the lines of a program that check a backend's name or class, with a description."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in BACKENDS and node.value not in ALSO_OTHERS:
            yield node.lineno, f"the name {node.value!r}"
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
            if named & set(NAMES) and any(mentions_backend(side) for side in sides):
                yield node.lineno, "a comparison with a name"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("isinstance", "issubclass"):
            if named := {getattr(one, "id", "") for one in ast.walk(node.args[1])} & CLASSES:
                yield node.lineno, f"isinstance of {', '.join(named)}"
        elif isinstance(node, ast.MatchClass) and getattr(node.cls, "id", None) in CLASSES:
            yield node.lineno, "a match of a class"


def test_only_backend_modules_distinguish_backends() -> None:
    own = {folder / f"{name}.py" for folder in (ROOT / "backends", OPTIONS) for name in NAMES}
    files = sorted(set(ROOT.rglob("*.py")) - own)
    assert len(files) > 150 and all(file.is_file() for file in own)
    found = []
    for file in files:
        places = list(told_apart(ast.parse(file.read_text(encoding="utf-8"))))
        if file == LANGCHAINS:
            places = [one for one in places if not one[1].startswith("the name")]
        found += [f"{file.relative_to(ROOT)}:{line}: {what}" for line, what in places]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "job.backend.name == 'fake'",
        "job.backend.name != 'openvino'",
        "backend in ('openvino',)",
        "entry.get('backend.name') == 'openvino'",
        "tree['backend']['name'] == 'openvino'",
        "{'pytorch': 1}[name]",
        "demanded(generation, 'openvino_genai')",
        "isinstance(job.backend, FakeBackend)",
        "isinstance(job.backend, FakeBackend | PytorchBackend)",
    ],
)
def test_code_that_distinguishes_backends_is_found(code: str) -> None:
    assert list(told_apart(ast.parse(code)))


def test_every_option_has_a_class_and_a_module() -> None:
    options = sorted(file.stem for file in (conf_dir() / "backend").glob("*.yaml"))
    assert options == NAMES == sorted(option("backend", name)["name"] for name in options)


@pytest.mark.parametrize("name", NAMES)
def test_capabilities_are_equal_for_equal_jobs(name: str) -> None:
    words = [f"backend={name}", *needs(f"backend={name}")]
    able = capabilities(job_from_overrides([*words, "runtime.batch_size=3"]))
    assert able == capabilities(job_from_overrides([*words, "runtime.batch_size=3"]))
    assert able.batching.max_batch_size >= 1 and able.batching.max_in_flight >= 1
    key = job_from_overrides([*words, f"{able.batching.key}=7"])
    assert capabilities(key).batching.max_batch_size == 7
    assert all(able.lacks.values())


def test_capabilities_import_no_heavy_library() -> None:
    program = f"""
import sys
from hforch.backends.base import capabilities
from hforch.config.compose import job_from_overrides
for words in {[[f"backend={name}", *needs(f"backend={name}")] for name in NAMES]!r}:
    capabilities(job_from_overrides(words))
heavy = ("torch", "transformers", "openvino", "openvino_genai", "optimum.intel")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "path", "problem"),
    [
        (["device=npu"], "device.kind", "'npu' does not exist on backend=pytorch"),
        (["backend=openvino_genai", "device=npu"], "device.kind", "'npu' does not exist on backend=openvino_genai"),
        (
            ["backend=openvino_genai", "device=openvino", "device.name=NPU.0"],
            "device.name",
            "'NPU.0' does not exist on backend=openvino_genai",
        ),
    ],
)
def test_errors_of_a_backend_are_reported_with_all_other_errors(words: list[str], path: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        job_from_overrides([*words, "generation.max_new_tokens=null"])
    found = {mistake.path: mistake.problem for mistake in raised.value.mistakes}
    assert found.keys() == {path, "generation.max_new_tokens"}
    assert found[path].startswith(problem)


def test_scoring_is_rejected_without_logits() -> None:
    (mistake,) = check(job_from_overrides(["backend=fake", "scoring=text"]))
    assert (mistake.path, mistake.problem) == ("scoring", "backend=fake has no logits to score")
