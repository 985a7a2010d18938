"""Command lines and option folders with unexpected values: refused with an error, or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, note
from hypothesis import strategies as st
from rule import attempt, examples, untouched

from hforch.config.compose import job_from_overrides

FAKE = ["backend=fake", "inputs=numbers_in_french", "inputs.limit=2", "runtime.warmup=0", "generation.max_new_tokens=2"]
HYDRA = [
    *("verbose", "mode", "job", "job.name", "job.chdir", "job.env_copy", "job.env_set", "job_logging", "hydra_logging"),
    *("job_logging.root.level", "job_logging.handlers", "callbacks", "callbacks.x._target_", "run", "sweep.subdir"),
    *("sweeper", "sweeper._target_", "sweeper.params", "launcher", "launcher._target_", "help.template", "searchpath"),
    *("runtime", "runtime.choices", "overrides.task", "output_subdir", "job.config.override_dirname"),
]
VALUES = [
    *("null", "true", "-1", "0", "1e400", "nan", "inf", "9" * 400, "''", "' '", "x", "x" * 3000, "???"),
    *("[]", "[[]]", "{}", "{a: 1}", "{a: {b: [1, {c: null}]}}", "[1,x,null]", "${nope}", "${.x}", "${..model}"),
    *("${oc.env:HFORCH_NOWHERE}", "${oc.env:HOME}", "${hydra:job.num}", "${now:%q}", "${oc.decode:'{'}", "${"),
    *("range(3)", "range(0,1e9)", "range(0,inf)", "choice(a,b)", "glob(*)", "interval(0,1)", "shuffle(range(1e7))"),
    *("1,2", "a,b,c", "extend_list(1)", "int(x)", "str(1)", "sort(3,1)", "tag(x,1,2)", "-", "/dev/zero", "../x"),
    *("'\u202ex'", "'\x1b]52;c;aGk=\x07'", "'\x9b31m'", '"a\\nb"', "é" * 200, "😀", "a=b", "'a b'", "\\", "*", "&a"),
]
VERBS = [[], ["-m"], ["--dry-run"], ["-m", "--dry-run"], ["--cfg", "job"], ["--info", "defaults"], ["--help"]]
YAML_VALUES = [
    *(None, True, -1, 10**30, float("nan"), "", "x", "\x1b[31m", "${nope}", "${.a}", [], [[]], {}, {"a": {"b": []}}),
    *("x" * 5000, [1] * 2000, {"_target_": "os.getcwd"}, {"": 1}, {1: 2}, "???", "range(0,1e9)"),
]


JUNK = [b"\0", b"\xff", b"[" * 3000, b"&a [*a]", b"!!python/name:os.x ", b"\t"]


@cache
def paths() -> list[str]:
    """Return the dotted keys of jobs."""
    found: set[str] = set()
    for backend in ("fake", "pytorch", "openvino"):
        found |= set(_below(job_from_overrides([f"backend={backend}"]).model_dump(), ""))
    return sorted(found)


def groups() -> list[str]:
    return sorted({path.partition(".")[0] for path in paths()})


def _below(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in tree.items():
        here = f"{path}.{key}" if path else str(key)
        if path:
            yield here
        if isinstance(value, dict):
            yield from _below(value, here)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    known = [*paths(), *(f"hydra.{key}" for key in HYDRA)]
    words = []
    for _ in range(draw(st.integers(1, 4))):
        key = draw(st.sampled_from(known) | st.sampled_from([*groups(), "nope", "", "a.b", "hydra"]))
        sign = draw(st.sampled_from(["", "", "", "", "+", "++", "~"]))
        words.append(f"{sign}{key}={draw(st.sampled_from(VALUES))}" if sign != "~" else f"~{key}")
    return [*draw(st.sampled_from(VERBS)), *FAKE, *words]


@examples(700, 12)
@given(command_lines())
def test_any_command_line_is_run_or_refused(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    folder = tmp_path_factory.mktemp("line")
    note(repr(words))
    (folder / "in").mkdir()
    with untouched(folder, but=[folder / "in" / "outputs", folder / "in" / "multirun"]):
        attempt(*words, cwd=folder / "in")


@st.composite
def option_files(draw: st.DrawFn) -> dict[str, bytes]:
    """Generate files of an option folder: mappings with wrong values, and invalid YAML."""
    chance = Random(draw(st.integers(0, 10**6)))
    made: dict[str, bytes] = {}
    for _ in range(chance.randint(1, 3)):
        group = chance.choice(groups())
        own = [path.partition(".")[2] for path in paths() if path.startswith(f"{group}.")]
        names = [chance.choice([*own, "nope", "defaults"]) for _ in range(chance.randint(1, 3))]
        tree = {name: chance.choice(YAML_VALUES) for name in names}
        data = yaml.safe_dump(tree).encode()
        if chance.random() < 0.3:
            at = chance.randrange(len(data) + 1)
            data = data[:at] + chance.choice(JUNK) + data[at:]
        made[f"{group}/mine.yaml"] = data
    return made


@examples(300, 8)
@given(option_files())
def test_any_folder_of_options_is_used_or_refused(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("options")
    note(repr(files))
    (folder / "in").mkdir()
    for name, data in files.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    chosen = [f"{name.partition('/')[0]}=mine" for name in files]
    taken = {word.partition("=")[0] for word in chosen}
    base = [word for word in FAKE if word.partition("=")[0].partition(".")[0] not in taken]
    with untouched(folder, but=[folder / "in" / "outputs"]):
        attempt("--config-dir", str(folder / "conf"), *base, *chosen, "--dry-run", cwd=folder / "in")
