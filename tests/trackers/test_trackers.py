"""What trackers receive of runs and sweeps; a failing tracker does not affect jobs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository_copy import Copy

from hforch.backends.load_key import load_key
from hforch.config.compose import job_from_overrides
from hforch.inputs import load_inputs
from hforch.records.record_files import read_record, read_samples
from hforch.runs.identity import job_id
from hforch.trackers.registry import TRACKERS

EVENTS = '''
"""`tracker=events`: a line for each call, with what it was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from hforch.errors import Mistake
from hforch.trackers.base import Tracker, TrackerOptions


class EventsOptions(TrackerOptions):
    kind: Literal["events"]
    path: str
    fails_at: str | None
    needs: str | None


class EventsTracker(Tracker):
    Options = EventsOptions

    def __init__(self, options):
        super().__init__(options)
        if options.fails_at == "opening":
            raise SystemExit("nothing listens there")

    @classmethod
    def mistakes(cls, options):
        if options.needs:
            yield Mistake("tracker.needs", f"{options.needs} is not installed", hint="pip install it")

    def __getattribute__(self, name):
        if name not in ("begin", "begin_job", "add_sample", "end_job", "end"):
            return super().__getattribute__(name)

        def called(*values):
            if name == self.options.fails_at:
                raise ConnectionError("the server is gone\\nand more")
            with Path(self.options.path).open("a") as file:
                file.write(json.dumps([name, *values]) + "\\n")

        return called


TRACKER = EventsTracker
'''
OPTION = "# Every call.\nkind: events\npath: events.jsonl\nfails_at: null\nneeds: null\n"
FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "runtime.batch_size=1")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    files = {"hforch/trackers/events.py": EVENTS, "conf/tracker/events.yaml": OPTION}
    with Copy(files, tmp_path_factory.mktemp("tracked")) as copy:
        yield copy


def events(file: Path) -> list[list[Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def names(some: list[list[Any]]) -> list[str]:
    """Return the names of calls, with the job's number and final status if they concern one."""
    numbered = [(name, values) for name, *values in some]
    said = {
        "begin": "begin",
        "end": "end {0}",
        "begin_job": "begin_job {0[number]}",
        "add_sample": "sample {0[number]}",
    }
    return [
        f"end_job {values[0]['number']} {values[1]['status']}" if name == "end_job" else said[name].format(*values)
        for name, values in numbered
    ]


def on_disk(directory: Path) -> dict[str, Any]:
    record = read_record(directory)
    del record["plan"]
    return record


# ---------------------------------------------------------------- what a tracker receives
def test_a_tracker_receives_a_run_as_saved_on_disk(copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_" + "abcdefghij" * 3
    monkeypatch.setenv("HF_TOKEN", secret)
    told = f"inputs.items=[{{question: 'What is {secret}?'}}, {{question: b}}]"
    words = (*FAKE, told, "tracker=events", f"tracker.path={tmp_path / 'events'}", f"hydra.run.dir={tmp_path / 'run'}")
    copy.hforch(*words)
    found = events(tmp_path / "events")
    assert names(found) == ["begin", "begin_job 0", "sample 0", "sample 0", "end_job 0 ok", "end ok"]
    assert secret not in (tmp_path / "events").read_text()
    assert [values[1] for name, *values in found if name == "add_sample"] == [*read_samples(tmp_path / "run")]
    record = on_disk(tmp_path / "run")
    (job, ended), (directory, jobs, resumed) = found[-2][1:], found[0][1:]
    assert ended == record
    assert jobs == [job] and job["job"] == record["job"] and job["overrides"] == record["overrides"]
    assert directory == job["directory"] == str(tmp_path / "run") and resumed is False


def test_a_tracker_receives_a_sweep_with_failed_and_identical_jobs(copy: Copy, tmp_path: Path) -> None:
    failures = "backend.failures=[{match: 'number 2', error: out of ink, after: 0}],[]"
    words = (*FAKE, failures, "precision=fp32,fp16", "tracker=events", f"tracker.path={tmp_path / 'events'}")
    copy.hforch("-m", *words, f"hydra.sweep.dir={tmp_path / 'out'}", code=1)
    found = events(tmp_path / "events")
    said = names(found)
    assert said[0] == "begin" and said[-1] == "end failed"
    assert said.count("sample 0") == said.count("sample 2") == 4  # 1 and 3 are identical to them
    ends = [one for one in said if one.startswith("end_job")]
    assert ends == ["end_job 0 failed", "end_job 2 ok", "end_job 1 failed", "end_job 3 ok"]
    for _, job, record in (one for one in found if one[0] == "end_job"):
        assert record == on_disk(tmp_path / "out" / str(job["number"]))
    assert [job["number"] for job in found[0][2]] == [0, 1, 2, 3]


def test_jobs_may_have_different_trackers_or_none(copy: Copy, tmp_path: Path) -> None:
    path = f"tracker.path={tmp_path}/a,{tmp_path}/b"
    copy.hforch("-m", *FAKE, "tracker=events", path, "stop=none,newline", f"hydra.sweep.dir={tmp_path / 'out'}")
    first, second = (names(events(tmp_path / name)) for name in "ab")
    assert {one.split()[1] for one in first if "job" in one} == {"0", "1"}
    assert {one.split()[1] for one in second if "job" in one} == {"2", "3"}
    assert first[-1] == second[-1] == "end ok"
    mixed = (*FAKE, "tracker=none,events", "stop=newline,none", f"hydra.sweep.dir={tmp_path / 'mixed'}")
    done = copy.hforch("-m", *mixed, "--dry-run")
    assert done.stdout.count("identical to job") == 2  # a tracker does not change a job's identity


def test_a_tracker_receives_everything_with_another_launcher(copy: Copy, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    words = (*FAKE, *joblib, "runtime.seed=1,2", "tracker=events", f"tracker.path={tmp_path / 'events'}")
    copy.hforch("-m", *words, f"hydra.sweep.dir={tmp_path / 'out'}")
    said = names(events(tmp_path / "events"))
    assert said[0] == "begin" and said[-1] == "end ok"
    assert sorted(said[1:-1]) == sorted(
        text for number in "01" for text in (f"begin_job {number}", *[f"sample {number}"] * 4, f"end_job {number} ok")
    )


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_tracker_receives_an_interrupted_run_and_the_rest_on_resume(copy: Copy, tmp_path: Path, kind: str) -> None:
    out, file = tmp_path / "out", tmp_path / "events"
    swept = ("runtime.seed=1,2", f"hydra.sweep.dir={out}", "-m") if kind == "sweep" else (f"hydra.run.dir={out}",)
    words = (*FAKE, *swept, "backend.token_s=0.1", "generation.max_new_tokens=8", "tracker=events")
    command = [sys.executable, "-m", "hforch", *words, f"tracker.path={file}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=copy.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until = time.monotonic() + 60
    while not file.exists() or "add_sample" not in file.read_text():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    before = events(file)
    assert names(before)[-2:] == ["end_job 0 interrupted", "end interrupted"]
    copy.hforch("resume", str(out))
    after = events(file)[len(before) :]
    assert after[0][0] == "begin" and after[0][3] is True
    assert names(after)[-1] == "end ok"
    jobs = [out / number for number in "01"] if kind == "sweep" else [out]
    answered = [values[1] for name, *values in before + after if name == "add_sample"]
    assert [one for one in answered if not one["error"]] == [one for job in jobs for one in read_samples(job)]


# ---------------------------------------------------------------- failures
@pytest.mark.parametrize("at", ["opening", "begin", "add_sample", "end"])
def test_a_failing_tracker_causes_one_warning(copy: Copy, tmp_path: Path, at: str) -> None:
    words = (*FAKE, "tracker=events", f"tracker.path={tmp_path / 'events'}", f"tracker.fails_at={at}")
    done = copy.hforch("-m", *words, "runtime.seed=1,2", f"hydra.sweep.dir={tmp_path / 'out'}")
    why = "SystemExit: nothing listens there" if at == "opening" else "ConnectionError: the server is gone"
    assert done.stdout.count(f"warning: tracker=events failed and was disabled; records are complete. {why}") == 1
    assert (done.stdout + done.stderr).count("tracker=events failed") == 1
    assert [read_record(tmp_path / "out" / number)["status"] for number in "01"] == ["ok", "ok"]
    if at not in ("opening", "begin"):
        assert at not in [name for name, *_ in events(tmp_path / "events")]


@pytest.mark.parametrize("display", ["plain", "json"])
def test_a_failing_tracker_is_reported_in_every_display(copy: Copy, tmp_path: Path, display: str) -> None:
    words = (*FAKE, "tracker=events", "tracker.fails_at=add_sample", f"tracker.path={tmp_path / 'events'}")
    done = copy.hforch(*words, f"runtime.display={display}", f"hydra.run.dir={tmp_path / 'run'}")
    shown = done.stderr if display == "json" else done.stdout
    assert "warning: tracker=events failed" in shown
    assert display == "plain" or json.loads(done.stdout)["status"] == "ok"
    assert "ConnectionError: the server is gone\nand more" in (tmp_path / "run" / "hforch.log").read_text()


@pytest.mark.parametrize("swept", [(), ("-m", "runtime.seed=1,2")])
def test_unusable_tracker_options_are_reported_before_anything_runs(
    copy: Copy, tmp_path: Path, swept: tuple[str, ...]
) -> None:
    place = f"hydra.{'sweep' if swept else 'run'}.dir={tmp_path / 'out'}"
    said = copy.hforch(*swept, *FAKE, "tracker=events", "tracker.needs=mlflow", place, code=2).stderr
    assert "tracker.needs: mlflow is not installed" in said and "pip install it" in said
    assert "set in tracker.needs=mlflow" in said
    assert not [*tmp_path.rglob("samples.jsonl")]


def test_invalid_tracker_options_are_reported_with_their_path(copy: Copy) -> None:
    said = copy.hforch("backend=fake", "tracker=event", code=2).stderr
    assert "did you mean tracker=events?" in said
    said = copy.hforch("backend=fake", "tracker=events", "tracker.paht=x", code=2).stderr
    assert "did you mean tracker.path?" in said
    said = copy.hforch("backend=fake", "tracker=none", "tracker.kind=event", code=2).stderr
    assert f"tracker.kind: must be one of: {', '.join(sorted({'events', *TRACKERS}))}" in said


# ---------------------------------------------------------------- what it does not affect
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_tracker_changes_neither_load_key_nor_job_id() -> None:
    job = job_from_overrides(["backend=fake"])
    inputs = load_inputs(job.inputs)
    other = job.model_copy(update={"tracker": job.tracker.model_copy(update={"kind": "another"})})
    assert other != job
    assert (load_key(other), job_id(other, inputs)) == (load_key(job), job_id(job, inputs))


def test_a_frozen_recipe_has_no_tracker(copy: Copy, tmp_path: Path) -> None:
    words = (*FAKE, "tracker=events", f"tracker.path={tmp_path / 'events'}")
    copy.hforch(*words, f"hydra.run.dir={tmp_path / 'run'}")
    copy.hforch("freeze", str(tmp_path / "run"), "-o", str(tmp_path / "r.yaml"))
    recipe = yaml.safe_load((tmp_path / "r.yaml").read_text())
    assert {"tracker": "none"} in recipe["defaults"] and recipe.get("tracker", {"kind": "none"}) == {"kind": "none"}
    before = len(events(tmp_path / "events"))
    assert "verify" not in copy.hforch("verify", str(tmp_path / "r.yaml")).stderr
    assert len(events(tmp_path / "events")) == before


def test_the_default_tracker_receives_nothing() -> None:
    assert not TRACKERS["none"].gets_results
