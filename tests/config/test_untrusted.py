"""Recipes and records are data: none of their names reaches pip, a path or Hydra unchecked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from command_line import hforch

from hforch.config.compose import compose, job_from_overrides
from hforch.config.diagnose.quoting import quoted
from hforch.config.untrusted import has_only_references, unsafe_overrides
from hforch.errors import ConfigError

HARMLESS = [
    "backend=pytorch,openvino",
    "+model=hub",
    "model.id=ORG/NAME",
    "model.trust_remote_code=false",
    "prompt.template='{question} in ${runtime.seed}'",
    "precision.group_size=${oc.select:precision.other,64}",
    "ov_config=kv_u8",
    "+ov_config.PERFORMANCE_HINT=LATENCY",
    "~runtime.seed",
    "hydra/launcher=joblib",
    "hydra.launcher.n_jobs=2",
    "hydra.mode=MULTIRUN",
]
MORE_THAN_DATA = [
    "hydra.callbacks.x._target_=os.system",
    "+hydra.callbacks={x: {_target_: os.system}}",
    "hydra/job_logging=evil",
    "hydra.launcher._target_=os.system",
    "hydra/launcher=../evil",
    "hydra.searchpath=[file:///tmp]",
    "hydra.sweep.subdir=../../x",
    "hydra.job.env_set.PYTHONSTARTUP=x",
    "model.trust_remote_code=true",
    "model={trust_remote_code: true}",
    "model={trust_remote_code: false}",
    "++model.trust_remote_code=1",
    "+ov_config.CACHE_DIR=/tmp/x",
    "ov_config={cache_dir: /tmp/x}",
    "prompt.template=${oc.env:TOKEN}",
    "prompt.template='\\${oc.env:TOKEN}'",
    "inputs.path=${oc.decode:x}",
    "prompt.template=$HOME",
    "--config-dir=/tmp/x",
    "-m",
    "",
    "evil=1",
    "@x=1",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_overrides_are_accepted(text: str) -> None:
    assert list(unsafe_overrides([text])) == []


@pytest.mark.parametrize("text", MORE_THAN_DATA)
def test_other_overrides_are_reported(text: str) -> None:
    assert [found for found, _ in unsafe_overrides(["runtime.seed=1", text])] == [text]


@pytest.mark.parametrize(
    ("text", "once", "twice"),
    [
        ("plain", True, True),
        ("${runtime.seed} ${.x} ${oc.select:model.id, a b}", True, True),
        ("\\${oc.env:A}", True, False),
        ("\\\\${oc.env:A}", False, False),
        ("${oc.env:A}", False, False),
        ("${runtime.${x}}", False, False),
        ("${hydra:run.dir}", False, False),
    ],
)
def test_only_plain_references_are_accepted(text: str, once: bool, twice: bool) -> None:
    assert (has_only_references(text), has_only_references(text, read_twice=True)) == (once, twice)


HOSTILE = {
    "package": [
        "./evil",
        "-rrequirements.txt",
        "evil @ file:///x",
        "a/b",
        "a b",
        "",
        "evil==1;x",
        "../x",
        "é",
        "a\n-r",
    ],
    "version": ["1.tar.gz", "x/../../..", "1.0.*", "1 --pre", "", "1;x", "1.0\n", "v1", "latest", "=1", "1.0-1"],
    "file": ["/etc/x.gguf", "../x.gguf", "a/../x.gguf", "a/./x.gguf", "a//x.gguf", "a\\x.gguf", "", "a/..", "\n.gguf"],
    "sha256": ["0" * 63, "G" * 64, "../" + "0" * 61, "0" * 65],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in HOSTILE.items() for value in values])
def test_names_that_reach_pip_and_the_cache_are_checked(tmp_path: Path, key: str, value: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"model": {key: value}, "runtime": {"repeat": 2}}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        compose([], recipe=recipe)
    assert [mistake.path for mistake in caught.value.mistakes] == [f"model.{key}"]


@pytest.mark.parametrize("revision", ["../x", "a/../b", "/x", "-x", "a b", "", ".", "a\\b", "a/", "a\n"])
def test_a_revision_is_not_a_path(revision: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["model=hub", "model.id=a/b", f"model.revision={quoted(revision)}"])
    assert [mistake.path for mistake in caught.value.mistakes] == ["model.revision"]


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/3", "feature/a-b_c", "0123456789abcdef"])
def test_valid_revisions_are_accepted(revision: str) -> None:
    job = job_from_overrides(["model=hub", "model.id=a/b", f"model.revision={quoted(revision)}"])
    assert job.model.revision == revision  # type: ignore[union-attr]


@pytest.mark.parametrize("version", ["1", "0.1.2", "2!1.0", "1.0rc1", "1.0.post2.dev3", "1.0+cpu.1"])
def test_valid_versions_are_accepted(version: str) -> None:
    assert job_from_overrides([f"model.version='{version}'"]).model.version == version  # type: ignore[union-attr]


def test_a_recipe_whose_name_looks_like_an_override_is_a_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "runtime.seed=3.yaml"
    recipe.write_text("defaults: [{backend: fake}]\ngeneration: {max_new_tokens: 5}\n")
    told = hforch("run", recipe.name, "--cfg", "job", cwd=tmp_path).stdout
    assert yaml.safe_load(told)["generation"]["max_new_tokens"] == 5
    told = hforch("run", "runtime.seed=4", str(recipe), "--cfg", "job", cwd=tmp_path).stdout
    assert yaml.safe_load(told)["runtime"]["seed"] == 4
    assert "requires a recipe" in hforch("run", "runtime.seed=5.yaml", cwd=tmp_path, code=2).stderr
