"""The command line: commands, Hydra's flags, error messages, exit codes, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run
from omegaconf import OmegaConf

from hforch import cli
from hforch.commands import command_names
from hforch.config.compose import compose
from hforch.config.config_dirs import conf_dir
from hforch.errors import ConfigError, GenerationError, Mistake, ModelError
from hforch.runs import JobContext
from hforch.runs.processes.worker_pool import WorkerPool

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "langchain", "langchain_core", "openvino", "optimum", "numpy"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import logging

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    handlers, level = list(logging.root.handlers), logging.root.level
    yield tmp_path
    for handler in [one for one in logging.root.handlers if one not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()
    logging.root.setLevel(level)


class Runs:
    """A fake for the processes that run jobs: it records its calls and returns or raises the given answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Path, tuple[str, ...], str | None]] = []
        self.answers: list[int | BaseException] = []

    def __call__(self, job: Any, directory: Path, job_context: JobContext, watcher: Any) -> int:
        self.calls.append((job, directory, job_context.overrides, job_context.recipe))
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, ConfigError):
            raise ConfigError(job_context.locate(answer.mistakes))
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    fake = Runs()
    monkeypatch.setattr(
        WorkerPool,
        "run",
        lambda _, job, directory, job_context, watcher, key="": fake(job, directory, job_context, watcher),
    )
    monkeypatch.setattr(WorkerPool, "check", lambda _, backend, jobs, *rest: [[] for _ in jobs])
    return fake


def process(*words: str, cold: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    return run(*words, env={**os.environ, **env}, cold=cold, loads=False)


# ---------------------------------------------------------------- errors
def test_all_mistakes_are_reported_together_and_nothing_is_written(elsewhere: Path) -> None:
    done = process("model=gpt3", "stop=newlin", "generation.max_new_tokens=x", "runtime.sead=1", "runtime.batch_size=0")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("5 errors; nothing was run:")
    for path in ("model:", "stop:", "generation.max_new_tokens:", "runtime.sead:", "runtime.batch_size:"):
        assert sum(line.startswith(path) for line in done.stderr.splitlines()) == 1
    assert list(elsewhere.iterdir()) == []


def test_errors_of_a_command_that_runs_no_jobs_have_a_plain_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "gone", "--worst", "-1"]) == 2
    assert capsys.readouterr().err.startswith("2 errors:\n\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--multirn", "model=gpt2"], "did you mean --multirun (-m)?"),
        (["--cfg", "jobb"], "invalid choice"),
        (["--cfg", "job", "-m"], "cannot be combined"),
        (["--resolve"], "--resolve requires"),
        (["rum"], "did you mean hforch run?"),
        (["model"], "unknown command 'model'; available: "),
        (["run"], "requires a recipe"),
        (["run", "nowhere.yaml"], "recipe not found: nowhere.yaml"),
        (["--config-dir", "nowhere"], "directory not found: nowhere"),
        (["--config-name", "confg"], "did you mean --config-name config?"),
        (["--cfg", "job", "model=gpt3"], "did you mean model=gpt2?"),
        (["--help", "modle=gpt2"], "did you mean model?"),
        (["--info", "defaults", "model=gpt3"], "did you mean model=gpt2?"),
        (["-m", "model=gpt2,gpt3", "stop=none,newline"], "set in model=gpt2,gpt3"),
    ],
)
def test_wrong_usage_exits_with_2_and_a_hint(
    words: list[str], said: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert list(elsewhere.iterdir()) == []


def test_full_errors_show_the_traceback_and_keep_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.main(["model=gpt3"]) == 2
    assert "Traceback" in capsys.readouterr().err


# ---------------------------------------------------------------- running
def test_a_run_gets_its_job_directory_and_overrides(runs: Runs, elsewhere: Path) -> None:
    assert cli.main(["stop=newline", "hydra.run.dir=here", "runtime.seed=3"]) == 0
    [(job, directory, overrides, recipe)] = runs.calls
    assert (job.runtime.seed, job.stop.sequences) == (3, ("\n",))
    assert directory == elsewhere / "here"
    assert overrides == ("stop=newline", "runtime.seed=3")
    assert recipe is None
    assert (directory / ".hydra" / "config.yaml").is_file()
    assert Path.cwd() == elsewhere


def test_two_runs_in_one_second_do_not_share_a_directory(runs: Runs, elsewhere: Path) -> None:
    for _ in range(2):
        assert cli.main([]) == 0
    first, second = (directory for _, directory, _, _ in runs.calls)
    assert first != second
    assert first.parent.parent == elsewhere / "outputs"


def test_overrides_may_precede_and_follow_flags(runs: Runs) -> None:
    assert cli.main(["stop=none,newline", "-m", "runtime.seed=1"]) == 0
    assert len(runs.calls) == 2


def test_a_sweep_numbers_its_jobs(runs: Runs) -> None:
    assert cli.main(["-m", "stop=none,newline", "runtime.seed=range(1,3)"]) == 0
    assert [directory.name for _, directory, _, _ in runs.calls] == ["0", "1", "2", "3"]
    assert [overrides for _, _, overrides, _ in runs.calls][1] == ("stop=none", "runtime.seed=2")
    assert len({directory.parent for _, directory, _, _ in runs.calls}) == 1


def test_a_sweep_can_be_requested_by_hydra_mode(runs: Runs) -> None:
    assert cli.main(["hydra.mode=MULTIRUN", "stop=none,newline"]) == 0
    assert len(runs.calls) == 2


@pytest.mark.parametrize(
    ("answers", "code"), [([0, 0, 0], 0), ([0, 3, 0], 3), ([3, 1, 0], 1), ([2, 3, 0], 2), ([2, 1, 3], 1)]
)
def test_a_sweep_exits_with_its_worst_code(runs: Runs, answers: list[int], code: int) -> None:
    runs.answers = list(answers)
    assert cli.main(["-m", "runtime.seed=1,2,3"]) == code
    assert len(runs.calls) == 3


@pytest.mark.parametrize("answer", [130, KeyboardInterrupt()])
def test_an_interrupt_ends_a_sweep(runs: Runs, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs.answers = [0, answer, 0]
    assert cli.main(["-m", "runtime.seed=1,2,3"]) == 130
    assert len(runs.calls) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(ModelError("no such model"), 2), (GenerationError("broke"), 1)])
def test_an_hforch_error_is_a_message_with_its_exit_code(
    runs: Runs, error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.answers = [error]
    assert cli.main([]) == code
    assert capsys.readouterr().err == f"{error}\n"


def test_an_error_from_a_machine_check_shows_where_the_value_was_set(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.answers = [ConfigError([Mistake("device.kind", "there is no GPU")])]
    assert cli.main(["device=gpu", "device.kind=gpu"]) == 2
    assert "set in device.kind=gpu" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line_and_exits_with_1(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.answers = [ZeroDivisionError("oh")]
    assert cli.main([]) == 1
    shown = capsys.readouterr().err
    assert "internal error: ZeroDivisionError: oh" in shown
    assert "HYDRA_FULL_ERROR=1" in shown
    assert "Traceback" not in shown


def test_a_verbose_run_succeeds(runs: Runs) -> None:
    assert cli.main(["hydra.verbose=true", "hydra.run.dir=here"]) == 0


def test_libraries_log_only_to_the_file_of_the_job(elsewhere: Path) -> None:
    done = process("backend=fake", "hydra.run.dir=here", "runtime.display=none", cold=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (elsewhere / "here" / "hforch.log").is_file()


def test_a_run_can_be_repeated_from_its_pickle(runs: Runs, elsewhere: Path) -> None:
    callback = "+hydra.callbacks.save={_target_: hydra.experimental.callbacks.PickleJobInfoCallback}"
    assert cli.main([callback, "hydra.run.dir=here", "runtime.seed=9"]) == 0
    with pytest.warns(UserWarning, match="Experimental rerun"):
        assert cli.main(["--experimental-rerun", "here/.hydra/config.pickle"]) == 0
    assert [job.runtime.seed for job, _, _, _ in runs.calls] == [9, 9]


# ---------------------------------------------------------------- recipes
def test_overrides_take_precedence_over_a_recipe(runs: Runs, elsewhere: Path) -> None:
    (elsewhere / "r.yaml").write_text("stop:\n  sequences: [x]\nruntime:\n  seed: 1\n")
    assert cli.main(["run", "r.yaml", "runtime.seed=2"]) == 0
    [(job, _, overrides, recipe)] = runs.calls
    assert (job.stop.sequences, job.runtime.seed) == (("x",), 2)
    assert (overrides, recipe) == (("runtime.seed=2",), "r.yaml")


def test_a_recipe_with_a_sweep_is_a_sweep_without_m(runs: Runs, elsewhere: Path) -> None:
    (elsewhere / "r.yaml").write_text("hydra:\n  sweeper:\n    params:\n      stop: none,newline\n")
    assert cli.main(["run", "r.yaml"]) == 0
    assert len(runs.calls) == 2


def test_a_recipe_can_be_swept_with_m(runs: Runs, elsewhere: Path) -> None:
    (elsewhere / "r.yaml").write_text("runtime:\n  seed: 1\n")
    assert cli.main(["run", "-m", "stop=none,newline", "r.yaml"]) == 0
    assert len(runs.calls) == 2


def test_a_recipe_can_be_shown_instead_of_run(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "r.yaml").write_text("name: mine\nruntime:\n  seed: 77\n")
    assert cli.main(["run", "r.yaml", "--cfg", "job", "-p", "runtime"]) == 0
    assert "seed: 77" in capsys.readouterr().out


def test_a_recipe_can_use_options_of_a_config_dir(runs: Runs, elsewhere: Path) -> None:
    (elsewhere / "my" / "stop").mkdir(parents=True)
    (elsewhere / "my" / "stop" / "mine.yaml").write_text("sequences: [mine]\n")
    (elsewhere / "r.yaml").write_text("defaults:\n  - stop: mine\n")
    assert cli.main(["run", "r.yaml", "--config-dir", "my"]) == 0
    assert runs.calls[0][0].stop.sequences == ("mine",)


def test_a_mistyped_recipe_gives_the_closest_name(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "french.yaml").write_text("")
    assert cli.main(["run", "frnch.yaml"]) == 2
    assert "did you mean french.yaml?" in capsys.readouterr().err


# ---------------------------------------------------------------- output
def test_cfg_job_prints_the_composed_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--cfg", "job", "model=gpt2", "+ov_config.A=1"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown == OmegaConf.to_container(compose(["model=gpt2", "+ov_config.A=1"]).config)


def test_an_incomplete_configuration_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--cfg", "job", "model=hub"]) == 0
    assert "id: ???" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--hydra-help"], ["--info", "searchpath"], ["--info", "defaults-tree"], ["-i"]])
def test_hydras_own_flags_work(words: list[str]) -> None:
    done = process(*words)
    assert done.returncode == 0
    assert done.stdout


def test_the_help_lists_commands_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for word in [*command_names(), "smollm2", "precision: ", "--config-dir", '"$(hforch -sc install=bash)"']:
        assert word in shown


@pytest.mark.parametrize("verb", command_names())
def test_every_command_has_a_help_with_an_example(verb: str) -> None:
    done = process(verb, "--help")
    assert done.returncode == 0
    assert f"hforch {verb}" in done.stdout
    assert done.stdout.count(f"hforch {verb}") > 1


@pytest.mark.parametrize(
    "words", [["--help"], ["--cfg", "job"], ["--version"], ["--info", "searchpath"], ["run", "-h"]]
)
def test_commands_that_only_print_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys, atexit, json; from hforch.cli import main\n"
        f"code = main({words!r})\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert not imported & HEAVY
    if "--help" in words:
        assert not imported & {"rich", "pydantic", "rapidfuzz"}


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from hforch import __version__

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"hforch {__version__}\n"


def test_a_reader_that_disconnects_early_causes_no_error() -> None:
    command = f"{sys.executable} -m hforch --cfg all | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""


# ---------------------------------------------------------------- completion
def completed(line: str) -> list[str]:
    done = process("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_completion_script_can_be_installed() -> None:
    done = process("-sc", "install=bash", cold=True)
    assert "hydra_bash_completion" in done.stdout


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("hforch ru", "run"),
        ("hforch mod", "model="),
        ("hforch model=sm", "model=smollm2"),
        ("hforch model=gpt2 generation.max_n", "generation.max_new_tokens="),
        ("hforch run recipes/x.yaml stop=new", "stop=newline"),
        ("hforch ", "doctor"),
    ],
)
def test_words_are_completed(line: str, word: str) -> None:
    assert word in completed(line)


@pytest.mark.parametrize("verb", command_names())
def test_the_flags_of_every_command_are_completed(verb: str) -> None:
    flags = completed(f"hforch {verb} --")
    if verb == "run":  # its help refers to that of hforch
        assert {"--help", "--multirun", "--dry-run", "--config-dir", "--force"} < {*flags}
    else:
        shown = process(verb, "--help").stdout
        assert "--help" in flags and all(flag in shown for flag in flags)
    assert not [word for word in flags if "=" in word]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hforch compare --r", ["--require"]),
        ("hforch compare outputs --format ", ["csv", "json", "junit", "markdown", "table"]),
        ("hforch compare ", []),
        ("hforch compare outputs/2", []),
        ("hforch --dry", ["--dry-run"]),
        ("hforch model=gpt2 --multi", ["--multirun"]),
        ("hforch run recipes/x.yaml --dry", ["--dry-run"]),
        ("hforch run recipes/x.yaml --cfg j", ["job"]),
    ],
)
def test_flags_and_their_choices_are_completed(line: str, words: list[str]) -> None:
    assert completed(line) == words


@pytest.mark.parametrize("verb", ["export", "verify x.yaml", "resume outputs"])
def test_overrides_are_completed_for_commands_that_take_them(verb: str) -> None:
    assert "precision=int8" in completed(f"hforch {verb} precision=in")


# ---------------------------------------------------------------- installed from a wheel
def test_an_installed_package_contains_its_configuration(elsewhere: Path) -> None:
    import shutil

    site = elsewhere / "site"
    shutil.copytree(ROOT / "hforch", site / "hforch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(conf_dir(), site / "hforch" / "conf")
    work = elsewhere / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "hforch", "generation.max_new_tokens=x", "device=gpu", "device.index=null"],
        capture_output=True,
        text=True,
        check=False,
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 2
    assert "set in device.index=null" in done.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "hforch", "--info", "searchpath"],
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert str(site / "hforch" / "conf") in shown.stdout


def test_a_missing_dependency_is_reported_with_the_command_that_installs_it(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise ModuleNotFoundError("No module named 'hydra.core'", name="hydra.core")

    assert cli.reporting(work) == 1
    told = capsys.readouterr().err
    assert "the module hydra is not installed" in told and 'pip install -c "$(hforch constraints)" hforch' in told
