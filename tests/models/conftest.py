"""Tiny real models: a GPT-2 with random weights as a directory, and llamas trained on a few sentences as GGUF files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny_ggufs

from hforch.config.models.gguf import GGUFModel
from hforch.config.models.local import LocalModel
from hforch.config.schema import Precision
from hforch.models.gguf_tokenizer import build

REPOSITORY = Path(__file__).resolve().parents[2]


class Listener:
    """A Progress that records its stages, notes and units."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.notes: list[str] = []
        self.units = 0

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        self.stages.append((name, total))
        yield self._advance

    def _advance(self, units: int) -> None:
        self.units += units

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(autouse=True)
def cache_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """An empty cache for each test, except for tests that use the default model."""
    if "default_model" in request.fixturenames:
        return None
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def default_model() -> Any:
    """conf/model/smollm2.yaml in the user's cache, so that it is converted once and not once per test run."""
    import yaml

    from hforch.config.models.wheel import WheelModel

    return WheelModel(**yaml.safe_load((REPOSITORY / "conf/model/smollm2.yaml").read_text()))


def local(path: Path) -> LocalModel:
    return LocalModel(source="local", path=str(path), trust_remote_code=False, attn_implementation=None)


def gguf_model(path: Path) -> GGUFModel:
    return GGUFModel(source="gguf", path=str(path), trust_remote_code=False, attn_implementation=None)


def precision(name: str, group_size: int | None = None, fallback: Any = None) -> Precision:
    return Precision(name=name, group_size=group_size, group_size_fallback=fallback)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make() -> Any:
    """Shorthands for models and precisions."""

    class Make:
        local = staticmethod(local)
        gguf = staticmethod(gguf_model)
        precision = staticmethod(precision)

    return Make


@pytest.fixture(scope="session")
def gguf_fields() -> Callable[..., dict[str, Any]]:
    return tiny_ggufs.fields


@pytest.fixture(scope="session")
def write_gguf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def write(name: str, pre: str = "gpt-2", **changes: Any) -> Path:
        return tiny_ggufs.write(tmp_path_factory.mktemp("gguf") / f"{name}.gguf", pre, **changes)

    return write


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 with random weights, as a torch checkpoint. Copy it before changing its files."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "gpt2"
    tokenizer = build(tiny_ggufs.fields())
    sizes = {"n_positions": 128, "n_embd": 128, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, pad_token_id=0, **sizes)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def gpt2_copy(tiny_gpt2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_gpt2, tmp_path / "gpt2"))


@pytest.fixture
def python_env(cache_home: Path | None) -> dict[str, str]:
    """An environment for subprocesses that import hforch from this repository."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}
