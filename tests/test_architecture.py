"""Packages only import earlier ones in the order of the data flow, and heavy libraries are imported late."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from backends_tested import BACKENDS

import hforch

ROOT = Path(hforch.__file__).parent
WALK = [
    {"utils", "errors", ""},
    {"statistics"},
    {"checks", "launchers", "trackers"},
    {"config"},
    {"machine"},
    {"models"},
    {"input_files"},
    {"inputs"},
    {"generation"},
    {"backends"},
    {"auto_prompt"},
    {"prompt_templates"},
    {"prompts"},
    {"chain"},
    {"metrics"},
    {"records"},
    {"load_profiles"},
    {"scoring"},
    {"runs"},
    {"comparison"},
    {"report"},
    {"app", "commands", "cli", "__main__", "api"},
]
"""The packages in their order; the root package itself (its version) comes first."""

HEAVY = ["torch", "transformers", "langchain", "langchain_core", "langchain_huggingface", "openvino", "optimum"]


def rank(room: str) -> int:
    return next(number for number, rooms in enumerate(WALK) if room in rooms)


def room_of(file: Path) -> str:
    first = file.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hforch":
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "hforch")


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_packages_only_import_earlier_ones(file: Path) -> None:
    if file.name == "__init__.py" and file.parent == ROOT:
        return  # the public API, which imports all packages late
    here = rank(room_of(file))
    forward = [name for name in imported(file) if rank([*name.split("."), ""][1]) > here]
    assert not forward


def graph_of(root: Path) -> dict[str, set[str]]:
    """Return the imports between the modules of a package, anywhere except under TYPE_CHECKING."""
    files = {module_of(file, root): file for file in root.rglob("*.py")}
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in files.items()}
    return {name: {one for one in _imports(tree, files) if one in files} - {name} for name, tree in trees.items()}


def module_of(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(node: ast.AST, modules: Collection[str]) -> Iterator[str]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        nodes: list[ast.AST] = [*node.orelse]
    else:
        nodes = [*ast.iter_child_nodes(node)]
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = (f"{node.module}.{name.name}" for name in node.names)
        yield from (name if name in modules else node.module for name in names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "import_module":
        # An f-string selects one of several modules, so it is not a dependency on a specific one.
        yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))
    for inner in nodes:
        yield from _imports(inner, modules)


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """Return modules that form an import cycle, with the first one repeated at the end; [] if there is no cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_are_no_import_cycles() -> None:
    graph = graph_of(ROOT)
    assert graph["hforch.app.shell_completion"] >= {"hforch.commands"}  # imported inside a function
    assert cycle_in(graph) == []


LATE = "def f():\n    from package.{} import it\n"


@pytest.mark.parametrize(
    ("texts", "is_cycle"),
    [
        ({"one": "from package.two import it", "two": LATE.format("one")}, True),
        ({"one": "from package import two", "two": LATE.format("three"), "three": "import package.one"}, True),
        ({"one": "import_module('package.two')", "two": "import package.one"}, True),
        ({"one": "from package.two import it", "two": "it = 1"}, False),
        ({"one": "from package.two import it", "two": "if TYPE_CHECKING:\n    from package.one import it"}, False),
        ({"one": "import_module(f'package.{name}')", "two": "import package.one"}, False),
    ],
)
def test_import_cycles_are_found(texts: Mapping[str, str], is_cycle: bool, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for name, text in {"__init__": "", **texts}.items():
        (package / f"{name}.py").write_text(text)
    assert bool(cycle_in(graph_of(package))) == is_cycle


def test_every_package_has_a_place_in_the_order() -> None:
    assert len(FILES) > 40
    assert {room_of(file) for file in FILES} == set().union(*WALK)


@pytest.mark.parametrize(
    "words",
    [
        *(["--help"], ["--cfg", "job"], ["--version"], ["--info"], ["run", "--help"]),
        ["backend=fake", "--dry-run"],
    ],
)
def test_commands_that_run_nothing_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
from hforch.cli import main
try:
    code = main({words!r})
finally:
    print("LOADED", [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "LOADED []" in done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = f"import sys, hforch; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_backends_for_their_capabilities_imports_nothing_heavy() -> None:
    modules = ", ".join(f"hforch.backends.{name}" for name in ("fake", *BACKENDS))
    program = f"import sys, {modules}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_config_imports_hydra_and_omegaconf() -> None:
    for file in FILES:
        if room_of(file) in ("config", "app", "cli"):
            continue
        text = file.read_text(encoding="utf-8")
        assert "import hydra" not in text and "from hydra" not in text and "omegaconf" not in text, file


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_pages_for_contributors_name_files_that_exist(page: str) -> None:
    """Paths are relative to the repository, to `hforch/`, or to the folder mentioned last."""
    text = (ROOT.parent / page).read_text(encoding="utf-8")
    folder, gone = ROOT, []
    for path in re.findall(r"`((?:\w+/)*\w*\.py|(?:\w+/)+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        if "NAME" in path or "GROUP" in path:
            continue
        found = next((place / path for place in (ROOT.parent, ROOT, folder) if (place / path).exists()), None)
        if found is None and not any(ROOT.rglob(path)):
            gone.append(path)
        elif found is not None:
            folder = found if found.is_dir() else found.parent
    assert gone == []
    assert len(re.findall(r"`[\w/]+\.py`", text)) > 3
