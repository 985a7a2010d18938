"""`~` in paths on the command line and in recipes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import hforch, run

from hforch.config.compose import job_from_overrides
from hforch.config.home_paths import with_home
from hforch.utils.paths import expanded

QUOTED = [
    ("inputs.path=~/x.csv", "inputs.path='~/x.csv'"),
    ("inputs.path=~", "inputs.path='~'"),
    ("+ov_config.CACHE_DIR=~me/x", "+ov_config.CACHE_DIR='~me/x'"),
    ("model.path=~/a,~/b c", "model.path='~/a','~/b c'"),
    ("model.path=choice(~/a, ~/b)", "model.path=choice('~/a', '~/b')"),
    (
        "checks.items=[{json_schema: ~/a.json}, {equals: 'a,~b'}]",
        "checks.items=[{json_schema: '~/a.json'}, {equals: 'a,~b'}]",
    ),
    ("inputs.path=~/${prompt.kind}.csv", "inputs.path='~/${prompt.kind}.csv'"),
    ("model.path='~/a',~/b", "model.path='~/a','~/b'"),
]
UNCHANGED = ["~generation.top_k", "~stop=none", "prompt.template=a~b {x}", "inputs.items=['~/x']", 'x="a, ~b"']


@pytest.mark.parametrize(("override", "quoted"), QUOTED)
def test_a_path_in_the_home_directory_is_quoted_for_hydra(override: str, quoted: str) -> None:
    assert with_home(override) == quoted
    assert with_home(quoted) == quoted


@pytest.mark.parametrize("override", UNCHANGED)
def test_other_overrides_are_unchanged(override: str) -> None:
    assert with_home(override) == override


SETTINGS = [
    (["inputs=file", "inputs.path=~/x.csv"], lambda job: job.inputs.path),
    (["model=local", "model.path=~/x.csv"], lambda job: job.model.path),
    (["model=gguf", "model.path=~/x.csv"], lambda job: job.model.path),
    (["scoring=text", "scoring.text.path=~/x.csv"], lambda job: job.scoring.text.path),
    (["generation.json_schema=~/x.csv"], lambda job: job.generation.json_schema),
    (["checks.items=[{json_schema: ~/x.csv}]"], lambda job: job.checks.items[0].value),
    (["+ov_config.CACHE_DIR=~/x.csv"], lambda job: job.ov_config["CACHE_DIR"]),
]


@pytest.mark.parametrize(("words", "value"), SETTINGS, ids=[case[0][-1] for case in SETTINGS])
def test_every_path_setting_may_start_with_a_tilde(words, value) -> None:  # type: ignore[no-untyped-def]
    assert value(job_from_overrides(words)) == "~/x.csv"


def test_a_run_reads_from_and_writes_to_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("why?\n")
    env = {**os.environ, "HOME": str(tmp_path)}
    words = ("backend=fake", "prompt=question", "inputs=file", "inputs.path=~/x.txt", "runtime.warmup=0")
    done = run(*words, "hydra.run.dir=~/out", env=env, cwd=tmp_path, cold=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["paths"] == {"inputs.path": {"given": "~/x.txt", "resolved": str(tmp_path / "x.txt")}}
    done = run("-m", *words, "inputs.path=~/x.txt,~/./x.txt", "hydra.sweep.dir=~/all", env=env, cwd=tmp_path, cold=True)
    assert done.returncode == 0 and (tmp_path / "all" / "1" / "record.json").is_file(), done.stderr
    done = run("resume", str(tmp_path / "out"), env=env, cwd=tmp_path, cold=True)
    assert done.returncode == 0, done.stderr
    done = run("freeze", str(tmp_path / "out"), "--output=~/frozen.yaml", env=env, cwd=tmp_path, cold=True)
    assert done.returncode == 0 and (tmp_path / "frozen.yaml").is_file(), done.stderr
    assert not (tmp_path / "~").exists()


def test_files_may_use_a_tilde_in_directories_and_sweep_parameters(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("why?\n")
    env = {**os.environ, "HOME": str(tmp_path)}
    base = "defaults: [config, {override backend: fake}, {override inputs: file}, {override prompt: question}, _self_]"
    sweeper = "sweeper: {params: {inputs.path: '~/x.txt,~/./x.txt'}}"
    text = f"{base}\nhydra: {{mode: MULTIRUN, sweep: {{dir: ~/all}}, {sweeper}}}\n"
    (tmp_path / "mine.yaml").write_text(text)
    done = run("--config-dir=~", "--config-name", "mine", env=env, cwd=tmp_path, cold=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "all" / "1" / "record.json").read_text())
    assert record["job"]["inputs"]["path"] == "~/./x.txt" and not (tmp_path / "~").exists()


def test_openvino_gets_the_expanded_directory() -> None:
    from hforch.backends.ov.device import properties

    job = job_from_overrides(["backend=openvino", "+ov_config.CACHE_DIR=~/cache"])
    assert properties(job)["CACHE_DIR"] == str(expanded("~/cache"))


def test_a_missing_file_is_reported_with_its_expanded_path() -> None:
    said = hforch("backend=fake", "inputs=file", "inputs.path=~/none.csv", code=2).stderr
    assert f"{Path.home()}/none.csv: no such file" in said
