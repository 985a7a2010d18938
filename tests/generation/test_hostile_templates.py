"""Chat templates that fail, never end or make a text of any size: each ends as a PromptError, within a bounded time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hforch.errors import PromptError
from hforch.generation import chat_templates, template_process
from hforch.generation.chat_templates import TemplateProcess, render

CHAT = [{"role": "user", "content": "hello"}]
PLAIN = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}"
)
DEEP = 5000

FAIL = {
    "zero": ("{{ 1 / 0 }}", "ZeroDivisionError"),
    "overflow": ("{{ 2.0 ** 100000 }}", "OverflowError"),
    "a range": ("{{ range(10 ** 9) | list }}", "OverflowError"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    "deep nesting": ("{{ " + "(" * DEEP + "1" + ")" * DEEP + " }}", "RecursionError"),
    "a terabyte": ("{{ 'a' * 10 ** 12 }}", "MemoryError"),
    "a wide number": ("{{ '%99999999999d' % 1 }}", "MemoryError"),
    "doubling": (
        "{% set n = namespace(x='aaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
        "MemoryError",
    ),
    "a long text": ("{{ 'a' * 60000000 }}", "60,000,000 characters"),
    "a missing key": ("{{ {}['x']['y'] }}", "refuses"),
    "syntax": ("{% if %}", "refuses"),
    "its own words": ("{{ raise_exception('no system messages') }}", "refuses these messages: no system messages"),
    "the sandbox": ("{{ ''.__class__.__mro__ }}", "refuses.*unsafe"),
    "escapes": ("{{ raise_exception('\x1b]0;title\x07') }}", r"\\x1b\]0;title"),
}


@pytest.mark.parametrize(("template", "said"), FAIL.values(), ids=FAIL)
def test_a_template_that_fails_is_told_as_such(template: str, said: str) -> None:
    start = time.monotonic()
    with pytest.raises(PromptError, match=said):
        render(template, CHAT, {})
    assert time.monotonic() - start < 15
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"


NEVER_END = {
    "loops": "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3,
    "in one operation": "{% set n = namespace(x=[1]) %}{% for i in range(70) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
    "{{ n.x }}",
}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TemplateProcess]:
    """A process that renders, whose templates have a second, and which ends when it has nothing to do."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "from hforch.generation import template_process as rendering\n"
        "rendering.SECONDS, rendering.IDLE_S = 1.0, 0.3\n"
        "if 'hforch.generation.template_process' in sys.orig_argv:\n"
        "    rendering.main()\n"
        "    os._exit(0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = TemplateProcess()
    monkeypatch.setattr(chat_templates, "_process", found)
    yield found
    found.close()


@pytest.mark.parametrize("template", NEVER_END.values(), ids=NEVER_END)
def test_a_template_that_never_ends_is_ended_and_after_a_while_not_tried_again(
    template: str, hurried: TemplateProcess
) -> None:
    for _ in range(chat_templates.PATIENCE):
        start = time.monotonic()
        with pytest.raises(PromptError, match="takes longer than 10 seconds"):
            render(template, CHAT, {})
        assert time.monotonic() - start < 9
    start = time.monotonic()
    with pytest.raises(PromptError, match="is not tried again"):
        render(template, CHAT, {})
    assert time.monotonic() - start < 0.5
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"


def test_a_last_message_is_left_open_where_it_ends_and_not_where_its_text_occurs() -> None:
    template = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}"
    chat = [*CHAT, {"role": "assistant", "content": "end"}]
    assert render(template, chat, {}) == "<|user|>hello<|end|><|assistant|>end"
    chat[-1]["content"] = "  to the end \n"
    assert render(template, chat, {}) == "<|user|>hello<|end|><|assistant|>to the end"
    with pytest.raises(PromptError, match="cannot be continued"):
        render("{{ messages[0]['content'] }}", chat, {})


def test_variables_that_are_no_plain_data_are_refused() -> None:
    with pytest.raises(PromptError, match="no plain data"):
        render(PLAIN, CHAT, {"tools": [object()]})
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(PromptError, match="Circular"):
        render(PLAIN, CHAT, {"tools": nested})


def test_the_process_is_started_again_where_it_has_ended(hurried: TemplateProcess) -> None:
    render(PLAIN, CHAT, {})
    assert hurried._child and hurried._child.wait(10) == 0
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"
    hurried._child.send_signal(signal.SIGKILL)
    hurried._child.wait()
    with pytest.raises(PromptError, match="SIGKILL"):
        render(PLAIN, CHAT, {})
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"


def test_many_threads_get_each_their_own_text() -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        for turn in range(20):
            text = f"{number}-{turn}"
            if render(PLAIN, [{"role": "user", "content": text}], {}) != f"[user]{text}[a]":
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_process_stays_behind(tmp_path: Path) -> None:
    program = (
        "from hforch.generation.chat_templates import _process, render\n"
        f"render({PLAIN!r}, [{{'role': 'user', 'content': 'x'}}], {{}})\n"
        "print(_process._child.pid, flush=True)\n"
    )
    for end in ("", "import os; os._exit(1)"):
        done = subprocess.run([sys.executable, "-c", program + end], capture_output=True, text=True, check=False)
        child = int(done.stdout)
        deadline = time.monotonic() + 10
        while psutil.pid_exists(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not psutil.pid_exists(child)


def test_a_fork_renders_in_a_process_of_its_own() -> None:
    render(PLAIN, CHAT, {})
    assert chat_templates._process._child
    before = chat_templates._process._child.pid
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            text = render(PLAIN, CHAT, {})
            os.write(writing, f"{text} {chat_templates._process._child.pid}".encode())
            chat_templates._process.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    text, pid = os.read(reading, 1000).decode().split()
    assert text == "[user]hello[a]" and int(pid) != before
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"
    assert chat_templates._process._child.pid == before


def test_it_renders_as_transformers_does() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    template = (
        "{{ bos_token }}{% for m in messages %}{% generation %}{{ m['content'] | tojson }}{% endgeneration %}\n"
        "{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ tools | tojson(indent=2) }}"
    )
    tools = [{"name": "é <b>", "parameters": {"x": [1, 2.5, None]}}]
    given = {"bos_token": "<s>", "tools": tools, "documents": None, "add_generation_prompt": True}
    (theirs,), _ = render_jinja_template([CHAT], chat_template=template, **given)
    assert render(template, CHAT, {"bos_token": "<s>", "tools": tools}) == theirs


def test_limits_are_those_that_messages_name() -> None:
    assert template_process.SECONDS == 10 and "10 seconds" in chat_templates.TOO_LONG["failed"]
