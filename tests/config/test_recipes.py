"""Recipes are data: what a recipe may contain, and attempts to do more, which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hforch.cli import main
from hforch.config.compose import compose, job_from_overrides
from hforch.config.config_dirs import conf_dir, find_config_dirs
from hforch.config.recipes import opened, read_recipe
from hforch.config.sweeps import plan
from hforch.errors import ConfigError

RECIPES = sorted((conf_dir().parent / "recipes").rglob("*.yaml"))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "r.yaml"


def refused(recipe: Path, text: str) -> str:
    recipe.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_recipe(recipe, find_config_dirs())
    return str(caught.value)


def test_shipped_recipes_are_found() -> None:
    assert len(RECIPES) >= 2


@pytest.mark.parametrize("file", RECIPES, ids=[file.stem for file in RECIPES])
def test_every_shipped_recipe_composes_and_starts_with_a_comment(file: Path) -> None:
    assert file.read_text().startswith("# ")
    with opened(file, find_config_dirs()) as places:
        assert plan([], places, multirun=False).jobs


def test_a_recipe_sets_options_and_values_that_overrides_replace(recipe: Path) -> None:
    recipe.write_text("name: x\ndefaults:\n  - model: gpt2\n  - stop: newline\ngeneration:\n  max_new_tokens: 7\n")
    composed = compose(["stop=none"], recipe=recipe)
    assert composed.job.model.id == "gpt2"  # type: ignore[union-attr]
    assert composed.job.stop.sequences == ()
    assert composed.where("generation.max_new_tokens") == "r.yaml:6"
    assert compose(["generation.max_new_tokens=8"], recipe=recipe).job.generation.max_new_tokens == 8


def test_an_option_on_the_command_line_replaces_the_recipes_values_of_its_group(recipe: Path) -> None:
    recipe.write_text(
        "defaults:\n  - checks: contains_expected\n"
        "inputs:\n  items: [{question: a, expected: b}]\n"
        "prompt:\n  template: '{question}!'\n"
        "generation:\n  max_new_tokens: 3\n"
    )
    kept = job_from_overrides(["generation.top_p=0.5", "generation.do_sample=true"], recipe=recipe)
    assert (kept.generation.max_new_tokens, kept.checks.items[0].kind) == (3, "icontains")
    other = job_from_overrides(["checks=none", "inputs=facts", "prompt=chat", "generation=sample"], recipe=recipe)
    assert (other.checks.items, other.prompt.kind) == ((), "chat")
    assert other.inputs == job_from_overrides(["inputs=facts"]).inputs
    assert other.generation == job_from_overrides(["generation=sample"]).generation


def test_a_note_names_the_replaced_values_of_a_recipe(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("generation:\n  max_new_tokens: 3\n  min_new_tokens: 1\n")
    assert main(["run", str(recipe), "generation=sample", "backend=fake", "--cfg", "job"]) == 0
    note = "note: generation=sample replaces the recipe's values of generation: max_new_tokens, min_new_tokens"
    assert note in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}\n"])
def test_an_empty_recipe_is_refused(recipe: Path, text: str) -> None:
    recipe.write_text(text)
    with pytest.raises(ConfigError, match="the recipe is empty"):
        job_from_overrides([], recipe=recipe)


def test_errors_in_a_recipe_are_reported_with_their_lines(recipe: Path) -> None:
    recipe.write_text("defaults:\n  - model: gpt3\ngeneration:\n  max_new_tokens: lots\n  tokens: 3\n")
    with pytest.raises(ConfigError) as caught:
        compose([], recipe=recipe)
    assert "r.yaml:2" in str(caught.value)
    assert "did you mean model: gpt2?" in str(caught.value)
    recipe.write_text("generation:\n  max_new_tokens: lots\n  tokens: 3\n")
    with pytest.raises(ConfigError) as caught:
        compose([], recipe=recipe)
    assert [mistake.where for mistake in caught.value.mistakes] == ["r.yaml:2", "r.yaml:3"]


def test_strings_in_a_recipe_remain_strings(recipe: Path) -> None:
    recipe.write_text("ov_config:\n  A: '1e3'\n  B: 'null'\n  C: 1e3\n  D: 'true'\n  E: 2026-01-01\n")
    assert compose([], recipe=recipe).job.ov_config == {
        "A": "1e3",
        "B": "null",
        "C": 1000.0,
        "D": "true",
        "E": "2026-01-01",
    }


def test_a_recipe_can_define_a_sweep(recipe: Path) -> None:
    recipe.write_text("hydra:\n  sweeper:\n    params:\n      model: gpt2,smollm2\n      runtime.seed: range(1,4)\n")
    with opened(recipe, find_config_dirs()) as places:
        found = plan([], places, multirun=False)
        narrowed = plan(["runtime.seed=5"], places, multirun=False)
    assert found.multirun
    assert [(job.job.model.source, job.job.runtime.seed) for job in found.jobs] == [
        (source, seed) for source in ("hub", "wheel") for seed in (1, 2, 3)
    ]
    assert len(narrowed.jobs) == 2


def test_errors_in_a_sweep_are_reported_once_with_their_places(recipe: Path) -> None:
    recipe.write_text(
        "hydra:\n  sweeper:\n    params:\n"
        "      model: gpt2,gpt3\n      generation.num_beams: 0,1\n      stop: none,newline\n"
    )
    with opened(recipe, find_config_dirs()) as places, pytest.raises(ConfigError) as caught:
        plan(["runtime.foo=1"], places, multirun=False)
    assert [(mistake.path, mistake.where) for mistake in caught.value.mistakes] == [
        ("generation.num_beams", "r.yaml:5"),
        ("model", "r.yaml:4"),
        ("runtime.foo", "runtime.foo=1"),
    ]


def test_plain_references_between_keys_are_allowed(recipe: Path) -> None:
    recipe.write_text(
        "generation:\n  max_new_tokens: 5\n  min_new_tokens: ${.max_new_tokens}\n"
        "runtime:\n  seed: ${generation.max_new_tokens}\n  threads: ${oc.select:runtime.nope,3}\n"
    )
    job = compose([], recipe=recipe).job
    assert (job.generation.min_new_tokens, job.runtime.seed, job.runtime.threads) == (5, 5, 3)


def test_an_escaped_interpolation_is_text(recipe: Path) -> None:
    recipe.write_text("stop:\n  sequences: ['\\${oc.env:HOME}', '\\\\\\${x}']\n")
    assert compose([], recipe=recipe).job.stop.sequences == ("${oc.env:HOME}", "\\${x}")


DANGEROUS = {
    "a callback": "hydra:\n  callbacks:\n    x:\n      _target_: shutil.copy\n",
    "a target among our keys": "prompt:\n  chat_template_kwargs:\n    x:\n      _target_: os.system\n",
    "a target in a list": "inputs:\n  items:\n    - question: {_target_: os.system}\n",
    "a launcher's target": "hydra:\n  launcher:\n    _target_: os.system\n",
    "a launcher's string setting": "hydra:\n  launcher:\n    executor: evil\n",
    "a sweeper's target": "hydra:\n  sweeper:\n    _target_: os.system\n",
    "the output directory": "hydra:\n  run:\n    dir: /tmp/elsewhere\n",
    "the sweep directory": "hydra:\n  sweep:\n    dir: /tmp/elsewhere\n",
    "the output subfolder": "hydra:\n  output_subdir: ../../elsewhere\n",
    "the working directory": "hydra:\n  job:\n    chdir: true\n",
    "the environment": "hydra:\n  job:\n    env_set:\n      PATH: /tmp\n",
    "logging": "hydra:\n  job_logging:\n    handlers:\n      x:\n        class: os.system\n",
    "a logging choice": "defaults:\n  - override hydra/job_logging: default\n",
    "a search path": "hydra:\n  searchpath:\n    - file:///tmp\n",
    "a callbacks choice": "defaults:\n  - hydra/callbacks: x\n",
    "another sweeper": "defaults:\n  - override hydra/sweeper: evil\n",
    "a package": "defaults:\n  - model@hydra.callbacks: gpt2\n",
    "a path for an option": "defaults:\n  - prompt: ../../../tmp/evil\n",
    "an absolute option": "defaults:\n  - prompt: /tmp/evil\n",
    "an interpolated option": "defaults:\n  - model: ${oc.env:HOME}\n",
    "a path for a swept option": "hydra:\n  sweeper:\n    params:\n      prompt: chat,../../evil\n",
    "a swept setting of Hydra": "hydra:\n  sweeper:\n    params:\n      hydra.run.dir: /tmp/a,/tmp/b\n",
    "a swept package": "hydra:\n  sweeper:\n    params:\n      model@hydra: gpt2\n",
    "an environment variable": "generation:\n  max_new_tokens: ${oc.env:SECRET}\n",
    "an environment variable inside a reference": "model:\n  id: ${model.${oc.env:SECRET}}\n",
    "an environment variable as a default": "model:\n  id: ${oc.select:model.x,${oc.env:SECRET}}\n",
    "an environment variable in a key": "ov_config:\n  ${oc.env:SECRET}: 1\n",
    "an environment variable in a sweep": "hydra:\n  sweeper:\n    params:\n      model.id: a,${oc.env:SECRET}\n",
    "an unknown resolver": "model:\n  id: ${anything:x}\n",
    "a hidden interpolation": "hydra:\n  sweeper:\n    params:\n      model.revision: a,$\\{oc.env\\:HOME\\}\n",
    "an escaped interpolation that a sweep unescapes": (
        "model:\n  revision: '\\${oc.env:HOME}'\n"
        "hydra:\n  sweeper:\n    params:\n      model.id: 'a,${model.revision}'\n"
    ),
    "an escaped backslash before an interpolation": "model:\n  id: '\\\\${oc.env:HOME}'\n",
    "trust in code": "model:\n  trust_remote_code: true\n",
    "trust in code by reference": "model:\n  trust_remote_code: ${runtime.fail_fast}\n",
    "trust in code through another mapping": "model: ${prompt.chat_template_kwargs}\n",
    "trust in code, swept": "hydra:\n  sweeper:\n    params:\n      model.trust_remote_code: true\n",
    "trust in code, swept as a mapping": "hydra:\n  sweeper:\n    params:\n      model: '{trust_remote_code: true}'\n",
    "trust among the chat template's": "prompt:\n  chat_template_kwargs:\n    trust_remote_code: true\n",
    "a cache directory": "ov_config:\n  CACHE_DIR: /tmp/elsewhere\n",
    "a kernel config file": "ov_config:\n  CONFIG_FILE: evil.xml\n",
    "a cache directory, swept": "hydra:\n  sweeper:\n    params:\n      +ov_config.CACHE_DIR: a,b\n",
    "a cache directory, swept as a mapping": "hydra:\n  sweeper:\n    params:\n      ov_config: '{CACHE_DIR: a}'\n",
    "Hydra's own values": "model:\n  id: ${hydra.runtime.cwd}\n",
    "a python tag": "model: !!python/object/apply:os.system [id]\n",
    "an unknown tag": "model: !evil x\n",
    "a path tag": "model:\n  id: !!python/object/apply:pathlib.Path [x]\n",
    "an alias": "model: &a {id: x}\nstop: *a\n",
    "a merge key": "model:\n  <<: {_target_: os.system}\n",
    "two documents": "model: {}\n---\nhydra: {run: {dir: /tmp}}\n",
    "a duplicate key": "hydra:\n  sweeper: {}\n  sweeper: {}\n",
    "a target in the frozen section": "frozen:\n  job:\n    _target_: os.system\n",
    "an unknown frozen key": "frozen:\n  run: os.system\n",
    "a frozen string": "frozen: os.system\n",
    "an unknown group": "modle:\n  id: x\n",
    "a defaults list that is a mapping": "defaults: {model: gpt2}\n",
    "a config in the defaults": "defaults:\n  - /tmp/evil\n",
    "not a mapping": "- model: gpt2\n",
    "invalid YAML": "model: [\n",
}


@pytest.mark.parametrize("text", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_a_dangerous_recipe_is_refused(recipe: Path, text: str) -> None:
    message = refused(recipe, text)
    assert "r.yaml:" in message
    assert "Traceback" not in message
    with pytest.raises(ConfigError):
        compose([], recipe=recipe)
    assert list(recipe.parent.iterdir()) == [recipe]


def test_all_errors_in_a_recipe_are_reported_together(recipe: Path) -> None:
    message = refused(
        recipe,
        "defaults:\n  - modle: gpt2\nhydra:\n  run:\n    dir: /tmp\n"
        "generaton:\n  top_k: 3\nmodel:\n  id: ${oc.env:X}\n",
    )
    for part in ("r.yaml:2", "did you mean model?", "hydra.run", "did you mean generation?", "r.yaml:9"):
        assert part in message


def test_a_missing_recipe_is_an_error(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the recipe: no such file"):
        compose([], recipe=recipe)


def test_a_sweep_can_use_globs_and_lists_of_options(recipe: Path) -> None:
    recipe.write_text("hydra:\n  sweeper:\n    params:\n      stop: glob(n*)\n      model: gpt2, smollm2\n")
    with opened(recipe, find_config_dirs()) as places:
        assert len(plan([], places, multirun=False).jobs) == 4


def test_the_user_who_runs_a_recipe_can_trust_code(recipe: Path) -> None:
    recipe.write_text("defaults:\n  - model: gpt2\nov_config:\n  CACHE_DIR: ''\n")
    assert compose(["model.trust_remote_code=true"], recipe=recipe).job.model.trust_remote_code


def test_a_recipe_can_set_a_launcher_and_its_numbers(recipe: Path) -> None:
    recipe.write_text("defaults:\n  - override hydra/launcher: basic\nhydra:\n  launcher: {}\n")
    compose([], recipe=recipe)
