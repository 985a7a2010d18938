"""Run directories from other users: their records are data, and anything that can run code must be passed again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.records.record_files import read_record

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "runtime.batch_size=1")
EVIL = """\
version: 1
formatters: {evil: {(): pathlib.Path, _: 0}}
root: {handlers: [evil]}
handlers: {evil: {class: logging.FileHandler, filename: MARK}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    hforch(*FAKE, f"hydra.run.dir={directory / 'run'}")
    hforch("-m", *FAKE, "runtime.seed=1,2", f"hydra.sweep.dir={directory / 'sweep'}")
    return directory


@pytest.fixture
def foreign(made: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy a run or sweep, delete a sample, and change its record."""

    def foreign(kind: str, **says: Any) -> Path:
        directory = Path(shutil.copytree(made / kind, tmp_path / kind))
        job = directory if kind == "run" else directory / "1"
        lines = (job / "samples.jsonl").read_text().splitlines(keepends=True)
        (job / "samples.jsonl").write_text("".join(lines[:-1]))
        file = directory / ("record.json" if kind == "run" else "sweep.json")
        record = json.loads(file.read_text())
        said = record if kind == "run" else record["asked"]
        said.update({key: value for key, value in says.items() if key != "more"})
        said["overrides"] = [*said["overrides"], *says.get("more", ())]
        file.write_text(json.dumps(record))
        return directory

    return foreign


def contents(directory: Path) -> dict[str, bytes]:
    return {str(one.relative_to(directory)): one.read_bytes() for one in directory.rglob("*") if one.is_file()}


@pytest.mark.parametrize("kind", ["run", "sweep"])
@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.x={_target_: pathlib.Path.touch, self: MARK}",
        "hydra.run.dir='${oc.env:HOME}/x'",
        "model.trust_remote_code=true",
        "hydra.sweep.subdir=../../x",
        "--config-dir=MARK",
    ],
)
def test_unsafe_overrides_of_a_record_are_not_used(
    foreign: Callable[..., Path], tmp_path: Path, kind: str, override: str
) -> None:
    directory = foreign(kind, more=[override.replace("MARK", str(tmp_path / "mark"))])
    before = contents(tmp_path)
    if override.startswith("hydra.run.dir"):  # resume sets the directory itself
        hforch("resume", str(directory))
        return
    told = hforch("resume", str(directory), code=2).stderr
    assert override.partition("=")[0] in told and "if you trust it, pass it again" in told
    assert contents(tmp_path) == before


def test_a_recorded_config_dir_is_not_used(foreign: Callable[..., Path], tmp_path: Path) -> None:
    evil = tmp_path / "conf" / "hydra" / "job_logging" / "hforch.yaml"
    evil.parent.mkdir(parents=True)
    evil.write_text(EVIL.replace("MARK", str(tmp_path / "mark")))
    directory = foreign("run", config_dir=str(tmp_path / "conf"))
    told = hforch("resume", str(directory), code=2).stderr
    assert f"hforch resume {directory} --config-dir {tmp_path / 'conf'}" in told
    assert not (tmp_path / "mark").exists()
    named = foreign("sweep", config_name="../../conf/evil")
    assert "is not a valid config name" in hforch("resume", str(named), code=2).stderr


def test_overrides_that_are_passed_again_are_used(foreign: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "conf" / "stop").mkdir(parents=True)
    directory = foreign("run", more=["hydra.verbose=true"], config_dir=str(tmp_path / "conf"))
    told = hforch("resume", str(directory), code=2).stderr
    again = told.rpartition("pass it again: hforch ")[2].split()
    assert again == ["resume", str(directory), "hydra.verbose=true", "--config-dir", str(tmp_path / "conf")]
    assert (
        "hydra.job.name=x is not an override of the earlier command"
        in hforch(*again, "hydra.job.name=x", code=2).stderr
    )
    hforch(*again)
    assert read_record(directory)["status"] == "ok"


def test_modules_in_the_recorded_directory_are_not_imported(foreign: Callable[..., Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name in ("torch", "hforch", "pip", "orjson", "langchain_core"):
        (tmp_path / "evil").mkdir(exist_ok=True)
        (tmp_path / "evil" / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    directory = foreign("sweep")
    file = directory / "sweep.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cwd": str(tmp_path / "evil")}))
    hforch("resume", str(directory))
    assert not mark.exists()


def test_resume_does_not_write_through_links(foreign: Callable[..., Path], tmp_path: Path) -> None:
    directory = foreign("run")
    mine = tmp_path / "mine"
    (directory / "samples.jsonl").rename(mine)
    (directory / "samples.jsonl").symlink_to(mine)
    before = mine.read_bytes()
    assert "samples.jsonl is a symbolic link" in hforch("resume", str(directory), code=2).stderr
    assert mine.read_bytes() == before


def test_force_deletes_nothing_behind_a_link(made: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(made / "run", tmp_path / "mine"))
    directory = Path(shutil.copytree(made / "sweep", tmp_path / "sweep"))
    shutil.rmtree(directory / "1")
    (directory / "1").symlink_to(mine)
    before = contents(mine)
    hforch(*FAKE, "--force", f"hydra.run.dir={directory}")
    assert contents(mine) == before
