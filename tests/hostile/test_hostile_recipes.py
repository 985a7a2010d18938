"""Malicious recipes are only data, whatever they contain."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, note
from hypothesis import strategies as st
from rule import attempt, examples, untouched

GROUPS = ["model", "backend", "device", "precision", "prompt", "generation", "inputs", "runtime", "checks", "ov_config"]
KEYS = {
    "model": ["source", "id", "path", "package", "version", "file", "revision", "trust_remote_code", "export_kwargs"],
    "backend": ["name", "token_s", "answers", "load_s"],
    "inputs": ["path", "items", "limit", "format", "encoding"],
    "prompt": ["template", "system", "path"],
    "checks": ["items", "strip"],
    "runtime": ["seed", "repeat", "isolation", "display", "threads", "out"],
    "generation": ["stop", "max_new_tokens", "json_schema", "kwargs"],
    "ov_config": ["CACHE_DIR", "PERFORMANCE_HINT", "x"],
}
PATHS = [
    "/etc/passwd",
    "../../../etc/shadow",
    "/dev/zero",
    "/proc/self/environ",
    "~root",
    "file:///etc/passwd",
    "\\\\x\\y",
]
CODE = [
    *({"_target_": "os.system", "command": "touch OUT"}, {"_target_": "builtins.exec", "_args_": ["open('OUT','w')"]}),
    *("${oc.env:HOME}", "${oc.env:HF_TOKEN,x}", "${oc.decode:${oc.env:HOME}}", "${hydra:runtime.cwd}", "${now:%s}"),
    *("{{ ().__class__.__mro__[1].__subclasses__() }}", "{% for x in range(10**9) %}x{% endfor %}", "`touch OUT`"),
    *("$(touch OUT)", "; touch OUT", "-rrequirements.txt", "--index-url=http://127.0.0.1:9", "git+file:///x", "./evil"),
]
PLAIN: list[Any] = [
    *(None, True, -1, 2**70, float("inf"), "", "x", "x" * 4000, "\x1b]8;;http://x\x07", "\u202e", "a\0b", "\ud800"),
    *([], [1, [2]], {}, {"a": {"b": []}}, "???", "range(0,1e9)", "choice(a,b)", "(a+)+$", "a,b", "*"),
]
TOPS = ["defaults", "hydra", "exclude", "frozen", "name", "description", "nope", "_target_", "hydra/launcher"]
RAW = [
    b"\0",
    b"\xff\xfe",
    b"\t",
    b"!!python/object/apply:os.system [x]\n",
    b"&a [*a, *a]\n",
    b"<<: *x\n",
    b"[" * 4000,
    b"---\n",
]


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    chance = Random(draw(st.integers(0, 10**9)))
    values = [*PATHS, *CODE, *PLAIN]
    tree: dict[Any, Any] = {"defaults": [{"backend": "fake"}, {"inputs": "numbers_in_french"}]}
    for _ in range(chance.randint(1, 4)):
        group = chance.choice(GROUPS)
        key = chance.choice([*KEYS.get(group, ["x"]), "_target_", "nope"])
        tree[group] = {**tree.get(group, {}), key: chance.choice(values)}
    if chance.random() < 0.5:
        tree[chance.choice(TOPS)] = chance.choice(
            [
                *values,
                {"sweeper": {"params": {chance.choice(["model.id", "runtime.seed", "a b"]): chance.choice(values)}}},
                {"launcher": {"_target_": "os.system", "n_jobs": chance.choice(values)}},
                {"callbacks": {"x": {"_target_": "os.abort"}}},
                [{chance.choice(GROUPS): chance.choice(["../x", "fake", 3, None, "a,b", "glob(*)"])}],
                [{"override hydra/launcher": chance.choice(["joblib", "../x", "basic"])}],
            ]
        )
    data = yaml.safe_dump(tree, allow_unicode=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.3:
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(RAW) + data[at:]
    return data


@examples(200, 10)
@given(recipes(), st.sampled_from([[], ["--dry-run"], ["--force"], ["-m"]]))
def test_any_recipe_is_run_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, flags: list[str]) -> None:
    folder = tmp_path_factory.mktemp("recipe")
    note(data.decode("utf-8", "replace"))
    (folder / "in").mkdir()
    (folder / "recipe.yaml").write_bytes(data)
    outputs = [folder / "in" / "outputs", folder / "in" / "multirun"]
    environment = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "HF_HUB_OFFLINE": "1",
        "HFORCH_CACHE": str(folder / "cache"),
    }
    with untouched(folder, but=[*outputs, folder / "cache"]):
        attempt("run", str(folder / "recipe.yaml"), *flags, cwd=folder / "in", env=environment)
    assert not list(Path(folder).rglob("OUT"))
