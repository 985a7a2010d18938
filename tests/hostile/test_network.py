"""Nothing phones home: names that hforch resolves, hosts it connects to and files it writes, all recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from command_line import ROOT

WATCH = """
import os, sys

def watch(event, args):
    if not event.startswith("socket.") or event not in WATCHED:
        return
    where = args[0] if event in BY_NAME else args[1] if event != "socket.sendmsg" else args[-1]
    host = where[0] if isinstance(where, tuple) else where
    if isinstance(where, tuple) and event not in BY_NAME and host in HERE or event in BY_NAME and host in HERE:
        return
    if event not in BY_NAME and not isinstance(where, tuple):
        return  # a socket of the file system
    with open(os.environ["LOOKED_UP"], "a") as log:
        log.write(f"{event} {host} by {sys.argv}\\n")
    raise OSError(101, "Network is unreachable")

BY_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
WATCHED = BY_NAME | {"socket.connect", "socket.sendto", "socket.sendmsg"}
HERE = {None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"}
sys.addaudithook(watch)
"""
"""A `sitecustomize` module, which Python imports before anything else, also in child processes."""

JOB = "prompt=raw inputs=numbers_in_french generation.max_new_tokens=4 inputs.limit=2"


@dataclass(frozen=True)
class Sandbox:
    """A home, a temporary folder and a working directory of one test."""

    folder: Path
    environment: Mapping[str, str]

    def python(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder / "cwd",
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def hforch(self, *words: str, code: int = 0) -> str:
        return self.python("-m", "hforch", *words, code=code)

    @property
    def looked_up(self) -> list[str]:
        log = self.folder / "looked_up"
        return log.read_text().splitlines() if log.exists() else []

    def written(self, where: str) -> list[str]:
        """Return all files below a folder, and empty folders."""
        top = self.folder / where
        return sorted(
            str(path.relative_to(top))
            for path in top.rglob("*")
            if not path.is_dir() or path.is_symlink() or not any(path.iterdir())
        )


def sandbox(folder: Path) -> Sandbox:
    for name in ("home", "config", "data", "state", "cache", "tmp", "cwd", "site"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(WATCH)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
    places = {"HOME": "home", "TMPDIR": "tmp", "LOOKED_UP": "looked_up"}
    places |= {f"XDG_{name.upper()}_HOME": name for name in ("config", "data", "state", "cache")}
    environment = {
        **kept,
        **{name: str(folder / place) for name, place in places.items()},
        "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANGSMITH_API_KEY": "a-key-alone-turns-nothing-on",
    }
    return Sandbox(folder, environment)


@pytest.fixture
def own(tmp_path: Path) -> Sandbox:
    return sandbox(tmp_path)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path) -> Sandbox:
    """A sandbox in which every command was used, on every backend."""
    box = sandbox(tmp_path_factory.mktemp("network"))
    tiny = ["model=local", f"model.path={tiny_gpt2}", *JOB.split()]
    box.hforch("--help")
    box.hforch("doctor")
    box.hforch("schema")
    box.hforch("init", "project")
    box.hforch("backend=fake", "hydra.run.dir=out/asked")
    box.hforch("export", *tiny[:2], "precision=fp32", "-o", "out/ir")
    backends = "backend=fake,pytorch,openvino,openvino_genai"
    box.hforch("-m", *tiny, backends, "precision=fp32", "hydra.sweep.dir=out/sweep", "--report")
    box.hforch("compare", "out/sweep", "--junit", "out/checks.xml")
    box.hforch("report", "out/sweep", "-o", "out/page.html")
    box.hforch("resume", "out/sweep")
    box.hforch("freeze", "out/sweep/1", "-o", "out/frozen.yaml")
    box.hforch("verify", "out/frozen.yaml", "--output", "out/verified")
    box.hforch("doctor", "--clean", "incomplete")
    return box


@pytest.mark.own_process
def test_no_command_resolves_a_name_or_connects(used: Sandbox) -> None:
    assert used.looked_up == []


@pytest.mark.own_process
def test_commands_write_only_to_the_cache_and_the_given_paths(used: Sandbox) -> None:
    kinds = ("exports", "engine_checks", "locks", "digests", "logs", "texts")
    strange = [
        name for name in used.written("cache") if not name.startswith(tuple(f"hforch/{kind}/" for kind in kinds))
    ]
    assert used.written("cache") and strange == []
    strange = [name for name in used.written("cwd") if not name.startswith(("out/", "project/"))]
    assert strange == []
    for place in ("home", "config", "data", "state"):
        assert used.written(place) == [], place
    temporary = [name for name in used.written("tmp") if not name.startswith("torchinductor_")]
    assert temporary == []
    assert all((used.folder / "tmp" / name).is_dir() for name in used.written("tmp"))  # torch creates an empty folder


@pytest.mark.model
def test_loading_a_model_from_python_reports_nothing_even_with_consent(
    own: Sandbox, used: Sandbox, tiny_gpt2: Path
) -> None:
    consent = own.folder / "home" / "intel" / "openvino_telemetry"
    consent.parent.mkdir()
    consent.write_text("1")
    program = f"""
        from hforch import load_llm
        llm = load_llm("model=local", "model.path={tiny_gpt2}", "backend=openvino", "precision=fp32")
        print(llm.invoke("one"))
    """
    exported = Sandbox(own.folder, {**own.environment, "XDG_CACHE_HOME": used.environment["XDG_CACHE_HOME"]})
    exported.python("-c", "\n".join(line.strip() for line in program.splitlines()))
    assert own.looked_up == []
    assert own.written("home") == ["intel/openvino_telemetry"] and consent.read_text() == "1"


@pytest.mark.model
def test_nothing_is_reported_even_if_the_reporter_was_imported_before(own: Sandbox) -> None:
    if not [*metadata.distributions(name="openvino-telemetry")]:
        pytest.skip("openvino-telemetry is not installed")
    own.python("-c", "import openvino_telemetry, hforch, nncf; nncf.telemetry.wrapper.telemetry.start_session('nncf')")
    assert own.looked_up == [] and own.written("home") == []


def test_the_watch_records_name_lookups(own: Sandbox) -> None:
    program = "import urllib.request as r\ntry: r.urlopen('http://example.org')\nexcept OSError as error: print(error)"
    assert "unreachable" in own.python("-c", program)
    assert any("example.org" in line for line in own.looked_up)


def test_tracing_that_the_user_enables_stays_enabled(own: Sandbox) -> None:
    on = Sandbox(own.folder, {**own.environment, "LANGSMITH_TRACING": "true"})
    program = f"""
import os, time
from hforch import load_llm
load_llm('backend=fake').invoke('one')
until = time.monotonic() + 30
while time.monotonic() < until and not os.path.exists({str(own.folder / "looked_up")!r}):
    time.sleep(0.05)
os._exit(0)  # it would try again several times
"""
    on.python("-c", program)
    assert any("smith.langchain.com" in line for line in on.looked_up)


def test_loading_a_hub_model_contacts_only_the_hub(own: Sandbox) -> None:
    said = own.hforch("model=hub", "model.id=org/name", "backend=pytorch", code=1)
    assert "the Hub cannot be reached" in said
    assert own.looked_up and all(" huggingface.co " in line for line in own.looked_up)
