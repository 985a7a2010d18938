"""Invalid values of Hydra's own settings are reported as config errors before a job runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import hforch

from hforch.config.config_dirs import find_config_dirs
from hforch.config.sweeps import plan
from hforch.errors import ConfigError

FAKE = ["backend=fake", "inputs=numbers_in_french"]
TWO = ["-m", *FAKE, "runtime.seed=1,2"]
WRONG = {
    "hydra.verbose={a: 1}": ("hydra.verbose", "must name loggers"),
    "hydra.verbose=3": ("hydra.verbose", "must name loggers"),
    "hydra.verbose=[1]": ("hydra.verbose", "must name loggers"),
    "hydra.job.env_copy=[HFORCH_NOT_SET]": ("hydra.job.env_copy", "variable HFORCH_NOT_SET is not set"),
    "+hydra.callbacks.x={a: 1}": ("hydra.callbacks.x", "needs a _target_"),
    "+hydra.callbacks.x._target_=nope.Nope": ("hydra.callbacks.x._target_", "No module named 'nope'"),
    "hydra.job_logging.version=7": ("hydra.job_logging.version", "supports version 1 only; got 7"),
    "hydra.job_logging.root.level=LOUD": ("hydra", "'LOUD'"),
    "hydra.sweeper.params={a: b}": ("hydra.sweeper.params.a", "an override cannot set sweep parameters"),
    "hydra.launcher=3": ("hydra.launcher", "Hydra's settings"),
    "hydra.launcher._target_=os.system": ("hydra.launcher._target_", "os.system is not an installed launcher"),
    "hydra.sweeper._target_=nope.Nope": ("hydra.sweeper._target_", "nope.Nope is not an installed sweeper"),
    "hydra.searchpath=[nowhere]": ("hydra.searchpath.0", "directory not found: nowhere"),
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


LOG = "+hydra.job_logging.handlers.x="
IN_EACH_JOB = {
    "hydra.verbose=null": ("hydra.verbose", "must name loggers; got null"),
    "hydra.verbose=${nope}": ("hydra.verbose", "'nope' not found"),
    "+hydra.job.env_set.A=${nope}": ("hydra.job.env_set.A", "'nope' not found"),
    "hydra.job.env_set.A=b": ("hydra.job.env_set.A", "is not set yet"),
    "hydra.output_subdir=${nope}": ("hydra.output_subdir", "'nope' not found"),
    "hydra.output_subdir=..": ("hydra.output_subdir", "must be a directory in that of the job"),
    "hydra.output_subdir=/x": ("hydra.output_subdir", "must be a directory in that of the job"),
    "~hydra.job_logging.root": ("hydra.job_logging", "lacks the key root"),
    "~hydra/job_logging": ("hydra.job_logging", "is not set"),
    "hydra.job_logging.handlers=null": ("hydra.job_logging.handlers", "must be a mapping; got null"),
    "+hydra.job_logging.loggers=3": ("hydra.job_logging.loggers", "must be a mapping; got 3"),
    "+hydra.job_logging.loggers.x.level=LOUD": ("hydra.job_logging.loggers.x.level", "must be a logging level"),
    "+hydra.job_logging.loggers.x.handlers=[no]": ("hydra.job_logging.loggers.x.handlers", "unknown name 'no'"),
    "hydra.job_logging.root.handlers=[no]": ("hydra.job_logging.root.handlers", "unknown name 'no'; available: file"),
    "hydra.job_logging.root.handlers=file": ("hydra.job_logging.root.handlers", "must be a list of names"),
    "+hydra.job_logging.root.filters=[no]": ("hydra.job_logging.root.filters", "unknown name 'no'; available: none"),
    "hydra.job_logging.root=x": ("hydra.job_logging.root", "must be a mapping"),
    LOG + "{}": ("hydra.job_logging.handlers.x", "it needs a class"),
    LOG + "{class: nope.Nope}": ("hydra.job_logging.handlers.x", "Cannot resolve 'nope.Nope'"),
    LOG + "{class: logging.FileHandler}": ("hydra.job_logging.handlers.x", "'filename'"),
    LOG + "{class: logging.FileHandler, filename: no/x.log}": ("hydra.job_logging.handlers.x", "directory not found"),
    LOG + "{class: logging.StreamHandler, formatter: no}": ("hydra.job_logging.handlers.x", "formatter 'no'"),
    LOG + "{class: logging.StreamHandler, stream: ext://sys.no}": ("hydra.job_logging.handlers.x", "'sys.no'"),
    LOG + "{class: logging.StreamHandler, no: 1}": ("hydra.job_logging.handlers.x", "argument 'no'"),
    "+hydra.job_logging.formatters.x={style: z}": ("hydra.job_logging.formatters.x", "Style must be one of"),
    "hydra.job.name=a/b": ("hydra.job_logging.handlers.file", "directory not found"),
    "hydra.job.name=${nope}": ("hydra.job.name", "'nope' not found"),
}
ONCE = {
    "hydra.mode=${nope}": ("hydra.mode", "'nope' not found"),
    "hydra.mode=x": ("hydra.mode", "expected one of [RUN, MULTIRUN]"),
    "hydra.searchpath=[pkg://nope]": ("hydra.searchpath.0", "package not found: nope"),
    "hydra.searchpath=[${nope}]": ("hydra.searchpath.0", "'nope' not found"),
    "hydra.hydra_logging.root.handlers=[no]": ("hydra.hydra_logging.root.handlers", "unknown name 'no'"),
    "+hydra.hydra_logging.handlers.x={class: logging.FileHandler, filename: /nope/x}": (
        "hydra.hydra_logging.handlers.x",
        "directory not found: /nope",
    ),
    "+hydra.callbacks.x._target_=${nope}": ("hydra.callbacks.x._target_", "'nope' not found"),
    "+hydra.callbacks.x={_target_: hydra.experimental.callback.Callback, no: 1}": ("hydra.callbacks.x", "'no'"),
    "~hydra/hydra_logging": ("hydra.hydra_logging", "is not set"),
}
IN_RUNS = {
    "hydra.run.dir=${nope}": ("hydra.run.dir", "'nope' not found"),
    "hydra.run.dir=???": ("hydra.run.dir", "must name a directory"),
    "hydra.run.dir=${hydra.job.num}": ("hydra.run.dir", "Missing mandatory value: hydra.job.num"),
}
JOBLIB = "hydra/launcher=joblib "
IN_SWEEPS = {
    "hydra.sweep.dir=???": ("hydra.sweep.dir", "must name a directory"),
    "hydra.sweep.dir=${nope}": ("hydra.sweep.dir", "'nope' not found"),
    "hydra.sweep.subdir=???": ("hydra.sweep.subdir", "must name a directory"),
    "hydra.sweep.subdir=${nope}": ("hydra.sweep.subdir", "'nope' not found"),
    "hydra.sweeper.max_batch_size=0": ("hydra.sweeper.max_batch_size", "must be at least 1"),
    "hydra.sweeper.max_batch_size=${nope}": ("hydra.sweeper.max_batch_size", "'nope' not found"),
    "+hydra.sweeper.no=1": ("hydra.sweeper.no", "unknown setting; available: max_batch_size, params"),
    "+hydra.sweeper._args_=[1]": ("hydra.sweeper._args_", "unknown setting"),
    "+hydra.launcher.no=1": ("hydra.launcher.no", "unknown setting; available: none"),
    JOBLIB + "hydra.launcher.n_jobs=0": ("hydra.launcher.n_jobs", "got 0"),
    JOBLIB + "hydra.launcher.n_jobs=${nope}": ("hydra.launcher.n_jobs", "'nope' not found"),
    JOBLIB + "hydra.launcher.prefer=no": ("hydra.launcher.prefer", "must be processes or threads; got 'no'"),
    JOBLIB + "hydra.launcher.require=sharedmem": ("hydra.launcher.require", "must be null"),
    JOBLIB + "hydra.launcher.batch_size=0": ("hydra.launcher.batch_size", "must be auto, or at least 1"),
    JOBLIB + "hydra.launcher.pre_dispatch=0": ("hydra.launcher.pre_dispatch", "at least 1"),
    JOBLIB + "hydra.launcher.pre_dispatch=no": ("hydra.launcher.pre_dispatch", "an expression of n_jobs"),
    JOBLIB + "hydra.launcher.max_nbytes=x": ("hydra.launcher.max_nbytes", "a size such as 50K"),
    JOBLIB + "hydra.launcher.timeout=-1": ("hydra.launcher.timeout", "must be greater than 0"),
}
EACH = [
    *((word, False, told) for word, told in {**IN_EACH_JOB, **ONCE, **IN_RUNS}.items()),
    *((word, True, told) for word, told in {**IN_EACH_JOB, **ONCE, **IN_SWEEPS}.items()),
]


@pytest.mark.parametrize(("text", "swept", "told"), EACH, ids=[f"{word}-{swept}" for word, swept, _ in EACH])
def test_it_is_found_in_planning(text: str, swept: bool, told: tuple[str, str]) -> None:
    words = [*FAKE, *text.replace(JOBLIB, f"{JOBLIB.strip()}\n").split("\n")]
    with pytest.raises(ConfigError) as caught:
        plan([*words, "runtime.seed=1,2"] if swept else words, find_config_dirs(), swept)
    (found,) = caught.value.mistakes
    assert (found.path, told[1] in found.problem) == (told[0], True), found
    assert found.where and (words[-1] in found.where or "conf/" in found.where)


IN_FILES = {
    "sweeper: {params: x}": ("hydra.sweeper.params", "Cannot assign str"),
    "sweeper: {params: {stop: [none, newline]}}": ("hydra.sweeper.params.stop", "must be a string as on the command"),
    "sweeper: {params: {stop: null}}": ("hydra.sweeper.params.stop", "is not Optional"),
    "sweeper: {params: {stop: '${nope}'}}": ("hydra.sweeper.params.stop", "'nope' not found"),
    "sweeper: {params: {hydra.launcher.n_jobs: '1,2'}}": ("hydra.launcher.n_jobs", "cannot be swept"),
    "sweeper: {params: {hydra/launcher: joblib}}": ("hydra.launcher", "reads it once for the whole sweep"),
    "sweeper: {nothing: 1}": ("hydra.sweeper.nothing", "unknown key"),
    "mode: x": ("hydra.mode", "expected one of [RUN, MULTIRUN]"),
    "nothing: 1": ("hydra.nothing", "unknown key"),
    "job: {chdir: x}": ("hydra.job.chdir", "not a valid bool"),
    "sweep: {dir: null}": ("hydra.sweep.dir", "Incompatible value 'None'"),
    "verbose: {a: b}": ("hydra.verbose", "must name loggers"),
    "searchpath: [nowhere]": ("hydra.searchpath.0", "directory not found"),
    "callbacks: {x: 3}": ("hydra.callbacks.x", "needs a _target_"),
}


@pytest.mark.parametrize("text", IN_FILES)
def test_it_is_found_in_files(text: str, tmp_path: Path) -> None:
    """The setting is in a primary config and, unless it is a sweep parameter, in an option."""
    path, problem = IN_FILES[text]
    start = "defaults: [config, {override backend: fake}, _self_]\nhydra:\n  "
    (tmp_path / "mine.yaml").write_text(f"{start}{text}\n")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "a.yaml").write_text(f"# @package _global_\nhydra:\n  {text}\n")
    with pytest.raises(ConfigError) as caught:
        plan([], find_config_dirs(tmp_path, "mine"), True)
    (found,) = caught.value.mistakes
    assert (found.path, problem in found.problem, found.where) == (path, True, f"{tmp_path}/mine.yaml:3"), found
    if "params: {" in text or "searchpath" in text:
        return
    with pytest.raises(ConfigError) as caught:
        plan([*FAKE, "+experiment=a"], find_config_dirs(tmp_path), False)
    (found,) = caught.value.mistakes
    assert (found.path, problem in found.problem) == (path, True), found
    assert found.where == f"{tmp_path}/experiment/a.yaml:3, selected by +experiment=a"


RIGHT = [
    "hydra/job_logging=none",
    "hydra/job_logging=default",
    "hydra/hydra_logging=disabled",
    "hydra.verbose=[hforch]",
    "hydra.output_subdir=null",
    "hydra.output_subdir=a/b",
    "hydra.sweeper.max_batch_size=1",
    "hydra.searchpath=[pkg://hydra.conf,file://.]",
    "+hydra.job.env_set.A=${runtime.seed}",
    "hydra.sweep.subdir=${hydra:job.num}",
    "hydra.sweep.subdir=seed_${runtime.seed}",
    "hydra.sweep.dir=out/${hydra.job.name}",
    "+hydra.callbacks.x={_target_: hydra.experimental.callbacks.LogJobReturnCallback}",
    LOG + "{class: logging.FileHandler, filename: '${hydra.runtime.output_dir}/${hydra:job.num}.log'}",
    LOG + "{class: logging.handlers.RotatingFileHandler, filename: x.log, level: INFO}",
    LOG + "{class: logging.StreamHandler, stream: ext://sys.stderr}",
    JOBLIB + "hydra.launcher.n_jobs=-1",
    JOBLIB + "hydra.launcher.pre_dispatch=2*n_jobs",
    JOBLIB + "hydra.launcher.max_nbytes=10M",
]


@pytest.mark.parametrize("text", RIGHT)
def test_valid_settings_are_accepted_and_no_file_is_opened(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = text.replace(JOBLIB, f"{JOBLIB.strip()}\n").split("\n")
    assert len(plan([*FAKE, *words, "runtime.seed=1,2"], find_config_dirs(), True).jobs) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["hydra.run.dir=${nope}", "hydra.run.dir=???"])
def test_the_directory_of_a_run_does_not_matter_in_a_sweep(word: str) -> None:
    assert len(plan([*FAKE, word, "runtime.seed=1,2"], find_config_dirs(), True).jobs) == 2


def test_the_directories_of_jobs_may_use_what_hydra_sets(tmp_path: Path) -> None:
    hforch(*TWO, "hydra.sweep.subdir=j${hydra:job.num}", f"hydra.sweep.dir={tmp_path}/${{hydra.job.name}}")
    assert sorted(one.parent.name for one in tmp_path.glob("hforch/*/record.json")) == ["j0", "j1"]
    hforch(*FAKE, f"hydra.run.dir={tmp_path}/${{hydra:job.name}}_run")
    assert (tmp_path / "hforch_run" / "record.json").exists()


def test_a_job_outside_the_directory_of_the_sweep_is_an_error(tmp_path: Path) -> None:
    done = hforch(*TWO, f"hydra.sweep.dir={tmp_path}/out", "hydra.sweep.subdir=../${hydra.job.num}", code=2)
    assert "the directory of job 0 would be" in done.stderr and "outside that of the sweep" in done.stderr
    assert not list(tmp_path.iterdir())


def test_jobs_are_launched_in_batches(tmp_path: Path) -> None:
    """Here, batches of one job: jobs run alone on all threads, although the launcher would run two at a time."""
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.launcher.batch_size=1")
    where = f"hydra.sweep.dir={tmp_path}"
    hforch(*TWO, *launcher, "hydra.sweeper.max_batch_size=1", where)
    records = [json.loads((tmp_path / number / "record.json").read_text()) for number in "01"]
    assert [one["parallel"] for one in records] == [False, False]
    assert records[0]["finished"] <= records[1]["started"]


def test_other_errors_are_reported_with_it() -> None:
    done = hforch(*FAKE, "hydra.verbose=3", "runtime.seed=x", "generation.max_new_tokens=0", code=2)
    assert all(path in done.stderr for path in ("hydra.verbose", "runtime.seed", "generation.max_new_tokens"))


def test_a_help_template_that_cannot_be_resolved_is_an_error() -> None:
    assert "'nope' not found" in hforch("--help", "hydra.help.template=${nope}", code=2).stderr


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
