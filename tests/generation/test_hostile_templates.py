"""Tests that chat templates that fail, never end or render huge texts raise PromptError within a bounded time."""

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
    "a missing key": ("{{ {}['x']['y'] }}", "rejects"),
    "syntax": ("{% if %}", "rejects"),
    "its own message": ("{{ raise_exception('no system messages') }}", "rejects these messages: no system messages"),
    "the sandbox": ("{{ ''.__class__.__mro__ }}", "rejects.*unsafe"),
    "escapes": ("{{ raise_exception('\x1b]0;title\x07') }}", r"\\x1b\]0;title"),
}


@pytest.mark.parametrize(("template", "said"), FAIL.values(), ids=FAIL)
def test_a_failing_template_is_reported(template: str, said: str) -> None:
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
    """A rendering process with a time limit of one second that ends soon after its last request."""
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
def test_an_endless_template_times_out_and_is_not_retried_forever(template: str, hurried: TemplateProcess) -> None:
    for _ in range(chat_templates.PATIENCE):
        start = time.monotonic()
        with pytest.raises(PromptError, match="rendering took longer than 10 seconds"):
            render(template, CHAT, {})
        assert time.monotonic() - start < 9
    start = time.monotonic()
    with pytest.raises(PromptError, match="giving up"):
        render(template, CHAT, {})
    assert time.monotonic() - start < 0.5
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"


def test_the_last_message_is_continued_at_its_end_and_not_where_its_text_occurs() -> None:
    template = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}"
    chat = [*CHAT, {"role": "assistant", "content": "end"}]
    assert render(template, chat, {}) == "<|user|>hello<|end|><|assistant|>end"
    chat[-1]["content"] = "  to the end \n"
    assert render(template, chat, {}) == "<|user|>hello<|end|><|assistant|>to the end"
    with pytest.raises(PromptError, match="cannot be continued"):
        render("{{ messages[0]['content'] }}", chat, {})


def test_variables_that_are_not_json_are_rejected() -> None:
    with pytest.raises(PromptError, match="cannot be encoded as JSON"):
        render(PLAIN, CHAT, {"tools": [object()]})
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(PromptError, match="Circular"):
        render(PLAIN, CHAT, {"tools": nested})


def test_the_process_is_started_again_after_it_has_ended(hurried: TemplateProcess) -> None:
    render(PLAIN, CHAT, {})
    assert hurried._child and hurried._child.wait(10) == 0
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"
    hurried._child.send_signal(signal.SIGKILL)
    hurried._child.wait()
    with pytest.raises(PromptError, match="SIGKILL"):
        render(PLAIN, CHAT, {})
    assert render(PLAIN, CHAT, {}) == "[user]hello[a]"


def test_concurrent_threads_get_their_own_texts() -> None:
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


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
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


def test_a_fork_starts_its_own_process() -> None:
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


def test_rendering_equals_that_of_transformers() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    template = (
        "{{ bos_token }}{% for m in messages %}{% generation %}{{ m['content'] | tojson }}{% endgeneration %}\n"
        "{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ tools | tojson(indent=2) }}"
    )
    tools = [{"name": "é <b>", "parameters": {"x": [1, 2.5, None]}}]
    given = {"bos_token": "<s>", "tools": tools, "documents": None, "add_generation_prompt": True}
    (theirs,), _ = render_jinja_template([CHAT], chat_template=template, **given)
    assert render(template, CHAT, {"bos_token": "<s>", "tools": tools}) == theirs


def test_messages_contain_the_actual_time_limit() -> None:
    assert template_process.SECONDS == 10 and "10 seconds" in chat_templates.TOO_LONG["failed"]
