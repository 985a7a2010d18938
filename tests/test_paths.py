"""Only regular files are read: a pipe may block forever, and a device may never end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import hforch

from hforch.config.yaml_nodes import MOST_YAML, read_yaml
from hforch.utils.paths import open_file, read_text


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.yaml")
    return folder / "pipe.yaml"


def sparse(folder: Path) -> Path:
    with (folder / "sparse.yaml").open("wb") as file:
        file.truncate(2**40)
    return folder / "sparse.yaml"


NO_FILES = {
    "a pipe": (pipe, "a pipe, not a file"),
    "a device": (lambda _: Path("/dev/zero"), "a device, not a file"),
    "a directory": (lambda folder: folder, "a directory, not a file"),
    "a terabyte of nothing": (sparse, "too large: 1,099,511,627,776 bytes"),
}
READERS = {
    "inputs": ["backend=fake", "inputs=file", "inputs.path={}", "inputs.format=txt"],
    "a text to score": ["backend=fake", "scoring=text", "scoring.text.path={}"],
    "a schema of checks": ["backend=fake", "checks=json", "checks.items=[{{json_schema: '{}'}}]"],
    "a schema of answers": ["backend=fake", "generation.json_schema={}"],
    "a recipe": ["run", "{}"],
}


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("reader", READERS)
def test_only_files_are_accepted(reader: str, kind: str, tmp_path: Path) -> None:
    make, said = NO_FILES[kind]
    path = make(tmp_path)
    done = hforch(*(word.format(path) for word in READERS[reader]), f"hydra.run.dir={tmp_path / 'out'}", code=2)
    assert said.partition(":")[0] in done.stderr
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr


def test_line_ends_are_normalized(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("ä\r\nb\rc\n".encode("latin-1"))
    assert read_text(tmp_path / "x", "latin-1") == "ä\nb\nc\n"
    with pytest.raises(OSError, match=r"too large: 7 bytes \(maximum 3\)"):
        open_file(tmp_path / "x", 3)


def test_aliases_that_make_billions_of_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    recipe, conf = tmp_path / "bomb.yaml", tmp_path / "conf"
    recipe.write_text("\n".join(lines))
    (conf / "model").mkdir(parents=True)
    (conf / "model" / "bomb.yaml").write_text("\n".join(lines))
    assert "aliases" in hforch("run", str(recipe), code=2).stderr
    done = hforch("--config-dir", str(conf), "model=bomb", "backend=fake", "--dry-run", code=2, timeout=30)
    assert "its aliases expand to more than 200,000 values" in done.stderr
    assert "model/bomb.yaml" in done.stderr


def test_a_recursive_alias_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "circle.yaml").write_text("name: &a [*a]\n")
    done = hforch("--config-dir", str(tmp_path), "model=circle", "backend=fake", "--dry-run", code=2, timeout=30)
    assert "model/circle.yaml" in done.stderr


def test_a_few_aliases_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: &a [1, 2]\nb: *a\n")
    assert "*a" in read_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize("place", ["recipe", "option"])
def test_a_huge_yaml_file_is_refused_unread(place: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "large.yaml"
    file.write_text("a: [" + "x, " * (MOST_YAML // 2) + "]\n")
    words = ["run", str(file)] if place == "recipe" else ["--config-dir", str(tmp_path), "model=large"]
    done = hforch(*words, "--dry-run", code=2, timeout=30)
    assert "too large" in done.stderr and "(maximum 1,048,576)" in done.stderr


@pytest.mark.parametrize("text", ["[" * 10_000 + "]" * 10_000, "\n  " + "- " * 10_000, "{a: " * 200_000])
def test_ten_thousand_levels_of_nesting_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text(f"a: {text}")
    assert "nested too deeply" in hforch("run", str(tmp_path / "deep.yaml"), code=2, timeout=30).stderr
