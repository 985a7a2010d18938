"""A thread that steps openvino-genai's engine while requests join and leave the batch.

It admits as many sequences as the engine may run at the same time; the waiting time of the others is queue_ms. After
each step it passes the new tokens to their completions, so stop sequences, streams and timings work as in all other
backends. A finished or cancelled sequence leaves immediately, and the next step can use its slot.
"""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hforch.backends.genai.generation_config import generation_config
from hforch.backends.genai.pipeline import token_tensor
from hforch.backends.ov.device import short_message
from hforch.errors import GenerationError
from hforch.generation.completion import Answer, Completion
from hforch.generation.engine import Request
from hforch.generation.request_queue import CLOSED, ThreadQueue, closed_at_exit, join
from hforch.machine.out_of_memory import is_out_of_memory, translate


@dataclass
class PendingRequest:
    """A submitted request, with its sequences, finished answers and future."""

    request: Request
    future: Future[list[Answer]]
    rows: list[ActiveSequence] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)

    def finish(self, row: ActiveSequence, answer: Answer) -> None:
        self.answers[row.place] = answer
        if len(self.answers) == len(self.rows):
            self.future.set_result([self.answers[place] for place in range(len(self.rows))])

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    @property
    def is_unwanted(self) -> bool:
        return self.request.cancelled.is_set() or self.future.done()


@dataclass(eq=False)
class ActiveSequence:
    """The sequence that completes one prompt of a request.

    Attributes:
        pending: the request.
        place: position of the prompt in the request.
        completion: receives the tokens.
        values: fields of the GenerationConfig.
        encoded_s: duration of tokenization in seconds; part of the time to first token.
        started: when the engine started to process it, in seconds (perf_counter), minus encoded_s.
        handle: the engine's generation handle, once admitted.
        width: number of beams.
    """

    pending: PendingRequest
    place: int
    completion: Completion
    values: Mapping[str, Any]
    encoded_s: float
    started: float = 0.0
    handle: Any = None

    @property
    def width(self) -> int:
        return int(self.values.get("num_beams", 1))

    def take(self, now: float) -> bool:
        """Read the tokens of the last step; return True when the answer is finished.

        Raises:
            GenerationError: the engine dropped the sequence, because its KV cache is full.
        """
        status = self.handle.get_status().name
        if status == "IGNORED":
            had = len(self.completion.prompt_ids)
            raise GenerationError(
                f"the engine's KV cache is full (a prompt of {had} tokens and its answer do not fit); increase"
                " backend.cache_size, or set it to null to let the cache grow"
            )
        if self.width > 1:
            if status == "FINISHED":
                best = max(self.handle.read_all(), key=lambda output: output.score)
                self.completion.take(best.generated_ids)
        elif self.handle.can_read():
            for output in self.handle.read().values():
                for token in output.generated_ids:
                    if self.completion.push(token, now):
                        return True
        if status != "RUNNING":
            self.completion.finish()
        return self.completion.finish_reason is not None


Arrival = tuple[Callable[[PendingRequest], list[ActiveSequence]] | None, PendingRequest]


class Scheduler:
    """A scheduler with a daemon thread that steps the engine. At exit, running requests are cancelled and awaited.

    Args:
        together: maximum number of sequences that run at the same time.
    """

    def __init__(self, pipe: Any, together: int) -> None:
        self.is_closed = False
        self._arrivals: ThreadQueue[Arrival] = ThreadQueue()
        state = SchedulerLoop(pipe, together, self._arrivals)
        self._thread = threading.Thread(target=state.run, name="hforch-engine", daemon=True)
        self._thread.start()
        # The thread must not keep the engine alive, and it must end even if `close` is never called.
        self._end = weakref.finalize(self, self._arrivals.end)
        self._end.atexit = False
        closed_at_exit(self)

    def submit(self, rows: Callable[[PendingRequest], list[ActiveSequence]], request: Request) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        self._arrivals.put((rows, PendingRequest(request, future)))
        return future

    def settle(self) -> None:
        """Wait until all earlier requests are finished or cancelled."""
        future: Future[list[Answer]] = Future()
        self._arrivals.put((None, PendingRequest(Request((), None), future)))  # type: ignore[arg-type]
        future.result()

    def close(self) -> None:
        self.is_closed = True
        self._end.detach()  # see RequestQueue.close
        self._arrivals.end()

    def join(self, timeout: float) -> None:
        join(self._thread, timeout)


class SchedulerLoop:
    """The loop of the scheduler's thread, and its state."""

    def __init__(self, pipe: Any, together: int, arrivals: ThreadQueue[Arrival]) -> None:
        self.pipe, self.together, self.arrivals = pipe, together, arrivals
        self.waiting: deque[ActiveSequence] = deque()
        self.active: list[ActiveSequence] = []
        self.leaving: list[Any] = []  # cancelled handles; the next step frees their KV cache blocks
        self.settling: list[PendingRequest] = []
        self.numbers = count(1)

    def run(self) -> None:
        while self._arrive():
            self._drop_unwanted()
            self._admit()
            if self.active or self.leaving:
                self._step()
        late = [pending for _, pending in self.arrivals.shut()]
        for pending in [*(row.pending for row in [*self.active, *self.waiting]), *self.settling, *late]:
            pending.fail(GenerationError(CLOSED))
        self._leave(self.active)
        self._step()

    def _arrive(self) -> bool:
        """Take new requests, blocking if there is nothing else to do; return False when the queue has ended."""
        while True:
            idle = not (self.waiting or self.active or self.leaving)
            if idle:
                for pending in self.settling:
                    pending.future.set_result([])
                self.settling.clear()
            try:
                arrival = self.arrivals.take(block=idle)
            except queue.Empty:
                return True
            if arrival is None:
                return False
            rows, pending = arrival
            if rows is None:
                self.settling.append(pending)
            elif pending.future.set_running_or_notify_cancel():
                self._prepare(rows, pending)
            del arrival, rows, pending  # local variables must not keep the engine alive while the loop waits

    def _prepare(self, rows: Callable[[PendingRequest], list[ActiveSequence]], pending: PendingRequest) -> None:
        try:
            pending.rows = rows(pending)
        except BaseException as error:
            pending.fail(error)
            return
        if not pending.rows:
            pending.future.set_result([])
        self.waiting.extend(pending.rows)

    def _drop_unwanted(self) -> None:
        self.waiting = deque(row for row in self.waiting if not row.pending.is_unwanted)
        unwanted = [row for row in self.active if row.pending.is_unwanted]
        if not unwanted:
            return
        self._leave(unwanted)
        for row in unwanted:
            row.pending.fail(CancelledError("cancelled"))

    def _admit(self) -> None:
        room = self.together - sum(row.width for row in self.active)
        while self.waiting and (self.waiting[0].width <= room or not self.active):
            row = self.waiting.popleft()
            try:
                row.started = time.perf_counter() - row.encoded_s
                row.handle = self.pipe.add_request(
                    next(self.numbers), token_tensor(row.completion.prompt_ids), generation_config(row.values)
                )
            except Exception as error:
                row.pending.fail(error)
                continue
            self.active.append(row)
            room -= row.width

    def _step(self) -> None:
        try:
            if self.pipe.has_non_finished_requests():
                self.pipe.step()
        except Exception as error:
            failure = GenerationError(f"openvino_genai failed: {short_message(error)}")
            if is_out_of_memory(error):
                failure = translate(error, "use a smaller backend.max_num_seqs, backend.cache_size or precision")
            for row in self.active:
                row.pending.fail(failure)
            self._leave(self.active)
            self._recover()
            return
        self.leaving.clear()
        now = time.perf_counter()
        for row in list(self.active):
            try:
                if not row.take(now):
                    continue
                answer = row.completion.answer(row.pending.request.submitted_at, row.started, time.perf_counter())
                self._leave([row])
                if not row.pending.future.done():
                    row.pending.finish(row, answer)
            except Exception as error:
                row.pending.fail(error)
                self._leave([row])

    def _leave(self, rows: Sequence[ActiveSequence]) -> None:
        """Remove sequences from the engine; cancel unfinished ones, since they would leak their KV cache blocks."""
        for row in list(rows):
            if row.handle.get_status().name == "RUNNING":
                row.handle.cancel()
                self.leaving.append(row.handle)
            self.active.remove(row)

    def _recover(self) -> None:
        """Run another step after a failed one, so that the engine removes the cancelled sequences."""
        try:
            self.pipe.step()
        except Exception:
            time.sleep(0.01)
        self.leaving.clear()
