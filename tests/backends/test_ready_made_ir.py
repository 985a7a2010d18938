"""Tests of IRs that hforch did not export: with a KV cache in inputs, and without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import EXACT

from hforch.backends.ov.device import if_cached
from hforch.errors import ConfigError
from hforch.utils.cache_home import cache_home

pytestmark = pytest.mark.model

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="module")
def export(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that exports the checkpoint with arguments of optimum-intel."""
    from optimum.intel import OVModelForCausalLM
    from transformers import AutoTokenizer

    def export(name: str, **arguments: Any) -> Path:
        folder = tmp_path_factory.mktemp("ir") / name
        model = OVModelForCausalLM.from_pretrained(str(checkpoint), export=True, compile=False, **arguments)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
        return folder

    return export


def overrides(folder: Path, backend: str) -> tuple[str, ...]:
    return ("model=local", f"model.path={folder}", f"backend={backend}", "generation.max_new_tokens=8", *EXACT)


@pytest.mark.filterwarnings("ignore")  # of the export
def test_an_ir_without_kv_cache_is_rejected_with_a_remedy_that_works(checkpoint: Path, export: Any, load: Any) -> None:
    folder = export("without", use_cache=False)
    for backend in ("openvino", "openvino_genai"):
        with pytest.raises(ConfigError, match=r"has no KV cache.*load the torch checkpoint.*with-past") as caught:
            load(*overrides(folder, backend))
        assert caught.value.mistakes[0].path == "model.path" and "use_cache" not in str(caught.value)
        assert load(*overrides(checkpoint, backend)).invoke(PROMPT)


@pytest.mark.filterwarnings("ignore")
def test_an_ir_with_its_kv_cache_in_inputs_runs_on_the_backend_that_the_error_names(
    checkpoint: Path, export: Any, load: Any
) -> None:
    folder = export("inputs", stateful=False)
    with pytest.raises(ConfigError, match=r"stateful=False\), which backend=openvino_genai .*; use backend=openvino$"):
        load(*overrides(folder, "openvino_genai"))
    expected = load(*overrides(checkpoint, "openvino")).invoke(PROMPT)
    assert load(*overrides(folder, "openvino")).invoke(PROMPT) == expected


def test_only_for_a_cached_model_a_hint_suggests_to_check_the_cache(tmp_path: Path) -> None:
    assert if_cached(tmp_path) == ""
    assert "hforch doctor --check-cache" in if_cached(cache_home() / "exports" / "int8-1")
