"""Invalid values of Hydra's own settings are reported as config errors before a job runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import hforch

FAKE = ["backend=fake", "inputs=numbers_in_french"]
TWO = ["-m", *FAKE, "runtime.seed=1,2"]
WRONG = {
    "hydra.verbose={a: 1}": ("hydra.verbose", "must name loggers"),
    "hydra.verbose=3": ("hydra.verbose", "must name loggers"),
    "hydra.verbose=[1]": ("hydra.verbose", "must name loggers"),
    "hydra.job.env_copy=[HFORCH_NOT_SET]": ("hydra.job.env_copy", "variable HFORCH_NOT_SET is not set"),
    "+hydra.callbacks.x={a: 1}": ("hydra.callbacks.x", "needs a _target_"),
    "+hydra.callbacks.x._target_=nope.Nope": ("hydra.callbacks.x._target_", "No module named 'nope'"),
    "hydra.job_logging.version=7": ("hydra", "Unsupported version: 7"),
    "hydra.job_logging.root.level=LOUD": ("hydra", "'LOUD'"),
    "hydra.run.dir=${nope}": ("hydra.run.dir", "'nope' not found"),
    "hydra.sweeper.params={a: b}": ("hydra.sweeper.params.a", "unknown key"),
    "hydra.launcher=3": ("hydra.launcher", "Hydra's settings"),
    "hydra.launcher._target_=os.system": ("hydra.launcher._target_", "os.system is not an installed launcher"),
    "hydra.sweeper._target_=nope.Nope": ("hydra.sweeper._target_", "nope.Nope is not an installed sweeper"),
    "hydra.sweep.subdir=${nope}": ("hydra.sweep.subdir", "'nope' not found"),
}


@pytest.mark.parametrize("words", [FAKE, TWO], ids=["run", "sweep"])
@pytest.mark.parametrize("override", WRONG)
def test_an_invalid_setting_is_reported_with_its_path(words: list[str], override: str, tmp_path: Path) -> None:
    path, problem = WRONG[override]
    kind = "sweep" if words is TWO else "run"
    where = [] if f"hydra.{kind}.dir" in override else [f"hydra.{kind}.dir={tmp_path / 'out'}"]
    done = hforch(*words, override, *where, code=2)
    assert path in done.stderr and problem in done.stderr
    assert "internal error" not in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("record.json"))


def test_other_errors_are_reported_with_it() -> None:
    done = hforch(*FAKE, "hydra.verbose=3", "runtime.seed=x", "generation.max_new_tokens=0", code=2)
    assert all(path in done.stderr for path in ("hydra.verbose", "runtime.seed", "generation.max_new_tokens"))


def test_a_help_template_that_cannot_be_resolved_is_an_error() -> None:
    assert "'nope' not found" in hforch("--help", "hydra.help.template=${nope}", code=2).stderr


def test_an_unknown_package_is_an_error() -> None:
    assert "nope" in hforch("--cfg", "all", "-p", "nope", code=2).stderr


@pytest.mark.parametrize("swept", ["range(0,1e9)", "range(0,inf)", "range(0,1,1e-12)", "shuffle(range(0,1000000000))"])
def test_jobs_are_counted_before_they_are_created(swept: str) -> None:
    done = hforch("-m", "backend=fake", f"runtime.seed={swept}", "--dry-run", code=2)
    assert f"runtime.seed={swept}" in done.stderr
    assert "at most 10,000 are allowed" in done.stderr


def test_the_number_of_jobs_is_the_product_of_all_sweeps(tmp_path: Path) -> None:
    words = ["-m", "backend=fake", "runtime.seed=range(3)", "runtime.repeat=1,2", "--dry-run"]
    assert "the sweep has 6 jobs; at most 5 are allowed" in hforch(*words, "--max-jobs", "5", code=2).stderr
    hforch(*words, "--max-jobs", "6")


def test_the_limit_of_jobs_applies_to_recipes(tmp_path: Path) -> None:
    recipe = tmp_path / "many.yaml"
    recipe.write_text(
        "defaults: [{backend: fake}]\nhydra:\n  sweeper:\n    params:\n      runtime.seed: range(0,1e9)\n"
    )
    done = hforch("run", str(recipe), "--dry-run", code=2)
    assert "1,000,000,000 jobs" in done.stderr


def test_an_interpolation_in_an_override_is_recorded_unresolved(tmp_path: Path) -> None:
    typed = "generation.min_new_tokens=${.max_new_tokens}"
    hforch(*FAKE, typed, "generation.max_new_tokens=3", f"hydra.run.dir={tmp_path}")
    assert typed in (tmp_path / "record.json").read_text()
