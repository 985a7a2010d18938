"""`prompt=auto`: chat messages if the model has a chat template, otherwise the question alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from command_line import hforch, run
from hub_server import Hub, served

from hforch.auto_prompt import settle
from hforch.config.compose import job_from_overrides
from hforch.config.options import option
from hforch.config.schema import AutoPrompt
from hforch.errors import ConfigError
from hforch.records.record_files import read_record, read_samples

TEMPLATE = "{% for one in messages %}<{{ one['role'] }}>{{ one['content'] }}{% endfor %}<assistant>"
QUICK = ("generation.max_new_tokens=2", "runtime.warmup=0")


@pytest.fixture(scope="module")
def with_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("tiny") / "chat", TEMPLATE)


@pytest.fixture
def hub(with_template: Path) -> Iterator[Hub]:
    with served(with_template) as server:
        yield server


def local(folder: Path) -> tuple[str, str]:
    return "model=local", f"model.path={folder}"


def chosen(*words: str) -> str | None:
    return settle(job_from_overrides(words)).option


def prompt_of(directory: Path) -> str:
    return next(iter(read_samples(directory)))["prompt"]


def test_it_has_the_values_of_chat_and_question() -> None:
    auto, chat, question = (option("prompt", name) for name in ("auto", "chat", "question"))
    assert auto == {**question, **chat, "kind": "auto", "template": None}


def test_the_defaults_use_it() -> None:
    assert isinstance(job_from_overrides([]).prompt, AutoPrompt)
    settled = settle(job_from_overrides(["backend=fake", "prompt.system=Be brief.", "prompt.echo=true"]))
    assert settled.job == job_from_overrides(
        ["backend=fake", "prompt=chat", "prompt.system=Be brief.", "prompt.echo=true"]
    )


def test_a_template_is_the_prompt_of_every_model() -> None:
    job = job_from_overrides(["prompt.template='Q: {question}'"])
    assert job == job_from_overrides(["prompt=step_by_step", "prompt.template='Q: {question}'"])
    with pytest.raises(ConfigError, match=r"prompt\.system"):
        job_from_overrides(["prompt.template='Q: {question}'", "prompt.system=Be brief."])


def test_other_prompts_are_unchanged() -> None:
    job = job_from_overrides(["prompt=step_by_step"])
    assert settle(job).job is job


@pytest.mark.model
def test_the_files_of_a_model_decide(with_template: Path, tiny_gpt2: Path) -> None:
    assert chosen(*local(with_template)) == "chat"
    assert chosen(*local(tiny_gpt2)) == "question"
    assert chosen(*local(tiny_gpt2), '+prompt.chat_template_kwargs.chat_template="x"') == "chat"
    assert chosen(*local(with_template), "backend=openvino") == "chat"


def test_a_gguf_file_decides_before_it_is_converted(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    for template, expected in (("", "question"), (TEMPLATE, "chat")):
        writer = GGUFWriter(tmp_path / f"{expected}.gguf", "llama")
        if template:
            writer.add_chat_template(template)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        assert chosen("model=gguf", f"model.path={tmp_path / expected}.gguf") == expected


@pytest.mark.model
def test_a_partial_download_decides_nothing(tmp_path: Path, tiny_gpt2: Path) -> None:
    for file in tiny_gpt2.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert chosen(*local(tmp_path)) is None
    assert chosen(*local(tmp_path / "none")) is None


@pytest.mark.parametrize("remote", ["false", "true"])
def test_a_backend_that_formats_messages_itself_needs_no_template(remote: str) -> None:
    assert chosen("backend=fake", f"backend.remote={remote}", "model=gguf", "model.path=none.gguf") == "chat"


@pytest.mark.model
def test_jobs_are_planned_recorded_compared_and_frozen_with_it(
    tmp_path: Path, tiny_gpt2: Path, with_template: Path
) -> None:
    words = ("-m", "model=local", f"model.path={tiny_gpt2},{with_template}", "prompt=auto,question,chat", *QUICK)
    plan = hforch(*words, "--dry-run")
    assert "skipped: identical to job 0" in plan.stdout and "skipped: identical to job 3" in plan.stdout
    assert f"prompt=auto is prompt=question for {tiny_gpt2}." in plan.stdout
    assert f"prompt=auto is prompt=chat for {with_template}." in plan.stdout
    done = tmp_path / "auto"
    hforch("-m", "model=local", f"model.path={tiny_gpt2},{with_template}", *QUICK, f"hydra.sweep.dir={done}")
    first, second = (read_record(done / name) for name in "01")
    assert (first["auto_prompt"], first["job"]["prompt"]["kind"]) == ("question", "raw")
    assert (second["auto_prompt"], second["job"]["prompt"]["kind"]) == ("chat", "chat")
    assert prompt_of(done / "0") == "What is the capital of France?"
    assert prompt_of(done / "1") == "<user>What is the capital of France?<assistant>"
    frozen = tmp_path / "frozen.yaml"
    hforch("freeze", str(done / "1"), "-o", str(frozen))
    assert "auto" not in [one.get("prompt") for one in _defaults(frozen)]
    hforch("verify", str(frozen), "--output", str(tmp_path / "again"))


def _defaults(recipe: Path) -> list[dict[str, Any]]:
    import yaml

    return list(yaml.safe_load(recipe.read_text(encoding="utf-8"))["defaults"])


@pytest.mark.model
def test_settings_of_a_chat_without_effect_cause_a_warning(tmp_path: Path, tiny_gpt2: Path) -> None:
    words = ("prompt.system=Be brief.", *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    done = hforch(*local(tiny_gpt2), *words)
    assert "prompt.system: has no effect" in done.stdout + done.stderr
    assert prompt_of(tmp_path / "run") == "What is the capital of France?"


@pytest.mark.model
@pytest.mark.processes
def test_a_model_that_must_be_downloaded_decides_after_the_download(hub: Hub, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    env |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url}
    words = ("model=hub", "model.id=org/tiny", *QUICK)

    def ran(*words: str) -> None:
        done = run(*words, env=env, cold=True)
        assert done.returncode == 0, done.stdout + done.stderr

    sweep = tmp_path / "sweep"
    ran("-m", *words, "prompt=auto,raw", f"hydra.sweep.dir={sweep}")
    record = read_record(sweep / "0")
    assert (record["status"], record["auto_prompt"], record["job"]["prompt"]["kind"]) == ("ok", "chat", "chat")
    assert prompt_of(sweep / "0") == "<user>What is the capital of France?<assistant>"
    assert json.loads((sweep / "sweep.json").read_text())["jobs"][0]["job"]["prompt"]["kind"] == "auto"
    (sweep / "0" / "samples.jsonl").write_text("")
    ran("resume", str(sweep))
    again = read_record(sweep / "0")
    assert again["job_id"] == record["job_id"]
    assert prompt_of(sweep / "0") == "<user>What is the capital of France?<assistant>"


@pytest.mark.model
def test_load_chain_uses_it(tiny_gpt2: Path, with_template: Path) -> None:
    from hforch import load_chain

    for folder, named in ((tiny_gpt2, "question"), (with_template, "chat")):
        auto, explicit = (load_chain(*local(folder), *more, QUICK[0]) for more in ((), (f"prompt={named}",)))
        assert auto.first == explicit.first  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_default_run_is_a_good_answer(tmp_path: Path) -> None:
    done = hforch(f"hydra.run.dir={tmp_path / 'run'}")
    (sample,) = read_samples(tmp_path / "run")
    assert (sample["text"], sample["finish_reason"]) == ("The capital of France is Paris.", "eos")
    assert "The capital of France is Paris." in done.stdout
