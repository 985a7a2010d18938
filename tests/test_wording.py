"""The checker of wording finds words to avoid in prose, and nothing in code or data."""

from __future__ import annotations

from pathlib import Path

import pytest
import wording

WORDS = wording.words()


def found(tmp_path: Path, name: str, text: str) -> list[str]:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return list(wording.findings(file, WORDS))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'def f():\n    """Return what nobody reads."""\n'),
        ("a.py", "# nobody reads it\n"),
        ("a.py", 'print("nobody reads it")\n'),
        ("a.py", 'print(f"{1} times, nobody reads it")\n'),
        ("a.py", 'def f():\n    """Whether it is read."""\n'),
        ("tests/test_a.py", "def test_nobody_reads_it():\n    pass\n"),
        ("a.md", "Nobody reads it.\n"),
        ("a.yaml", "key: 1  # nobody reads it\n"),
        ("a.js", 'el("p", {}, "nobody reads it")\n'),
    ],
)
def test_words_to_avoid_are_found_in_prose(name: str, text: str, tmp_path: Path) -> None:
    assert len(found(tmp_path, name, text)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'nobody = said("told")\n'),
        ("a.py", 'print("nobody reads it")  # wording: ok\n'),
        ("a.py", '@property\ndef f():\n    """The number of tokens."""\n'),
        ("a.py", "# there is no GPU\n"),
        ("tests/test_a.py", 'def test_it_is_read():\n    say("nobody reads it")\n'),
        ("a.md", "`nobody` is a name.\n\n```\nnobody reads it\n```\n"),
        ("a.yaml", "nobody: told\n"),
        ("a.js", "const nobody = told;\n"),
    ],
)
def test_code_data_and_exempt_lines_are_not_checked(name: str, text: str, tmp_path: Path) -> None:
    assert found(tmp_path, name, text) == []


def test_each_word_has_a_replacement() -> None:
    assert len(WORDS) > 40 and all(word.use for word in WORDS)
