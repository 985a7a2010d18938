"""Run hforch in forks of a process that has already imported its dependencies, so that tests do not wait for imports.

A server imports hforch's command line (and optionally the libraries of backends), then forks a child for each request.
The child gets the arguments, folder, environment and standard streams of the request, does what `python -m MODULE`
does, and exits like any Python process. `command_line.py` decides which commands run this way. Exports and conversions,
which hforch starts as separate processes, are forks of the same server.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import import_module, reload
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
READ_AT_IMPORT = ("PYTHON", "TRANSFORMERS_", "OMP_", "GOMP_", "MKL_", "OPENBLAS_")
"""Prefixes of the variables that Python and the libraries only read when they are started or imported.

Those of the Hugging Face Hub library (HF_...) are read again in each child.
"""

IMPORTED_LATE = (
    "altair",
    "vl_convert",
    "sacrebleu",
    "jsonschema",
    "hydra.core.global_hydra",
    "multiprocessing.popen_fork",
)
"""Modules that hforch imports inside functions."""

COMPOSED = (["backend=fake"], ["backend=fake", "inputs=numbers_in_french"], ["backend=fake", "inputs=facts"])
"""Options that many tests use."""

SET_PARENT_DEATH_SIGNAL = 1
STARTING_S = 120
READY = b"ready\n"


@dataclass(frozen=True)
class Request:
    module: str
    words: list[str]
    folder: str
    environment: Mapping[str, str]


# ---------------------------------------------------------------- client
class Server:
    """A process that runs modules in forks of itself.

    Args:
        backends: the backends whose libraries it imports, in addition to the command line.
        environment: of the server; children share its variables in READ_AT_IMPORT.
    """

    def __init__(self, backends: Sequence[str], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.mkdtemp(prefix="hforch-forking-")
        self._address = str(Path(self._folder, "socket"))
        command = [sys.executable, __file__, self._address, *backends]
        with Path(self._folder, "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        atexit.register(self.close)
        assert self._process.stdout is not None
        with self._process.stdout as said:
            if not _readable(said, STARTING_S) or said.readline() != READY:
                raise AssertionError(f"the server did not start: {Path(self._folder, 'log').read_text()}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m hforch WORDS`, like `subprocess.run` with `capture_output=True, text=True, stdin=DEVNULL`.

        Raises:
            subprocess.TimeoutExpired: the process was killed after the timeout.
        """
        request = Request("hforch", list(words), str(folder), dict(environment))
        command = [sys.executable, "-m", "hforch", *words]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = ask(self._address, request, out, err, timeout)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode().replace("\r\n", "\n").replace("\r", "\n"))
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout, *texts)
        return subprocess.CompletedProcess(command, code, *texts)

    def begin(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: int | IO[Any],
        stderr: int | IO[Any],
    ) -> Forked:
        """Start the same, without waiting for it."""
        return Forked(self._address, Request("hforch", list(words), str(folder), dict(environment)), stdout, stderr)

    def run_module(
        self,
        module: str,
        words: Sequence[str],
        output: IO[bytes],
        timeout: float,
        folder: Path,
        environment: Mapping[str, str],
    ) -> int | None:
        """Run `python -m MODULE WORDS` with its output in a file.

        Returns:
            the exit code, or the negative number of the signal that killed it; None if it was killed after the timeout.
        """
        request = Request(module, list(words), str(folder), dict(environment))
        return ask(self._address, request, output, output, timeout)

    def start(self, module: str, files: Sequence[Path], output: IO[bytes], environment: Mapping[str, str]) -> int:
        """Replace `hforch.models.subprocesses.start`."""
        return start(self._address, module, files, output, environment)


@cache
def server(backends: tuple[str, ...], read_at_import: tuple[tuple[str, str], ...]) -> Server:
    others = {name: value for name, value in os.environ.items() if not name.startswith(READ_AT_IMPORT)}
    return Server(backends, others | dict(read_at_import))


def server_for(backends: Sequence[str], environment: Mapping[str, str]) -> Server:
    """Return the server whose children can have this environment; start it if necessary."""
    kept = {name: value for name, value in environment.items() if name.startswith(READ_AT_IMPORT)}
    return server(tuple(backends), tuple(sorted(kept.items())))


def ask(address: str, request: Request, out: IO[bytes], err: IO[bytes], timeout: float | None = None) -> int | None:
    """Return the exit code like `subprocess.Popen.returncode`; None if the process was killed after the timeout."""
    connection, _ = _begin(address, request, out.fileno(), err.fileno())
    with connection:
        if not _readable(connection, timeout):
            return None  # closing the connection kills it
        return _number(connection)


class Forked:
    """A running `python -m hforch WORDS`, with the methods of `subprocess.Popen(..., text=True)` that tests need.

    Args:
        stdout, stderr: as for Popen: PIPE, DEVNULL, STDOUT, or a file.
    """

    def __init__(self, address: str, request: Request, stdout: int | IO[Any], stderr: int | IO[Any]) -> None:
        self.args = [sys.executable, "-m", request.module, *request.words]
        self.returncode: int | None = None
        with ExitStack() as handed:
            self.stdout, out = self._stream(stdout, handed)
            self.stderr, err = (None, out) if stderr == subprocess.STDOUT else self._stream(stderr, handed)
            self._connection, self.pid = _begin(address, request, out, err)

    @staticmethod
    def _stream(wanted: int | IO[Any], handed: ExitStack) -> tuple[IO[str] | None, int]:
        """Return the end of the pipe to read from, if any, and the file descriptor for the process."""
        if not isinstance(wanted, int):
            return None, wanted.fileno()
        if wanted == subprocess.DEVNULL:
            return None, handed.enter_context(Path(os.devnull).open("wb")).fileno()
        ours, theirs = os.pipe()
        handed.callback(os.close, theirs)
        return os.fdopen(ours, encoding="utf-8"), theirs

    def poll(self) -> int | None:
        if self.returncode is None and _readable(self._connection, 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not _readable(self._connection, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = _number(self._connection)
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        files = [self.stdout, self.stderr]
        with ThreadPoolExecutor(len(files)) as pool:
            reading = [pool.submit(file.read) if file else None for file in files]
            try:
                texts = [one.result(timeout) if one else "" for one in reading]
                self.wait(timeout)
            except TimeoutError:
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
        for file in files:
            if file:
                file.close()
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _begin(address: str, request: Request, out: int, err: int) -> tuple[socket.socket, int]:
    """Return the connection that will report the exit code, and the process id."""
    connection = socket.socket(socket.AF_UNIX)
    with Path(os.devnull).open("rb") as nothing:
        connection.connect(address)
        asked = json.dumps(asdict(request)).encode()
        socket.send_fds(connection, [len(asked).to_bytes(4, "little")], [nothing.fileno(), out, err])
        connection.sendall(asked)
        return connection, _number(connection)


def _number(connection: socket.socket) -> int:
    found = connection.recv(4)
    assert found, "the server is gone"
    return int.from_bytes(found, "little", signed=True)


def start(address: str, module: str, files: Sequence[Path], output: IO[bytes], environment: Mapping[str, str]) -> int:
    """Let the server at this address do what `hforch.models.subprocesses.start` does with the other arguments."""
    asked = json.loads(files[0].read_text())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    parent = int.from_bytes(credentials[:4], "little")
    files[0].write_text(json.dumps(asked | {"parent": parent}))
    code = ask(address, Request(module, [*map(str, files)], str(Path.cwd()), dict(environment)), output, output)
    assert code is not None
    return code


def _readable(file: Any, timeout: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        return bool(selector.select(timeout))


# ---------------------------------------------------------------- the server
def main() -> None:
    address, *backends = sys.argv[1:]
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests, which then hang up
    prepare(backends, address)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, READY)
        os.dup2(2, 1)
        request = serve(listener)
    if request is not None:
        become(request)
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def prepare(backends: Sequence[str], address: str) -> None:
    atexit.register(forget)
    from hforch.config.as_recipe import recipe_of
    from hforch.config.compose import job_from_overrides
    from hforch.models import subprocesses
    from hforch.report.page.write import library
    from hforch.runs.processes.preload import preload, quick_imports

    with quick_imports():
        for file in sorted((ROOT / "hforch").rglob("*.py")):
            if file.name != "__main__.py":
                with suppress(ImportError):  # the library is not installed
                    import_module(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        for name in IMPORTED_LATE:
            with suppress(ImportError):
                import_module(name)
        for backend in backends:
            preload(backend)
        if backends:
            with suppress(ImportError):
                import_module("optimum.exporters.openvino")
            subprocesses.start = partial(start, address)
        for options in COMPOSED:  # creates Hydra's parser, reads and merges files
            recipe_of(job_from_overrides(options).model_dump(mode="json"))
        with suppress(ImportError):
            library()
    keep()


def keep() -> None:
    """Keep children from freeing inherited objects when they exit: that takes longer than many of them run.

    All objects get one more reference, which is never released; `forget` keeps Python from clearing modules.
    """
    gc.unfreeze()
    kept = [*gc.get_objects(), dict(sys.modules)]
    gc.freeze()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def forget() -> None:
    """Empty sys.modules when a child exits, so that Python does not clear the modules; called last."""
    sys.stdout.flush()
    for name in [*sys.modules]:
        if name not in ("sys", "builtins"):
            del sys.modules[name]


def serve(listener: socket.socket) -> Request | None:
    """Fork a child for each request and report its exit code; return the request in the child, None at shutdown."""
    running: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return None
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    request = _received(connection)
                    if request is None:
                        connection.close()
                        continue
                    asked, streams = request
                    pid = os.fork()
                    if not pid:
                        for number, file in enumerate(streams):
                            os.dup2(file, number)
                        for file in (*streams, *running, *(one.fileno() for _, one in running.values())):
                            os.close(file)
                        connection.close()
                        return asked
                    for file in streams:
                        os.close(file)
                    with suppress(OSError):
                        connection.sendall(pid.to_bytes(4, "little"))
                    ending = os.pidfd_open(pid)
                    running[ending] = (pid, connection)
                    selector.register(ending, selectors.EVENT_READ)
                    selector.register(connection, selectors.EVENT_READ, pid)
                elif key.fd in running:
                    pid, connection = running.pop(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    for file in (key.fd, connection):
                        with suppress(KeyError):
                            selector.unregister(file)
                    with suppress(OSError):
                        connection.sendall(code.to_bytes(4, "little", signed=True))
                    connection.close()
                    os.close(key.fd)
                else:  # the client has disconnected
                    selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)


def _received(connection: socket.socket) -> tuple[Request, list[int]] | None:
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    if not length:
        return None
    found = b""
    while len(found) < int.from_bytes(length, "little"):
        piece = connection.recv(1 << 20)
        if not piece:  # the client has disconnected
            for file in streams:
                os.close(file)
            return None
        found += piece
    return Request(**json.loads(found)), streams


def become(request: Request) -> None:
    """Turn this child into the requested process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    for name, number in (("stdout", 1), ("stderr", 2)):  # the server's streams have cached the kind of file
        old = getattr(sys, name)
        new = os.fdopen(number, "w", encoding=old.encoding, errors=old.errors, closefd=False)
        new.reconfigure(line_buffering=name == "stderr" or new.isatty(), write_through=old.write_through)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    sys.path[0] = request.folder  # as with `python -m`
    sys.argv[:] = [request.module, *request.words]
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        reload(constants)


if __name__ == "__main__":
    main()
