"""`model=ORG/NAME`, `model=./folder` and `model=FILE.gguf` work wherever an option's name does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.config import sweeps
from hforch.config.compose import Composed, compose
from hforch.config.config_dirs import find_config_dirs
from hforch.config.home_paths import with_home
from hforch.config.recipes import opened
from hforch.errors import ConfigError


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("mine", "gpt2", "org/here", "home/m"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "x.gguf").touch()
    (tmp_path / "model.bin").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def source(composed: Composed) -> tuple[str, str]:
    model: Any = composed.job.model
    return model.source, model.id if model.source == "hub" else model.path


REST = "revision: null\ntrust_remote_code: false\nattn_implementation: null\n"
MEANINGS = {
    "gpt2": ("hub", "gpt2"),
    "./gpt2": ("local", "./gpt2"),
    "mine": ("local", "mine"),
    "./mine": ("local", "./mine"),
    "./mine/": ("local", "./mine/"),
    "../mine": ("local", "../mine"),
    "../model/gpt2": ("local", "../model/gpt2"),
    "mine/../../model/gpt2": ("local", "mine/../../model/gpt2"),
    ".": ("local", "."),
    "/none": ("local", "/none"),
    "none/of/these": ("local", "none/of/these"),
    "~/m": ("local", "~/m"),
    "org/here": ("local", "org/here"),
    "ORG/NAME": ("hub", "ORG/NAME"),
    "Qwen/Qwen2.5-0.5B-Instruct": ("hub", "Qwen/Qwen2.5-0.5B-Instruct"),
    "x.gguf": ("gguf", "x.gguf"),
    "not/here.gguf": ("gguf", "not/here.gguf"),
    "model.bin": ("local", "model.bin"),
}


@pytest.mark.parametrize(("name", "meaning"), MEANINGS.items(), ids=MEANINGS)
def test_an_option_comes_before_a_path_and_a_path_before_the_hub(name: str, meaning: tuple[str, str]) -> None:
    composed = compose([f"model={name}"])
    assert source(composed) == meaning
    if name == "gpt2":
        assert composed.notes == ()
    else:
        key = "id" if meaning[0] == "hub" else "path"
        assert composed.notes == (f"model={name} is short for model={meaning[0]} model.{key}={meaning[1]}",)
        assert composed.where(f"model.{key}") == with_home(f"model={name}")


def test_a_folder_that_is_created_later_is_found(tmp_path: Path) -> None:
    assert source(compose(["model=new/one"])) == ("hub", "new/one")
    (tmp_path / "new/one").mkdir(parents=True)
    assert source(compose(["model=new/one"])) == ("local", "new/one")


def test_a_path_is_never_that_of_a_config_file(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("source: hub\nid: evil/model\n" + REST)
    for name in ("./evil", str(tmp_path / "evil"), f"../../../../../../../../..{tmp_path}/evil"):
        (tmp_path / "recipe.yaml").write_text(f"defaults:\n  - model: {name}\n")
        assert source(compose([], recipe=tmp_path / "recipe.yaml")) == ("local", name)
        assert source(compose([f"model={name}"])) == ("local", name)


def test_other_settings_of_the_model_are_kept() -> None:
    model: Any = compose(["model=ORG/NAME", "model.revision=v1", "model.attn_implementation=eager"]).job.model
    assert (model.id, model.revision, model.attn_implementation) == ("ORG/NAME", "v1", "eager")
    with pytest.raises(ConfigError, match=r"model\.revision: unknown key for model=\./mine"):
        compose(["model=./mine", "model.revision=v1"])


@pytest.mark.parametrize("name", ["gtp2", "gpt", "smollm"])
def test_a_typo_is_an_unknown_option(name: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown option(.|\n)*or a model on the Hugging(.|\n)*did you mean model="):
        compose([f"model={name}"])


@pytest.mark.parametrize("name", ["'a b/c'", "null", "''", "'ORG/'"])
def test_other_names_are_unknown_options(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown option"):
        compose([f"model={name}"])


def test_an_own_option_of_that_name_comes_first(tmp_path: Path) -> None:
    (tmp_path / "conf/model/org").mkdir(parents=True)
    for file, name in (("mine", "own/mine"), ("org/here", "own/here")):
        (tmp_path / f"conf/model/{file}.yaml").write_text(f"source: hub\nid: {name}\n{REST}")
    assert source(compose(["model=mine"], config_dir=tmp_path / "conf")) == ("hub", "own/mine")
    assert source(compose(["model=./mine"], config_dir=tmp_path / "conf")) == ("local", "./mine")


def jobs(overrides: list[str], recipe: Path | None = None) -> list[tuple[str, str]]:
    with opened(recipe, find_config_dirs()) as places:
        return [source(one) for one in sweeps.plan(overrides, places, multirun=recipe is None).jobs]


def test_sweeps_recipes_and_exclusions_can_use_them(tmp_path: Path) -> None:
    names = ["gpt2", "ORG/NAME", "./mine", "~/m", "x.gguf"]
    assert jobs([f"model={','.join(names)}"]) == [MEANINGS[name] for name in names]
    file = tmp_path / "recipe.yaml"
    for name in names:
        file.write_text(f"defaults:\n  - model: {name}\n")
        assert source(compose([], recipe=file)) == MEANINGS[name]
    file.write_text(f"hydra: {{sweeper: {{params: {{model: '{','.join(names)}'}}}}}}\nexclude: [{{model: ./mine}}]\n")
    assert jobs([], file) == [MEANINGS[name] for name in names if name != "./mine"]


def test_the_note_and_errors_are_shown_on_the_command_line(tmp_path: Path) -> None:
    done = hforch("backend=fake", "model=ORG/NAME", "hydra.run.dir=run", cwd=tmp_path)
    assert done.stderr.splitlines() == ["note: model=ORG/NAME is short for model=hub model.id=ORG/NAME"]
    assert (tmp_path / "run/record.json").is_file()
    done = hforch("model=gtp2", "hydra.run.dir=typo", code=2, cwd=tmp_path)
    assert "did you mean model=gpt2?" in done.stderr


@pytest.mark.model
def test_load_llm_accepts_a_folder(tmp_path: Path, tiny_gpt2: Path) -> None:
    from hforch import load_llm

    (tmp_path / "tiny").symlink_to(tiny_gpt2)
    llm = load_llm("model=./tiny", "generation.max_new_tokens=2")
    assert isinstance(llm.invoke("One"), str)
    llm.close()
