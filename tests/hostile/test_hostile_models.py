"""Damaged model files: refused with an error, or used, and never for long."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_models
from hypothesis import given, note
from hypothesis import strategies as st
from rule import attempt, examples, untouched

VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, "", "x", "../../x", "{{ 1/0 }}", "\x1b[31m", [], [[]], {}),
    *({"a": 1}, [None], ["x"] * 50, "{% for x in range(10**9) %}{% endfor %}"),
]
BYTES = [b"\0" * 8, b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"[", b"{", b'"', b"\n", b"NaN", b"[" * 5000, b"\xef\xbb\xbf"]
COMMANDS = {
    "a run": ["runtime.display=plain"],
    "a dry run": ["--dry-run"],
    "a run with chat": ["prompt=chat", "runtime.display=plain"],
}
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("whole") / "model")


def with_other_value(data: bytes, chance: Random) -> bytes:
    """Return JSON in which one value is replaced or removed."""
    try:
        tree = json.loads(data)
    except ValueError:
        return data
    inner, way = tree, 0
    while isinstance(inner, dict) and inner and way < 4:
        key = chance.choice(sorted(inner))
        if (way and chance.random() < 0.6) or not isinstance(inner[key], dict):
            if chance.random() < 0.2:
                del inner[key]
            else:
                inner[key] = chance.choice(VALUES)
            break
        inner, way = inner[key], way + 1
    return json.dumps(tree).encode()


def with_other_bytes(data: bytes, chance: Random) -> bytes:
    near = chance.random() < 0.5  # lengths and headers are there
    at = chance.randrange(min(len(data), 64 if near else len(data)) or 1)
    new = chance.choice(BYTES)
    return data[:at] + new + data[at + (len(new) if chance.random() < 0.7 else 0) :]


def cut(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) or 1)]


DAMAGES: list[Callable[[bytes, Random], bytes]] = [with_other_value, with_other_value, with_other_bytes, cut]


@examples(500, 5)
@given(st.integers(0, 10**9), st.sampled_from(sorted(COMMANDS)))
def test_any_damage_to_a_model_is_reported_or_harmless(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str
) -> None:
    chance = Random(seed)
    folder = tmp_path_factory.mktemp("damaged")
    model = folder / "model"
    shutil.copytree(whole, model)
    for _ in range(chance.choice([1, 1, 1, 2])):
        file = chance.choice(sorted(one for one in model.iterdir() if one.is_file()))
        damage = chance.choice(DAMAGES)
        note(f"{file.name}: {damage.__name__}")
        file.write_bytes(damage(file.read_bytes(), chance))
    (folder / "in").mkdir()
    asked = ["model=local", f"model.path={model}", "backend=pytorch", "precision=fp32", "generation.max_new_tokens=2"]
    with untouched(folder, but=[folder / "in" / "outputs"]):
        attempt(*asked, *COMMANDS[kind], cwd=folder / "in", env={"HF_HUB_OFFLINE": "1"})
    shutil.rmtree(folder)
