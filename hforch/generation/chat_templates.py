"""Chat templates, rendered in a process with limits of time and memory (`generation/template_process.py`)."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGALRM, Signals
from typing import Any

from hforch.errors import PromptError, shown
from hforch.generation.engine import RenderedChat
from hforch.generation.template_process import SECONDS, packed

NO_TEMPLATE = (
    "this model has no chat template, so it takes no chat messages; use prompt=step_by_step or prompt=raw, or a"
    " PromptTemplate instead of a ChatPromptTemplate"
)
TOO_LONG = {"failed": f"it takes longer than {SECONDS:.0f} seconds"}
PATIENCE = 3
MARK = "HFORCH_LEFT_OPEN "  # stands where the last message ends, while it is rendered


def render(template: str, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any]) -> RenderedChat:
    """Render messages ({role, content}) as a prompt; a last message of the assistant is left open, to be continued.

    Args:
        template: the chat template, in Jinja.
        variables: what it is given besides: special tokens, and what the user sets.

    Raises:
        PromptError: the template refuses these messages, fails, or takes too much time or memory.
    """
    continues = bool(messages) and messages[-1]["role"] == "assistant"
    told = [dict(message) for message in messages]
    if continues:
        told[-1]["content"] += MARK
    given = {"tools": None, "documents": None, **variables, "messages": told, "add_generation_prompt": not continues}
    text = _process.render(template, given)
    return RenderedChat(_left_open(text, messages[-1]["content"]) if continues else text)


def refusal(reason: object) -> PromptError:
    return PromptError(f"the model's chat template refuses these messages: {shown(str(reason))}")


def failure(reason: object) -> PromptError:
    return PromptError(f"the model's chat template fails on these messages: {shown(str(reason))}")


def _left_open(text: str, content: str) -> str:
    """The text up to the end of the last message's content, which templates may have stripped."""
    at = text.rfind(MARK.strip())
    if at < 0 or content.strip() not in text:
        raise refusal("the last message cannot be continued, for the template changes its text")
    return text[:at] if text[at : at + len(MARK)] == MARK else text[:at].rstrip()


class TemplateProcess:
    """The process that renders, started when it is first needed, and again where it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._timeouts: Counter[str] = Counter()

    def render(self, template: str, variables: Mapping[str, Any]) -> str:
        try:
            request = packed(template, variables)
        except (TypeError, ValueError, RecursionError) as error:
            raise refusal(error) from error
        with self._lock:
            if self._timeouts[template] >= PATIENCE:  # thousands of prompts would each take all of the time
                raise failure(f"it took longer than {SECONDS:.0f} seconds {PATIENCE} times, and is not tried again")
            answer = self._ask(request) or self._ask(request)  # it ends when it had nothing to do for a while
            if answer == TOO_LONG:
                self._timeouts[template] += 1
        if answer is None:
            raise failure("the process that renders it ends at once")
        if "refused" in answer:
            raise refusal(answer["refused"])
        if "failed" in answer:
            raise failure(answer["failed"])
        return answer["text"]

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, request: bytes) -> dict[str, str] | None:
        """What the process answers; None if it had ended before it was asked."""
        child = self._running()
        assert child.stdin and child.stdout
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(request)
                child.stdin.flush()
            line = child.stdout.readline()
            if line.endswith(b"\n"):
                answer: dict[str, str] = json.loads(line)
                return answer
        except BaseException:  # half an answer may be on its way
            self._end()
            raise
        code = child.wait()
        self._end()
        if code == -SIGALRM:
            return TOO_LONG
        return {"failed": f"it ends the process with {Signals(-code).name}"} if code < 0 else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # in a fork, it is still the parent's
            self._child, self._owner = None, os.getpid()
        if self._child is None:
            root = str(Path(__file__).resolve().parents[2])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            command = [sys.executable, "-P", "-m", "hforch.generation.template_process"]
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                )
            except OSError as error:
                raise PromptError(f"the process that renders chat templates cannot be started: {error}") from error
        return self._child

    def _end(self) -> None:
        if self._child is None or self._owner != os.getpid():
            return
        child, self._child = self._child, None
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            with suppress(OSError):
                if stream:
                    stream.close()


_process = TemplateProcess()
atexit.register(_process.close)
