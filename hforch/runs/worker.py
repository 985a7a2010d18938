"""The processes that hold models, as their parent sees them: a nursery for each backend, and the workers it bears.

A nursery is a fork of a parent that has loaded no library; it imports those of one backend and nothing more, so that
each of its own forks, the workers, has them at once. A worker holds one model and runs the jobs that share it. So a
run's memory is its own and really freed, a native crash cannot take the parent down, and whatever libraries print goes
to the job's log. Workers tell through a pipe what happens, and the parent shows it; `remote.py` is the other side.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from hforch.errors import EXIT_FAILED, EXIT_INTERRUPTED, HforchError, Mistake
from hforch.redaction import redact_file
from hforch.runs.remote import LOG, nurse

if TYPE_CHECKING:
    from hforch.backends.accelerators import Accelerator
    from hforch.config.schema import Job
    from hforch.runs.given import Given
    from hforch.runs.watch import Watcher


AT_ONCE_S = 0.3  # what takes less than that need not be shown
IMPORT = -1  # the number of a stage that is the parent's own

_ours: WeakSet[Connection] = WeakSet()  # the parent's ends of all pipes, which no child may keep open


class WorkerDied(Exception):
    """A worker is gone without a word; `code` as `subprocess.Popen.returncode`, None if it cannot be known."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Nursery:
    """A process that has the libraries of a backend imported, and bears workers.

    Attributes:
        backend: the name of the backend.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._environment = dict(os.environ)
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        _ours.add(self._pipe)
        arguments = (theirs, list(_ours), backend, os.getpid())
        # A daemon in multiprocessing's sense: a parent that ends without closing it, as launchers' do, ends it too.
        self._process = context.Process(target=nurse, args=arguments, name=f"hforch-{backend}", daemon=True)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # The child is born deaf to Ctrl-C: until a worker has a record to finish, the parent answers for all.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()

    def suits(self, backend: str) -> bool:
        """Whether it has what a job needs that runs now: the libraries, and the environment they read."""
        return self.backend == backend and self._environment == dict(os.environ) and self._process.is_alive()

    def bear(self) -> Worker:
        ours, theirs = multiprocessing.get_context("fork").Pipe()
        _ours.add(ours)
        self._pipe.send_bytes(pickle.dumps(("bear",)))
        send_handle(self._pipe, theirs.fileno(), self._process.pid)
        theirs.close()
        return Worker(self, ours)

    def reap(self, pid: int) -> int | None:
        """How a worker of its own ended; waits for the end."""
        with suppress(EOFError, OSError):
            self._pipe.send_bytes(pickle.dumps(("reap", pid)))
            code: int = pickle.loads(self._pipe.recv_bytes())
            return code
        return None

    def discard(self) -> None:
        """End it, and its workers with it."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class Worker:
    """A process that runs jobs, one at a time.

    Attributes:
        pid: its process id, once it has told it.
        interrupted: whether Ctrl-C was passed on to it.
    """

    def __init__(self, nursery: Nursery, pipe: Connection) -> None:
        self._nursery, self._pipe = nursery, pipe
        self.pid: int | None = None
        self.interrupted = False

    def ask(self, *request: Any, watcher: Watcher | None = None) -> Any:
        """Let it do something, show what it tells meanwhile, and return the outcome.

        One Ctrl-C is passed on, and a worker with a job finishes its record; a second one kills it.

        Raises:
            WorkerDied: without an outcome.
            HforchError: it could not be started.
            KeyboardInterrupt: it was killed by Ctrl-C.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        shows = Shows(watcher, importing=self.pid is None)
        interrupts = 0
        try:
            with suppress(OSError):
                self._pipe.send_bytes(pickle.dumps(request))
            while True:
                try:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                    shows.wait(self._pipe)
                    kind, *rest = self._pipe.recv()
                    if kind == "born":
                        self.pid = rest[0]
                        if interrupts:
                            self._signal(signal.SIGINT)
                    elif kind == "outcome":
                        return rest[0]
                    elif kind == "refused":
                        raise HforchError(rest[0])
                    else:
                        shows.show(kind, *rest)
                except KeyboardInterrupt:
                    interrupts, self.interrupted = interrupts + 1, True
                    self._signal(signal.SIGINT if interrupts == 1 and request[0] == "job" else signal.SIGKILL)
                except (EOFError, ConnectionResetError):
                    break
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            shows.close()
        code = self._end()
        if interrupts:
            raise KeyboardInterrupt
        raise WorkerDied(code)

    def close(self) -> None:
        """Hang up, and wait until its memory is free again."""
        self._end()

    def _end(self) -> int | None:
        self._pipe.close()
        return self._nursery.reap(self.pid) if self.pid is not None else None

    def _signal(self, which: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, which)
        elif which == signal.SIGKILL:
            self._nursery.discard()


class Workers:
    """The processes of one command: a nursery for each backend, and the one worker that holds a model."""

    def __init__(self) -> None:
        self._nurseries: dict[str, Nursery] = {}
        self._worker: Worker | None = None
        self._holds: tuple[str, str] | None = None
        self._has_scored = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, backend: str) -> None:
        """Let the libraries of a backend be imported, if they are not yet."""
        self._nursery(backend)

    def check(self, backend: str, jobs: Sequence[Job]) -> list[list[Mistake]]:
        """What this machine cannot do for each of the jobs, all on one backend.

        Raises:
            WorkerDied: looking at it crashed.
        """
        found: list[list[Mistake]] = self._ask_another(backend, "check", jobs)
        return found

    def devices(self, backend: str, jobs: Sequence[Job]) -> list[Accelerator]:
        """Return the accelerators that some jobs, all on one backend, are for, with what is free of them now.

        Raises:
            WorkerDied: looking at them crashed.
        """
        found: list[Accelerator] = self._ask_another(backend, "devices", jobs)
        return found

    def _ask_another(self, backend: str, what: str, jobs: Sequence[Job]) -> Any:
        """Ask a worker about jobs that ends with its answer, so that what it has initialized is free again."""
        worker = self._nursery(backend).bear()
        try:
            return worker.ask(what, list(jobs))
        finally:
            worker.close()

    def run(self, job: Job, directory: Path, given: Given, watcher: Watcher, key: str = "") -> int:
        """Run a job in a process of its own, or in the one that holds its model; see `runner.run_job`.

        Args:
            key: its load key, if there may be more jobs with the same one.
        """
        directory.mkdir(parents=True, exist_ok=True)
        worker = self._take(job.backend.name, key)
        try:
            outcome, holds = worker.ask("job", job, directory, given, str(Path.cwd()), watcher=watcher)
        except WorkerDied as death:
            self._forget()
            return _died(death.code, directory, given, watcher)
        except HforchError:
            self._forget()
            raise
        except KeyboardInterrupt:
            self._forget()
            return EXIT_INTERRUPTED
        finally:
            redact_file(directory / LOG)
        if outcome == EXIT_INTERRUPTED and not worker.interrupted:  # its nursery was killed
            self._forget()
            return _died(None, directory, given, watcher)
        self._has_scored = job.scoring.is_asked
        if not holds:
            self.free()
        if isinstance(outcome, HforchError):
            raise outcome
        code: int = outcome
        return code

    def again(self) -> tuple[float, float] | None:
        """The seconds of the first batch that the model in memory answered, at first and once more now."""
        if self._worker is None:
            return None
        try:
            seconds: tuple[float, float] | None = self._worker.ask("again")
            return seconds
        except WorkerDied:
            self._forget()
            return None

    def free(self) -> None:
        """End the worker, and its model with it."""
        if self._worker is not None:
            self._worker.close()
        self._forget()

    def close(self) -> None:
        self.free()
        for nursery in self._nurseries.values():
            nursery.discard()
        self._nurseries.clear()

    def _take(self, backend: str, key: str) -> Worker:
        nursery = self._nursery(backend)
        if self._worker is None or self._holds != (backend, key) or self._has_scored:
            self.free()  # what reading given tokens has made its engine keep is not the next job's memory
            self._worker, self._holds = nursery.bear(), (backend, key)
        return self._worker

    def _nursery(self, backend: str) -> Nursery:
        from hforch.runs import early

        nursery = self._nurseries.get(backend) or early.take(backend)
        if nursery is not None and not nursery.suits(backend):
            self.free()
            nursery.discard()
            nursery = None
        self._nurseries[backend] = nursery or Nursery(backend)
        return self._nurseries[backend]

    def _forget(self) -> None:
        self._worker = self._holds = None


class Shows:
    """Passes on to a Watcher what `Remote` sent; when that cannot be written any more, to nobody.

    This process's own stdout takes all (`streams.py`); that of somebody who calls hforch from Python may not.
    """

    def __init__(self, watcher: Watcher | None, importing: bool) -> None:
        from hforch.runs.watch import Nobody

        self._watcher = watcher or Nobody()
        self._begun = not importing
        self._stages: dict[int, tuple[ExitStack, Callable[[int], None]]] = {}

    def wait(self, pipe: Connection) -> None:
        """Until the child says its first word, show that it imports its libraries, if that takes a while."""
        if not self._begun and not pipe.poll(AT_ONCE_S):
            self.show("stage", IMPORT, "import", "the libraries of the backend")
            try:
                pipe.poll(None)
            finally:
                self.show("end", IMPORT, True)
        self._begun = True

    def show(self, kind: str, *rest: Any) -> None:
        try:
            self._show(kind, *rest)
        except OSError:
            from hforch.runs.watch import Nobody

            self._watcher = Nobody()  # the run goes on: its record is still wanted

    def close(self) -> None:
        """Leave the stages that the child could not leave."""
        for number in list(self._stages):
            self.show("end", number, False)

    def _show(self, kind: str, *rest: Any) -> None:
        if kind == "stage":
            number, *about = rest
            stack = ExitStack()
            self._stages[number] = (stack, stack.enter_context(self._watcher.stage(*about)))
        elif kind == "advance":
            if rest[0] in self._stages:
                self._stages[rest[0]][1](rest[1])
        elif kind == "end":
            number, finished = rest
            if number in self._stages:
                stack, _ = self._stages.pop(number)
                stopped = None if finished else KeyboardInterrupt()
                stack.__exit__(type(stopped) if stopped else None, stopped, None)
        else:
            getattr(self._watcher, kind)(*rest)


def _died(code: int | None, directory: Path, given: Given, watcher: Watcher) -> int:
    """The worker is gone without a word: put the reason into the record that it had begun."""
    from hforch.runs.records import SCHEMA_VERSION, RecordWriter, read_record

    if code is None:
        reason = "stopped by the end of the process it was born from"
    elif code < 0:
        reason = f"killed by {signal.Signals(-code).name}"
    else:
        reason = f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        reason += ", most likely because memory ran out"
    message = f"the process that held the model was {reason}; its last words are in {directory / LOG}"
    error = {"type": "WorkerDied", "message": message}
    try:
        record = read_record(directory)
    except (OSError, ValueError):
        record = {"schema_version": SCHEMA_VERSION, **given.asked()}
    record |= {"status": "failed", "exit_code": EXIT_FAILED, "error": error}
    with RecordWriter(directory) as writer:
        writer.write(record)
    watcher.finished(record, str(directory))
    return EXIT_FAILED
