"""Models from a fake hub server. Each fetch runs in a new process, since huggingface_hub reads its environment once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from hub_server import COMMIT, Hub, served

from hforch.models.folder import choose

FETCH = """
import json, sys
from contextlib import contextmanager
from hforch.config.models.hub import HubModel
from hforch.errors import ModelError
from hforch.models import fetch
class Listener:
    stages, notes, units = [], [], 0
    @contextmanager
    def stage(self, name, detail, total=None):
        self.stages.append([name, total]); yield self.advance
    def advance(self, units): self.units += units
    def note(self, text): self.notes.append(text)
listener, said = Listener(), json.loads(sys.argv[1])
try:
    found = fetch(HubModel(source="hub", trust_remote_code=False, attn_implementation=None, **said), listener)
    answer = {"path": str(found.path), "kind": found.kind, "source": found.source, "download_s": found.download_s}
except ModelError as error:
    answer = {"error": str(error)}
print(json.dumps({**answer, "notes": listener.notes, "stages": listener.stages, "units": listener.units}))
"""
Fetch = Callable[..., dict[str, Any]]


@pytest.fixture
def hub(tiny_gpt2: Path) -> Iterator[Hub]:
    with served(tiny_gpt2) as server:
        yield server


@pytest.fixture
def fetch_hub(tmp_path: Path, python_env: dict[str, str]) -> Fetch:
    base = {name: value for name, value in python_env.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    base |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "http://127.0.0.1:9"}

    def fetch(model: str = "org/tiny", revision: str | None = None, **env: str) -> dict[str, Any]:
        command = [sys.executable, "-c", FETCH, json.dumps({"id": model, "revision": revision})]
        done = subprocess.run(command, env={**base, **env}, capture_output=True, text=True, check=True, timeout=120)
        return dict(json.loads(done.stdout))

    return fetch


@pytest.fixture
def cached(tmp_path: Path, tiny_gpt2: Path) -> Path:
    """The snapshot directory of a copy of org/tiny in huggingface_hub's cache, created without the library."""
    repository = tmp_path / "hf/hub/models--org--tiny"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs/main").write_text(COMMIT)
    for file in tiny_gpt2.iterdir():
        blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(blob)
    return snapshot


def test_relevant_files_are_downloaded_once_and_their_bytes_counted(hub: Hub, fetch_hub: Fetch) -> None:
    first = fetch_hub(HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    assert first["source"] == {"source": "hub", "id": "org/tiny", "revision": None, "commit": COMMIT}
    assert first["download_s"] is not None
    there = {path.name for path in Path(first["path"]).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= there
    assert "README.md" not in there
    size = sum(len(hub.files[name]) for name in there)
    assert ["download", size] in first["stages"]
    assert first["units"] == size
    assert "Bearer hf_secret" in hub.tokens
    assert "hf_secret" not in json.dumps(first)
    hub.served.clear()
    again = fetch_hub(HF_ENDPOINT=hub.url)
    assert again["download_s"] is None
    assert hub.served == []
    assert fetch_hub(HF_HUB_OFFLINE="1")["path"] == first["path"]


def test_a_command_requests_only_the_model(hub: Hub, tmp_path: Path, python_env: dict[str, str]) -> None:
    env = {name: value for name, value in python_env.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    env |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url}
    words = ("model=hub", "model.id=org/nothing", "backend=pytorch", f"hydra.run.dir={tmp_path / 'run'}")
    done = run(*words, env=env, cold=True)
    assert "model not found on the Hub" in done.stdout + done.stderr
    assert set(hub.requested) == {"/api/models/org/nothing"}


def test_a_revision_is_recorded_and_an_unknown_one_is_refused(hub: Hub, fetch_hub: Fetch) -> None:
    assert fetch_hub(revision=COMMIT, HF_ENDPOINT=hub.url)["source"]["revision"] == COMMIT
    error = fetch_hub(revision="v9", HF_ENDPOINT=hub.url)["error"]
    assert "model.revision=v9: branch, tag or commit not found in org/tiny" in error


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("org/nothing", "model not found on the Hub, or private"),
        ("org/gated", "is gated: accept the terms"),
        ("org/broken", "the Hub responded with HTTP 503"),
    ],
)
def test_errors_of_the_hub_are_explained(model: str, said: str, hub: Hub, fetch_hub: Fetch) -> None:
    error = fetch_hub(model, HF_ENDPOINT=hub.url)["error"]
    assert said in error
    assert "Traceback" not in error


def test_a_repository_without_weights_is_refused_before_any_download(hub: Hub, fetch_hub: Fetch) -> None:
    hub.files["tiny.Q4_0.gguf"] = hub.files.pop("model.safetensors")
    error = fetch_hub(HF_ENDPOINT=hub.url)["error"]
    assert "org/tiny on the Hub has no loadable weights" in error
    assert "model=gguf" in error
    assert hub.served == []


def test_an_unreachable_hub_is_reported_within_seconds_with_remedies(fetch_hub: Fetch) -> None:
    start = time.monotonic()
    error = fetch_hub()["error"]
    assert time.monotonic() - start < 20
    assert "the Hub cannot be reached (ConnectError" in error or "the Hub cannot be reached (ConnectionRefused" in error
    for way in ("model=local model.path=DIR", "model=smollm2", "HF_ENDPOINT"):
        assert way in error


def test_an_unwritable_hub_cache_is_named(hub: Hub, fetch_hub: Fetch) -> None:
    said = fetch_hub(HF_ENDPOINT=hub.url, HF_HOME="/dev/null/hf")["error"]
    assert "the Hub cache /dev/null/hf/hub cannot be written (Not a directory)" in said
    assert "HF_HOME" in said


def test_an_unreachable_hub_with_a_cached_copy_is_a_note(cached: Path, fetch_hub: Fetch) -> None:
    found = fetch_hub()
    assert found["path"] == str(cached)
    assert found["source"]["commit"] == COMMIT
    (note,) = found["notes"]
    assert "cannot be reached" in note
    assert "using the cached copy of org/tiny, 0123456789ab" in note


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_the_cached_copy_is_used(variable: str, cached: Path, fetch_hub: Fetch) -> None:
    found = fetch_hub(**{variable: "1"})
    assert found["path"] == str(cached)
    assert found["notes"] == []
    error = fetch_hub("org/other", **{variable: "1"})["error"]
    assert "org/other is not in the cache" in error
    assert "disables access to the Hub" in error


def test_an_incomplete_copy_is_refused_with_the_reason(cached: Path, fetch_hub: Fetch) -> None:
    (cached / "model.safetensors").unlink()
    error = fetch_hub(HF_HUB_OFFLINE="1")["error"]
    assert "The cached copy of org/tiny (" in error
    assert "contains no weights" in error
    assert "disables access to the Hub" in error


@pytest.mark.parametrize("model", ["a/b/c", "no spaces", "-dash", "org/tiny.git"])
def test_an_invalid_model_id_is_refused(model: str, fetch_hub: Fetch) -> None:
    assert "is not a valid Hub model ID" in fetch_hub(model)["error"]


def test_a_folder_as_model_id_has_a_hint_to_use_model_local(tiny_gpt2: Path, fetch_hub: Fetch) -> None:
    assert f"model=local model.path={tiny_gpt2}" in fetch_hub(str(tiny_gpt2))["error"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"], ("model.safetensors",)),
        (["pytorch_model.bin", "flax_model.msgpack"], ("pytorch_model.bin",)),
        (["model.safetensors", "openvino_model.xml", "openvino_model.bin"], ("model.safetensors",)),
        (["openvino_model.xml", "openvino_model.bin"], ("openvino_model.bin", "openvino_model.xml")),
        (["consolidated.safetensors", "adapter_model.safetensors", "model.Q4_0.gguf"], ()),
    ],
)
def test_one_format_of_weights_is_chosen(names: list[str], chosen: tuple[str, ...]) -> None:
    assert choose(names, trust_remote_code=False).weights == chosen


def test_code_is_chosen_only_if_trusted() -> None:
    names = ["config.json", "modeling_x.py", "chat_template.jinja", "model.safetensors", "training_args.bin"]
    assert choose(names, trust_remote_code=False).names == ("chat_template.jinja", "config.json", "model.safetensors")
    assert "modeling_x.py" in choose(names, trust_remote_code=True).names
