"""The schemas are those of the types: what hforch takes they take, what it refuses by its shape they refuse."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from hforch.commands.schema import names, schema_of, to_text
from hforch.config.compose import compose, job_from_overrides
from hforch.config.config_dirs import conf_dir
from hforch.config.json_schema import options
from hforch.config.keys import groups
from hforch.errors import ConfigError

ROOT = Path(__file__).parents[2]
OPTIONS = [file for group in groups() for file in sorted((conf_dir() / group).glob("*.yaml"))]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


@cache
def validator_of(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(name))


def accepts(name: str, data: Any) -> bool:
    return bool(validator_of(name).is_valid(data))


@pytest.mark.parametrize("name", names())
def test_it_is_a_schema_and_the_committed_one_is_fresh(name: str) -> None:
    Draft202012Validator.check_schema(schema_of(name))
    committed = (ROOT / "schema" / f"{name}.json").read_text(encoding="utf-8")
    assert committed == to_text(schema_of(name)), "run `make schema`"


def test_no_schema_is_committed_that_is_not_made() -> None:
    assert {file.stem for file in (ROOT / "schema").iterdir()} == set(names())


@pytest.mark.parametrize("file", OPTIONS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_our_own_options_fit(file: Path) -> None:
    assert accepts(file.parent.name, yaml.safe_load(file.read_text()))


def test_our_primary_config_and_recipes_fit() -> None:
    assert len(OPTIONS) > 30 and len(RECIPES) >= 2
    assert accepts("config", yaml.safe_load((conf_dir() / "config.yaml").read_text()))
    for file in RECIPES:
        assert accepts("recipe", yaml.safe_load(file.read_text())), file
        assert "$schema=../schema/recipe.json" in file.read_text()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["backend=openvino", "ov_config=kv_u8", "precision=int4", "prompt=chat", "generation=sample"],
        ["model=hub", "model.id=a/b", "device=gpu", "prompt=raw", "stop=newline", "generation=beam"],
        ["backend=fake", "backend.replies=[{match: a, text: b}]", "inputs=file", "inputs.path=x.csv"],
    ],
)
def test_whole_jobs_fit(overrides: list[str]) -> None:
    assert accepts("job", job_from_overrides(overrides).model_dump(mode="json"))


WRONG: list[Any] = [None, True, -1, 3, 0.5, 10**30, "text", "", [], ["x"], {}, {"x": 1}]


def test_the_job_schema_refuses_what_the_types_refuse() -> None:
    """Every key of a job in turn gets every kind of value; JSON takes 3.0 for an integer, and that is all."""
    tree = job_from_overrides([]).model_dump(mode="json")
    validator = Draft202012Validator(schema_of("job"))
    seen = 0
    for group, part in tree.items():
        for key in part:
            for value in WRONG:
                changed = copy.deepcopy(tree)
                changed[group][key] = value
                refused = any(mistake.path.startswith(f"{group}.{key}") for mistake in _of_shape(changed))
                assert validator.is_valid(changed) != refused, (group, key, value)
                seen += refused
    assert seen > 200


def _of_shape(tree: dict[str, Any]) -> list[Any]:
    from hforch.config.validate import _shape

    return _shape(tree)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("generation", {"defaults": ["greedy"], "max_new_tokens": 8}),
        ("generation", {"max_new_tokens": "${runtime.batch_size}"}),
        ("generation", None),
        ("model", {"defaults": ["local"], "path": "../models/mine"}),
        ("model", {"source": "hub", "id": "???"}),
        ("prompt", {"kind": "chat", "messages": [{"role": "user", "content": "{question}"}]}),
        ("ov_config", {"PERFORMANCE_HINT": "LATENCY", "OF_A_LATER_VERSION": 3}),
        ("recipe", {"defaults": [{"model": "mine"}, {"override hydra/launcher": "joblib"}], "hydra": {}}),
        ("recipe", {"hydra": {"sweeper": {"params": {"precision": "bf16,int8", "+ov_config.NUM_STREAMS": "1,2"}}}}),
        ("recipe", {"hydra": {"launcher": {"n_jobs": 2}}}),
        ("recipe", {"defaults": [{"device": "cuda:1"}, {"device": 0}, {"device": "-1"}]}),
    ],
)
def test_parts_fit(name: str, data: Any) -> None:
    assert accepts(name, {} if data is None else data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("generation", {"max_new_token": 8}),
        ("generation", {"max_new_tokens": "eight"}),
        ("generation", {"max_new_tokens": 0}),
        ("model", {"source": "hubb"}),
        ("model", {"source": "hub", "path": "x"}),
        ("prompt", {"messages": [{"role": "robot", "content": "x"}]}),
        ("recipe", {"modle": {}}),
        ("recipe", {"defaults": [{"modle": "gpt2"}]}),
        ("recipe", {"defaults": ["model"]}),
        ("recipe", {"generation": {"max_new_tokens": -1}}),
        ("recipe", {"hydra": {"run": {"dir": "/tmp"}}}),
        ("recipe", {"hydra": {"sweeper": {"params": {"precison": "bf16"}}}}),
        ("recipe", {"hydra": {"launcher": {"_target_": "x"}}}),
        ("config", {"runtime": {"batch_size": [4]}}),
    ],
)
def test_mistakes_do_not_fit(name: str, data: Any) -> None:
    assert not accepts(name, data)


@pytest.mark.parametrize("group", groups())
def test_what_the_comments_in_conf_say_is_shown(group: str) -> None:
    text = json.dumps(schema_of(group))
    assert all(f'"{name}"' in text for name in options(group))
    if group == "runtime":
        assert "inputs per batch" in text


def test_a_users_own_option_fits_as_it_is_composed(tmp_path: Path) -> None:
    (tmp_path / "generation").mkdir()
    data = {"defaults": ["sample"], "temperature": 0.2}
    (tmp_path / "generation/mine.yaml").write_text(yaml.safe_dump(data))
    assert accepts("generation", data)
    assert compose(["generation=mine"], config_dir=tmp_path).job.generation.temperature == 0.2
    (tmp_path / "generation/mine.yaml").write_text(yaml.safe_dump(data | {"temprature": 1}))
    assert not accepts("generation", data | {"temprature": 1})
    with pytest.raises(ConfigError, match="temprature"):
        compose(["generation=mine"], config_dir=tmp_path)
