"""Control sequences in names of directories, in records, models and errors are escaped wherever they are shown."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from at_terminal import python_at_terminal
from command_line import run
from pexpect import EOF
from reported import write_hostile
from written import sample, write_job

from hforch.utils.sanitize import is_visible

SEQUENCES = {
    "clipboard": "\x1b]52;c;aGk=\x07",
    "link": "\x1b]8;;http://a.b\x1b\\x\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "C1": "\x9b31m\x90q\x9c",
    "return": "safe\rEVIL",
    "DEL": "a\x7f\x08b",
    "bidi": "a\u202eb\u2066c",
}
ALL = "".join(SEQUENCES.values())
STYLE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = dict.fromkeys(
        ("model", "prompt", "check", "why", "error", "os", "cwd"), f"=1+1 {ALL} ![x](http://a.b/c)<b>"
    )
    directory = tmp_path_factory.mktemp("hostile") / f"sweep {ALL.replace('/', '')}"
    return write_hostile(directory, [f"one {ALL}", f"two {ALL} three"], names)


def is_harmless(text: str) -> bool:
    bad = [one for one in text if one not in "\n\t" and not is_visible(one)]
    assert not bad, (bad[:5], text[max(0, text.index(bad[0]) - 60) :][:160])
    return True


VERBS = [
    ["compare", "DIR"],
    ["compare", "DIR", "--format", "markdown"],
    ["compare", "DIR", "--format", "csv"],
    ["compare", "DIR", "--format", "json"],
    ["compare", "DIR", "--require", "checks>=0.5", "--min-pass", "0.5"],
    ["compare", "DIR/nowhere"],
    ["report", "DIR"],
    ["resume", "DIR", "--dry-run"],
    ["resume", "DIR/0"],
    ["freeze", "DIR/0"],
    ["verify", "DIR/x.yaml"],
    ["run", "DIR/x.yaml"],
    ["run", "DIR"],
    ["export", "model=local", "model.path='DIR'"],
    ["backend=fake", "--dry-run", "hydra.run.dir='DIR'"],
    ["backend=fake", "--dry-run", "prompt.template='ESCAPES{question}'", "generation.max_new_tokens=ESCAPES"],
    ["backend=fake", "hydra.run.dir='DIR/0/record.json'"],
    ["backend=fake", "inputs=file", "inputs.path='DIR'"],
    ["--config-dir", "DIR/nowhere"],
    ["--config-name", "ESCAPES"],
    ["ESCAPES"],
    ["--ESCAPES"],
    ["doctor", "--clean", "ESCAPES"],
    ["schema", "ESCAPES"],
    ["init", "DIR/0/record.json"],
]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_no_control_sequence_reaches_the_terminal(hostile: Path, tmp_path: Path, words: list[str]) -> None:
    typed = [word.replace("DIR", str(hostile)).replace("ESCAPES", ALL) for word in words]
    done = run(*typed, cwd=tmp_path, loads=False)
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr
    assert is_harmless(done.stdout) and is_harmless(done.stderr)
    assert done.stdout + done.stderr


def test_control_sequences_in_an_answer_are_shown_escaped(tmp_path: Path) -> None:
    replies = f"backend.replies=[{{match: '', text: {json.dumps(ALL)}}}]"
    for display in ("plain", "json", "none"):
        done = run("backend=fake", replies, f"runtime.display={display}", f"hydra.run.dir={tmp_path / display}")
        assert done.returncode == 0, done.stderr
        assert is_harmless(done.stdout) and is_harmless(done.stderr)
        if display == "json":
            assert json.loads(done.stdout)["status"] == "ok"
    words = ["-m", "hforch", "backend=fake", replies, f"hydra.run.dir={tmp_path / 'rich'}"]
    with python_at_terminal(words, tmp_path) as child:
        child.screen.expect(EOF)
        shown = STYLE.sub("", child.screen.before.replace("\r\n", "\n"))
        assert "]52;c;" in shown and "\x1b]" not in shown and "\x9b" not in shown and "\u202e" not in shown


def test_machine_readable_files_are_complete(hostile: Path, tmp_path: Path) -> None:
    done = run("compare", str(hostile), "--format", "json", "--junit", str(tmp_path / "junit.xml"), loads=False)
    (one, _) = json.loads(done.stdout)["rows"]
    assert ALL.replace("/", "") in one["directory"]  # JSON loses nothing
    text = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert is_harmless(text) and len(list(ElementTree.fromstring(text))) == 2
    table = run("compare", str(hostile), "--format", "csv", loads=False).stdout
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert not [cell for cell in cells if re.match(r"[=+@\t]|-[^\d.]", cell)]
    markdown = run("compare", str(hostile), "--format", "markdown", loads=False).stdout
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", markdown)
    assert not re.search(r"(?<!\\)(<[a-z]|!\[|\]\()|(?<!:\\)//a\.b", outside)


def test_a_frozen_recipe_escapes_its_text_losslessly(tmp_path: Path) -> None:
    done = run(
        *("backend=fake", f"prompt.template='{{question}} {SEQUENCES['bidi']}{SEQUENCES['C1']}'"),
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    frozen = run("freeze", str(tmp_path / "run"))
    assert frozen.returncode == 0 and is_harmless(frozen.stdout)
    (tmp_path / "recipe.yaml").write_text(frozen.stdout, encoding="utf-8")
    verified = run("verify", str(tmp_path / "recipe.yaml"), cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_spreadsheets_get_no_formula(tmp_path: Path) -> None:
    for number, name in enumerate(("=cmd()", "-1")):
        write_job(
            tmp_path / str(number), [sample(0, "a", [1])], overrides=[f"model.id={name}"], model={"fingerprint": "f"}
        )
    table = run("compare", str(tmp_path), "--format", "csv", loads=False).stdout
    assert "'=cmd()" in table and "'-1" not in table
