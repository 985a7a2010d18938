"""Damaged directories of runs and sweeps: every command reports the damage, or continues."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from command_line import hforch
from hypothesis import given, note
from hypothesis import strategies as st
from rule import attempt, examples, untouched

FAKE = ("backend=fake", "inputs=numbers_in_french", "inputs.limit=3", "runtime.warmup=0", "generation.max_new_tokens=2")
DEEP = json.loads("[" * 90 + "]" * 90)
ESCAPES = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\r\u202e\x00"
VALUES: list[Any] = [
    *(None, True, -1, 0, 10**400, 2**63, -(2**63), 1e308, float("nan"), float("inf")),
    *("", "x", "../../outside", "/dev/zero", "a\0b", "x" * 5000, ESCAPES, "\ud800", "1", "\n"),
    *([], [[]], [None], ["x", 1], {}, {"a": 1}, {"": {"a": []}}, DEEP),
]
JUNK = [
    *(b"", b"\0", b"\n\n", b"\xef\xbb\xbf{}", b"\xff\xfe\x00", b"1", b"null", b"[]", b"{}", b'"text"', b"{" * 5),
    *(b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    *(b"1e999", b"NaN", b"1" * 5000, b'{"schema_version": 1}', b'{"schema_version": true}', b"{}{}"),
    *(b'{"schema_version": 1, "schema_version": 99}', b"a: &a [*a]\n", b"- !!python/object/apply:os.getcwd []\n"),
    ESCAPES.encode(),
]
LINES = [
    *(b'{"a": 1}', b"1", b"[]", b"", b"\xff", b"\0", b"NaN", b"[" * 10_000, b"x" * 5_000_000, b"{", ESCAPES.encode()),
]
FILES = {
    "run": ["record.json", "samples.jsonl", "hforch.log", *(f".hydra/{one}.yaml" for one in ("config", "hydra"))],
    "sweep": [
        *("sweep.json", "comparison.json", "comparison.md", "multirun.yaml", "0/record.json", "0/samples.jsonl"),
        *("1/record.json", "1/samples.jsonl", "1/hforch.log", "1/.hydra/overrides.yaml", "0/.hydra", "1"),
    ],
}
FILES["run"] += [".hydra", "report.html"]
OFTEN = ("record.json", "samples.jsonl", "sweep.json")
COMMANDS: dict[str, list[str]] = {
    "resume": ["resume", "DIR"],
    "resume --dry-run": ["resume", "DIR", "--dry-run"],
    "compare": ["compare", "DIR"],
    "compare as JSON": ["compare", "DIR", "--format", "json", "--junit", "DIR/junit.xml"],
    "compare as CSV": ["compare", "DIR", "--format", "csv", "--optimize", "tokens_per_s"],
    "compare as Markdown": ["compare", "DIR", "--format", "markdown", "--min-pass", "0.5"],
    "report": ["report", "DIR"],
    "freeze": ["freeze", "DIR", "-o", "DIR/frozen.yaml", "--force"],
    "verify": ["verify", "FROZEN", "--output", "DIR"],
    "run --force": [*FAKE, "hydra.run.dir=DIR", "--force"],
    "sweep --force": ["-m", *FAKE, "hydra.sweep.dir=DIR", "runtime.seed=1,2", "--force"],
}
SKIPS = ("resume", "compare", "report", "freeze")


@dataclass(frozen=True)
class Finished:
    run: Path
    sweep: Path
    frozen: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    made = Finished(folder / "run", folder / "sweep", folder / "frozen.yaml")
    hforch(*FAKE, f"hydra.run.dir={made.run}", "checks.items=[{contains: a}]", cwd=folder)
    hforch("-m", *FAKE, f"hydra.sweep.dir={made.sweep}", "generation.max_new_tokens=2,3", cwd=folder)
    hforch("freeze", str(made.run), "-o", str(made.frozen), cwd=folder)
    return made


# ---------------------------------------------------------------- damage
@dataclass(frozen=True)
class Damage:
    """Damage to one file of a directory."""

    file: str
    kind: str
    do: Callable[[Path], None]

    def __repr__(self) -> str:
        return f"{self.file}: {self.kind}"


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def with_other_value(text: bytes, at: int, value: Any) -> bytes:
    """Return JSON with one value replaced (`...` removes it); invalid JSON stays unchanged."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    there = list(places(tree))
    if not there:
        return json.dumps(value if value is not ... else None).encode()
    *way, last = there[at % len(there)]
    inner = tree
    for key in way:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(tree).encode()


def change(path: Path, how: Callable[[bytes], bytes]) -> None:
    if path.is_file():
        path.write_bytes(how(path.read_bytes()))


def replace(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def in_lines(text: bytes, at: int, how: Callable[[list[bytes], int], object]) -> bytes:
    lines = text.splitlines(keepends=True)
    how(lines, at % max(1, len(lines)))
    return b"".join(lines)


def of_value(line: bytes, at: int, value: Any) -> bytes:
    return with_other_value(line, at, value) + b"\n" if line.strip() else line


def damage(kind: str, chance: Random) -> Damage:
    file = chance.choice([one for one in FILES[kind] if one.endswith(OFTEN) or chance.random() < 0.3])
    at, value = chance.randrange(400), chance.choice([*VALUES, ...])
    junk, line = chance.choice(JUNK), chance.choice(LINES)
    ways: dict[str, Callable[[Path], None]] = {
        f"cut at {at}": lambda path: change(path, lambda text: text[: at * len(text) // 400]),
        f"a byte at {at} is another": lambda path: change(
            path, lambda text: text[: at * len(text) // 400] + b"\x85" + text[at * len(text) // 400 + 1 :]
        ),
        f"replaced by {junk[:30]!r}": lambda path: change(path, lambda text: junk),
        "gone": lambda path: replace(path, lambda path: None),
        "a folder": lambda path: replace(path, Path.mkdir),
        "a FIFO": lambda path: replace(path, os.mkfifo),
        "a link to itself": lambda path: replace(path, lambda path: path.symlink_to(path.name)),
        "a link to a device": lambda path: replace(path, lambda path: path.symlink_to("/dev/zero")),
        "a link out": lambda path: replace(path, lambda path: path.symlink_to(path.parent / "../../beside/mine")),
        "a link to a folder": lambda path: replace(path, lambda path: path.symlink_to(path.parent / "../../beside")),
    }
    own: dict[str, Callable[[Path], None]] = {}
    if file.endswith(".json"):
        own = {
            f"value {at} is {value!r:.60}": lambda path: change(path, lambda text: with_other_value(text, at, value)),
            "a key twice": lambda path: change(
                path, lambda text: text.replace(b'"status"', b'"status": 1, "status"', 1)
            ),
        }
    elif file.endswith(".jsonl"):
        own = {
            f"line {at} is {line[:30]!r}": lambda path: change(
                path, lambda text: in_lines(text, at, lambda lines, here: lines.insert(here, line + b"\n"))
            ),
            f"{line[:30]!r} at the end": lambda path: change(path, lambda text: text + line + b"\n" * (at % 2)),
            f"line {at} is gone": lambda path: change(
                path, lambda text: in_lines(text, at, lambda lines, here: lines.pop(here))
            ),
            f"line {at} twice": lambda path: change(
                path, lambda text: in_lines(text, at, lambda lines, here: lines.append(lines[here]))
            ),
            f"in line {at % 3} value {at} is {value!r:.60}": lambda path: change(
                path,
                lambda text: in_lines(
                    text, at, lambda lines, here: lines.__setitem__(here, of_value(lines[here], at // 3, value))
                ),
            ),
        }
    one = own if own and chance.random() < 0.7 else ways
    name = chance.choices(list(one), [8 if " value " in f" {way}" else 1 for way in one])[0]
    return Damage(file, name, one[name])


@dataclass(frozen=True)
class Case:
    kind: str
    damages: tuple[Damage, ...]
    command: str
    skips: bool


def case(seed: int) -> Case:
    """Return a pseudorandom case; hypothesis's own choices would repeat themselves."""
    chance = Random(seed)
    kind = chance.choice(["run", "sweep"])
    some = tuple(damage(kind, chance) for _ in range(chance.choice([1, 1, 1, 2])))
    command = chance.choices(list(COMMANDS), [4 if one == "resume" else 1 for one in COMMANDS])[0]
    return Case(kind, some, command, chance.random() < 0.5)


# ---------------------------------------------------------------- the rule
def test_any_damage_to_a_run_is_reported_or_harmless(tmp_path: Path, finished: Finished) -> None:
    @examples(whole=300, share=14)
    @given(st.integers(0, 2**64).map(case))
    def harmless(made: Case) -> None:
        note(repr(made))
        target, beside = tmp_path / "target", tmp_path / "beside"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(getattr(finished, made.kind), target)
        beside.mkdir(exist_ok=True)
        (beside / "mine").write_text("mine")
        for one in made.damages:
            with suppress(OSError):  # the first damage may have removed the target of the second
                one.do(target / one.file)
        words = [
            word.replace("DIR", str(target)).replace("FROZEN", str(finished.frozen)) for word in COMMANDS[made.command]
        ]
        words += ["--skip-damaged"] if made.skips and words[0] in SKIPS else []
        with untouched(tmp_path, finished.run.parent, but=[target]):
            attempt(*words, cwd=beside)

    harmless()


@pytest.mark.parametrize("foreign", LINES[:7], ids=repr)
def test_commands_treat_a_foreign_line_alike(tmp_path: Path, finished: Finished, foreign: bytes) -> None:
    """All commands refuse it by its line number; with the flag they skip it, and a resumed job drops it."""
    run = Path(shutil.copytree(finished.run, tmp_path / "run"))
    file = run / "samples.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + foreign + b"\n")
    compared, frozen = ["compare", str(run)], ["freeze", str(run), "-o", str(tmp_path / "frozen.yaml")]
    told = f"{file}:4 is not a sample of this run"
    for words in (["resume", str(run)], compared, frozen):
        done = attempt(*words, cwd=tmp_path, codes=[2])
        assert told in done.stderr and "--skip-damaged" in done.stderr
    assert told in attempt("report", str(run), cwd=tmp_path, codes=[1]).stderr
    assert file.read_bytes() == whole + foreign + b"\n"
    assert told in " ".join(attempt(*compared, "--skip-damaged", cwd=tmp_path, codes=[0]).stdout.split())
    for words in (
        ["report", str(run), "--skip-damaged"],
        [*frozen, "--skip-damaged"],
        ["resume", str(run), "--skip-damaged"],
    ):
        attempt(*words, cwd=tmp_path, codes=[0])
    assert file.read_bytes() == whole
    attempt("verify", str(tmp_path / "frozen.yaml"), cwd=tmp_path, codes=[0])
