"""Render chat templates in a process with time and memory limits (`generation/template_process.py`)."""

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
    "this model has no chat template, so it does not accept chat messages; use prompt=step_by_step or prompt=raw, or a"
    " PromptTemplate instead of a ChatPromptTemplate"
)
TOO_LONG = {"failed": f"rendering took longer than {SECONDS:.0f} seconds"}
PATIENCE = 3
MARK = "HFORCH_LEFT_OPEN "  # marks the end of the last message during rendering


def select(templates: Mapping[str, str], kwargs: Mapping[str, Any]) -> str:
    """Return the template to use, as transformers does.

    Args:
        templates: the templates of a model by name; most models have only `default`.
        kwargs: variables passed to the template; `chat_template` is a template or the name of one, `tools` selects the
            template `tool_use`.

    Raises:
        PromptError: the model has no template, or several and none of these.
    """
    given = kwargs.get("chat_template")
    if given is not None and not isinstance(given, str):
        raise PromptError(f"chat_template must be a template or the name of one; got {type(given).__name__}")
    if given is not None:
        return templates.get(given, given)
    names = ("tool_use", "default") if kwargs.get("tools") is not None else ("default",)
    found = next((templates[name] for name in names if name in templates), None)
    if found is not None:
        return found
    if not templates:
        raise PromptError(NO_TEMPLATE)
    options = ", ".join(sorted(templates))
    raise PromptError(
        f"the model has several chat templates ({options}); select one with prompt.chat_template_kwargs.chat_template"
    )


def render(template: str, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> RenderedChat:
    """Render messages ({role, content, ...}) as a prompt.

    If the last message is from the assistant, the model continues it.

    Args:
        template: the chat template, in Jinja.
        variables: other variables of the template: special tokens, and those set by the user.

    Raises:
        PromptError: the template rejects the messages, fails, or exceeds the time or memory limit.
    """
    continues = bool(messages) and messages[-1]["role"] == "assistant"
    copies = [dict(message) for message in messages]
    if continues:
        copies[-1]["content"] += MARK
    given = {"tools": None, "documents": None, **variables, "messages": copies, "add_generation_prompt": not continues}
    given.pop("chat_template", None)  # it selected the template
    text = _process.render(template, given)
    return RenderedChat(_left_open(text, messages[-1]["content"]) if continues else text)


def refusal(reason: object) -> PromptError:
    return PromptError(f"the model's chat template rejects these messages: {shown(str(reason))}")


def failure(reason: object) -> PromptError:
    return PromptError(f"the model's chat template fails on these messages: {shown(str(reason))}")


def _left_open(text: str, content: str) -> str:
    """Return the rendered text up to the end of the last message, whose whitespace the template may have stripped."""
    at = text.rfind(MARK.strip())
    if at < 0 or content.strip() not in text:
        raise refusal("the last message cannot be continued, because the template changes its text")
    return text[:at] if text[at : at + len(MARK)] == MARK else text[:at].rstrip()


class TemplateProcess:
    """A handle to the process that renders templates, which starts on first use and again after it has ended."""

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
            if self._timeouts[template] >= PATIENCE:  # otherwise each of thousands of prompts would time out
                raise failure(f"rendering timed out {PATIENCE} times (after {SECONDS:.0f} s each); giving up")
            answer = self._ask(request) or self._ask(request)  # the process may have ended after its idle time
            if answer == TOO_LONG:
                self._timeouts[template] += 1
        if answer is None:
            raise failure("the rendering process exited immediately")
        if "refused" in answer:
            raise refusal(answer["refused"])
        if "failed" in answer:
            raise failure(answer["failed"])
        return answer["text"]

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, request: bytes) -> dict[str, str] | None:
        """Return the response of the process; None if it had ended before the request."""
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
        except BaseException:  # a partial response may be left in the pipe
            self._end()
            raise
        code = child.wait()
        self._end()
        if code == -SIGALRM:
            return TOO_LONG
        return {"failed": f"the rendering process was killed by {Signals(-code).name}"} if code < 0 else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork, the process belongs to the parent
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
                raise PromptError(f"cannot start the process that renders chat templates: {error}") from error
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
