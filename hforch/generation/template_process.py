"""The process that renders chat templates, started by `generation/chat_templates.py`.

A template is a program that comes with a model. Jinja's sandbox restricts what it can access, but does not prevent it
from looping for hours or from producing a terabyte of text. Templates therefore run in a process with time and memory
limits set by the operating system. Requests and responses are JSON, one per line.
"""

from __future__ import annotations

import json
import resource
import select
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

SECONDS = 10.0  # time limit per prompt; rendering usually takes a millisecond
MEMORY = 1 << 30  # limit of the address space, in bytes
LONGEST = 50_000_000  # maximum number of characters of a prompt
IDLE_S = 60.0  # the process ends after this time without a request


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it is doing
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while select.select([requests], [], [], IDLE_S)[0]:
        line = requests.readline()
        if not line:
            return
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        answer = json.dumps(render(line)).encode()
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(answer + b"\n")
        answers.flush()


def render(line: bytes) -> dict[str, str]:
    """Render the template of a request; return the text, or the error under `refused` or `failed`."""
    from jinja2 import TemplateError

    try:
        request = json.loads(line)
        text = compiled(request["template"]).render(**request["variables"])
    except (TemplateError, TypeError, ValueError) as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}" if str(error) else type(error).__name__}
    if len(text) > LONGEST:
        return {"failed": f"the rendered prompt is too long: {len(text):,} characters (limit {LONGEST:,})"}
    return {"text": text}


@lru_cache(maxsize=4)
def compiled(template: str) -> Any:
    """Compile a template with the sandbox and the additions that transformers provides.

    See https://huggingface.co/docs/transformers/chat_templating.
    """
    from jinja2 import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None, ensure_ascii: bool = False, **more: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **more)  # Jinja's own escapes HTML

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation_blocks()]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)


def _generation_blocks() -> type:
    """Return a Jinja extension that renders the body of `{% generation %}`, which marks assistant text."""
    from jinja2.ext import Extension

    class GenerationBlocks(Extension):
        tags: ClassVar[set[str]] = {"generation"}  # type: ignore[misc]

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return GenerationBlocks


def packed(template: str, variables: Mapping[str, Any]) -> bytes:
    """Encode a request as one line of JSON.

    Raises:
        TypeError, ValueError, RecursionError: the variables cannot be encoded as JSON.
    """
    return json.dumps({"template": template, "variables": variables}, default=_content).encode() + b"\n"


def _content(token: Any) -> str:
    """Return the text of a special token, which some tokenizers store as an object."""
    if isinstance(found := getattr(token, "content", None), str):
        return found
    raise TypeError(f"{type(token).__name__} cannot be encoded as JSON")


if __name__ == "__main__":
    main()
