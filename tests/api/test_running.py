"""`hforch.run` and `hforch.sweep`: arguments, typed results, errors, and what they print."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import ROOT, hforch

import hforch as api
from hforch.api.process import PROGRAM
from hforch.config.keys import groups
from hforch.errors import BackendError, ConfigError, HforchError, ModelError, UnknownArgument
from hforch.records.record_files import read_record, read_samples

FAST: dict[str, Any] = {"backend": "fake", "runtime": {"warmup": 0}}
BOTH = pytest.mark.parametrize("function", [api.run, api.sweep])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run with two inputs, one of which fails its check."""
    directory = tmp_path_factory.mktemp("api") / "run"
    backend = {"replies": [{"match": "one", "text": "a <b>\n"}, {"match": "two", "text": "c"}]}
    return api.run(
        "backend=fake",
        backend=backend,
        runtime={"warmup": 0},
        inputs=[{"question": "one"}, {"question": "two"}],
        checks=[{"contains": "a"}],
        directory=directory,
    )


@BOTH
def test_every_group_is_a_keyword_argument(function: Callable[..., Any]) -> None:
    named = inspect.signature(function).parameters
    others = {"overrides", "recipe", "config_dir", "directory", "force", "report", "display", "progress", "unknown"}
    assert set(named) - others == set(groups())


def test_a_run_returns_its_record_samples_and_metrics(result: Any) -> None:
    assert result.record == read_record(result.directory)
    assert list(result.samples) == sorted(read_samples(result.directory), key=lambda sample: sample["index"])
    assert result.answers == ["a <b>\n", "c"]
    assert result.status == "ok" and result.error is None
    assert result.metrics["tokens_per_s"] == result.record["metrics"]["tokens_per_s"] > 0
    assert result.checks == (1, 2)


def test_a_run_is_the_same_as_on_the_command_line(tmp_path: Path) -> None:
    words = ("backend=fake", "runtime.warmup=0", "generation.max_new_tokens=3")
    hforch(*words, "inputs.items=[a, b]", f"hydra.run.dir={tmp_path / 'cli'}")
    found = api.run(**FAST, generation={"max_new_tokens": 3}, inputs=["a", "b"], directory=tmp_path / "api")
    expected = read_record(tmp_path / "cli")
    assert found.record["job_id"] == expected["job_id"]
    assert {**found.record["job"], "runtime": None} == {**expected["job"], "runtime": None}
    assert found.answers == [sample["text"] for sample in read_samples(tmp_path / "cli")]


def test_nothing_is_printed_and_the_process_is_left_alone(tmp_path: Path, capfd: Any) -> None:
    import logging

    before = (list(logging.getLogger().handlers), logging.getLogger().level, Path.cwd(), dict(os.environ))
    api.run(**FAST, inputs=["a"], directory=tmp_path / "run")
    api.sweep(**FAST, inputs=["a"], generation={"max_new_tokens": [1, 2]}, directory=tmp_path / "sweep")
    assert capfd.readouterr() == ("", "")
    assert (list(logging.getLogger().handlers), logging.getLogger().level, Path.cwd(), dict(os.environ)) == before


def test_display_prints_what_the_command_line_prints(tmp_path: Path, capsys: Any) -> None:
    found = api.run(**FAST, inputs=["a"], directory=tmp_path / "run", display="plain")
    printed = capsys.readouterr().out
    assert str(found.answers[0]).strip() in printed and f"results: {tmp_path / 'run'}" in printed
    api.run("runtime.display=json", **FAST, inputs=["a"], directory=tmp_path / "json")
    assert '"schema_version"' in capsys.readouterr().out


def test_progress_counts_samples(tmp_path: Path, capsys: Any) -> None:
    api.run(**FAST, inputs=["a", "b"], directory=tmp_path / "run", progress=True)
    assert "2/2" in capsys.readouterr().err


def test_a_run_in_a_thread_of_a_process_with_threads_works(tmp_path: Path) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(api.run(**FAST, inputs=[str(n)], directory=tmp_path / str(n))))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.status for one in found) == ["ok", "ok"]


def test_a_recipe_is_run_with_overrides_on_top(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("defaults:\n  - backend: fake\ngeneration:\n  max_new_tokens: 2\n")
    found = api.run("runtime.warmup=0", recipe=recipe, inputs=["a"], directory=tmp_path / "run")
    assert found.record["totals"]["output_tokens"] == 2
    found = api.run(
        recipe=recipe, generation={"max_new_tokens": 1}, inputs=["a"], directory=tmp_path / "run", force=True
    )
    assert found.record["totals"]["output_tokens"] == 1


def test_a_sweep_returns_its_jobs_and_comparison(tmp_path: Path) -> None:
    found = api.sweep(**FAST, inputs=["a"], generation={"max_new_tokens": [1, 2]}, directory=tmp_path / "sweep")
    assert [job.record["totals"]["output_tokens"] for job in found] == [1, 2]
    assert len(found) == 2 and found.failed == []
    assert [row.axes for row in found.comparison.rows] == [
        {"generation.max_new_tokens": "1"}, {"generation.max_new_tokens": "2"}
    ]  # fmt: skip
    assert (found.directory / "comparison.json").is_file()


def test_failed_samples_and_jobs_are_in_the_results(tmp_path: Path) -> None:
    backend = {"failures": [{"match": "bad", "error": "it broke", "after": 0}]}
    words = ("backend=fake", "runtime.warmup=0", "runtime.batch_size=1")
    found = api.run(*words, backend=backend, inputs=["bad", "good"], directory=tmp_path / "run")
    assert found.status == "failed"
    assert found.answers[0] is None and found.answers[1]
    assert found.samples[0]["error"]["message"] == "it broke"
    swept = api.sweep(*words, backend=backend, inputs=["bad"], runtime={"seed": [1, 2]}, directory=tmp_path / "sweep")
    assert [job.status for job in swept.failed] == ["failed", "failed"]


@BOTH
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"bakend": "fake"}, UnknownArgument, "unknown keyword argument 'bakend'; did you mean backend?"),
        ({"max_new_tokens": 3}, UnknownArgument, "write generation={'max_new_tokens': ...}"),
        (
            {"precision": "int9", "generation": {"max_new_token": 3}},
            ConfigError,
            "did you mean generation.max_new_tokens",
        ),
        ({"backend": "fake", "inputs": Path("/none.csv")}, ConfigError, "/none.csv"),
        ({"recipe": "/none.yaml"}, ConfigError, "/none.yaml"),
        ({"display": "loud"}, ConfigError, "runtime.display"),
    ],
)
def test_invalid_arguments_are_exceptions(
    function: Callable[..., Any], arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as found:
        function(**arguments)
    assert message in str(found.value)


def test_all_configuration_errors_are_in_the_exception() -> None:
    with pytest.raises(ConfigError) as found:
        api.run(precision="int9", generation={"max_new_token": 3, "temperature": "x"})
    assert len(found.value.mistakes) == 3


def test_a_sweep_is_not_a_run(tmp_path: Path) -> None:
    recipe = tmp_path / "sweep.yaml"
    recipe.write_text("defaults:\n  - backend: fake\nhydra:\n  sweeper:\n    params:\n      precision: fp32,int8\n")
    with pytest.raises(ConfigError, match=r"describes a sweep\n.*use hforch.sweep"):
        api.run(recipe=recipe, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="several options"):
        api.run(backend=["fake", "pytorch"])  # type: ignore[arg-type]


def test_a_directory_with_results_is_not_overwritten(result: Any) -> None:
    with pytest.raises(ConfigError, match=r"^directory: .*\n.*to overwrite it: force=True;"):
        api.run(**FAST, inputs=["a"], directory=result.directory)


@pytest.mark.model
def test_a_model_that_cannot_be_used_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises((ModelError, ConfigError, BackendError), match="model"):
        api.run(model=tmp_path / "model", inputs=["a"], directory=tmp_path / "run")


@pytest.mark.processes
def test_an_interrupted_run_raises_keyboard_interrupt_and_completes_its_record(tmp_path: Path) -> None:
    program = (
        "import hforch\n"
        f"hforch.run('backend=fake', 'backend.token_s=0.2', 'generation.ignore_eos=true', 'runtime.warmup=0',"
        f" generation={{'max_new_tokens': 200}}, inputs=['a'], directory={str(tmp_path / 'run')!r})\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "samples.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert f"KeyboardInterrupt: interrupted; to continue: hforch resume {tmp_path / 'run'}" in told
    assert read_record(tmp_path / "run")["status"] == "interrupted"


def test_importing_hforch_imports_nothing_of_it() -> None:
    program = (
        "import sys, hforch; dir(hforch); print([m for m in sys.modules if m.startswith(('hydra', 'hforch.api'))])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_an_error_in_the_other_process_is_an_hforch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hforch.api.process.PROGRAM", "import sys; sys.exit('it died')")
    with pytest.raises(HforchError, match="exited with code 1: it died"):
        api.run(**FAST)


def test_an_internal_error_in_the_other_process_is_worded_as_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = "import hforch.api.child as child; child.run_app = lambda *_, **__: 1 / 0; child.main(**given)"
    program = PROGRAM.replace("from hforch.api.child import main; main(**given)", failing)
    assert failing in program
    monkeypatch.setattr("hforch.api.process.PROGRAM", program)
    with pytest.raises(HforchError) as found:
        api.run(**FAST)
    expected = "internal error: ZeroDivisionError: division by zero\n    set HYDRA_FULL_ERROR=1 to see the traceback"
    assert str(found.value) == expected
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(HforchError, match=r"division by zero\n(.|\n)*Traceback(.|\n)*in <lambda>"):
        api.run(**FAST)


WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"inputs": "What is it?"}, "for inputs, pass a list: inputs=['What is it?']"),
    ({"inputs": "my facts.csv"}, "for a file, write inputs=Path('my facts.csv')"),
    ({"inputs": {"question": "a"}}, "write inputs=[{'question': 'a'}]"),
    ({"checks": {"contains": "a"}}, "write checks=[{'contains': 'a'}]"),
    ({"inputs": iter("ab")}, "got a value of type str_ascii_iterator\n    write inputs=list(...)"),
    ({"inputs": SimpleNamespace(to_dict=str, columns=["a"])}, "inputs=frame.to_dict('records')"),
    ({"stop": "a b"}, "for stop sequences, pass a list: stop=['a b']"),
]


@BOTH
@pytest.mark.parametrize(("arguments", "hint"), WRONG_TYPES, ids=[hint for _, hint in WRONG_TYPES])
def test_a_value_of_the_wrong_type_is_an_error_that_shows_the_right_one(
    function: Callable[..., Any], arguments: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ConfigError) as found:
        function(backend="fake", **arguments)
    assert hint in str(found.value)
