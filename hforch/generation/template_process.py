"""The process that renders chat templates: `generation/chat_templates.py` starts it.

A template is a program that came with a model. Jinja's sandbox keeps it from doing things, but not from looping for
hours or from making a text of a terabyte; so it runs where time and memory have limits that the system enforces.
Requests and answers are JSON, one a line.
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

SECONDS = 10.0  # that one rendering may take; usual ones take a thousandth of one
MEMORY = 1 << 30  # bytes of address space
LONGEST = 50_000_000  # characters of a prompt
IDLE_S = 60.0  # without a request, the process ends by itself


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it is in the middle of
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
    """Answer a request: the text, or what the template raised and of which kind that is."""
    from jinja2 import TemplateError

    try:
        request = json.loads(line)
        text = compiled(request["template"]).render(**request["variables"])
    except (TemplateError, TypeError, ValueError) as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}" if str(error) else type(error).__name__}
    if len(text) > LONGEST:
        return {"failed": f"it makes a text of {len(text):,} characters"}
    return {"text": text}


@lru_cache(maxsize=4)
def compiled(template: str) -> Any:
    """The template in the sandbox, and with the few additions, that transformers gives it
    (https://huggingface.co/docs/transformers/chat_templating).
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
    """`{% generation %}`, with which templates mark what an assistant says, renders what is in it."""
    from jinja2.ext import Extension

    class GenerationBlocks(Extension):
        tags: ClassVar[set[str]] = {"generation"}  # type: ignore[misc]

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return GenerationBlocks


def packed(template: str, variables: Mapping[str, Any]) -> bytes:
    """A request, as one line.

    Raises:
        TypeError, ValueError, RecursionError: the variables are not plain data.
    """
    return json.dumps({"template": template, "variables": variables}, default=_content).encode() + b"\n"


def _content(token: Any) -> str:
    """The text of a special token, which tokenizers have as an object."""
    if isinstance(found := getattr(token, "content", None), str):
        return found
    raise TypeError(f"{type(token).__name__} is no plain data")


if __name__ == "__main__":
    main()
