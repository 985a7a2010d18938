"""Changing a key of the schema has exactly the effects that the schema declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel
from shipped_options import needs

from hforch.backends.load_key import load_key
from hforch.comparison.axes import axes_of
from hforch.comparison.baselines import baseline_pairs
from hforch.comparison.entries import Entry
from hforch.config import keys
from hforch.config.affects import KINDS, LOADING, NOTHING, OUTPUTS, Kind
from hforch.config.backends.fake import FakeBackend
from hforch.config.backends.registry import BACKENDS
from hforch.config.compose import job_from_overrides
from hforch.config.keys import affects, declared_affects, groups, known_keys, models_in
from hforch.config.schema import FileInputs, InlineInputs, Job
from hforch.inputs import load_inputs
from hforch.runs.identity import equivalence_key, job_id
from hforch.runs.resuming import changes
from hforch.utils.strict_model import StrictModel

EFFECTS: dict[Kind, set[str]] = {
    "loading": {"load key", "job id", "run", "resume", "axes"},
    "outputs": {"job id", "run", "resume", "axes", "baseline"},
    "samples": {"run", "resume", "axes", "baseline"},
    "timings": {"run", "resume", "axes"},
    "scores": {"run", "resume"},
    "nothing": set(),
}
CHOSEN_BY_OPTION = {"backend.name", "inputs.kind"}


def of_backends() -> Iterator[Job]:
    for name in BACKENDS:
        yield job_from_overrides([f"backend={name}", *needs(f"backend={name}")])


def shapes(job: Job) -> Iterator[tuple[str, Job]]:
    """Yield each group with variants of the job: unchanged, with empty fields filled, and with the other options."""
    for group, field in Job.model_fields.items():
        own = getattr(job, group)
        yield group, job
        if (full := filled(own)) != own:
            yield group, job.model_copy(update={group: full})
        for model in models_in(field.annotation):
            if group not in ("backend", "inputs") and model is not type(own):
                yield group, job.model_copy(update={group: made_up(model)})


def filled(part: Any) -> Any:
    """Return a part whose empty fields contain one model of each kind that they may hold."""
    if not isinstance(part, BaseModel):
        return part
    new: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        made = [made_up(model) for model in models_in(field.annotation)]
        if made and not getattr(part, name):
            new[name] = tuple(made) if "tuple" in str(field.annotation) else made[0]
    return part.model_copy(update=new)


def made_up(model: type[BaseModel]) -> BaseModel:
    """Return a part whose values are all None; they need not be valid, since any values can be hashed."""
    return model.model_construct(**dict.fromkeys(model.model_fields))


def variants(part: BaseModel, path: str = "", only: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key of a part of a job, or of its field `only`, and the part with that key changed."""
    for name in [only] if only else type(part).model_fields:
        at, value = f"{path}.{name}".lstrip("."), getattr(part, name)
        if at == "inputs" or at in CHOSEN_BY_OPTION:
            continue
        if isinstance(value, BaseModel):
            changed: Iterator[tuple[str, Any]] = variants(value, at)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            changed = (
                (at, (*value[:n], new, *value[n + 1 :])) for n, one in enumerate(value) for _, new in variants(one)
            )
        else:
            changed = iter([(at, another(value, str(type(part).model_fields[name].annotation)))])
        for key, new in changed:
            yield key, part.model_copy(update={name: new})


def another(value: Any, kind: str) -> Any:
    """Return a different value of a similar type; it need not be valid, since any value can be hashed."""
    if value is None:
        return 1 if "int" in kind or "float" in kind else "something"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}, changed"
    return {**value, "something": 1} if isinstance(value, dict) else (*value, "something")


def with_other_inputs(job: Job, folder: Path) -> Iterator[tuple[str, Job, Job]]:
    """Yield each key of `inputs`, a job, and the job with that key changed so that other inputs are read."""
    for name, text in (("one.txt", "é\nb\n"), ("other.txt", "c\n")):
        (folder / name).write_text(text, encoding="utf-8")
    inline = InlineInputs(kind="inline", items=("a", "b"), limit=None)
    file = FileInputs(kind="file", path=str(folder / "one.txt"), format="auto", encoding="utf-8", limit=None)
    for inputs, key, value in (
        (inline, "items", ("a", "c")),
        (inline, "limit", 1),
        (file, "path", str(folder / "other.txt")),
        (file, "format", "csv"),
        (file, "encoding", "latin-1"),
        (file, "limit", 1),
    ):
        changed = inputs.model_copy(update={key: value})
        yield f"inputs.{key}", *(job.model_copy(update={"inputs": one}) for one in (inputs, changed))


def effects(before: Job, after: Job) -> set[str]:
    """Return the effects of changing one job into the other."""
    jobs = (before, after)
    ids = [job_id(job, load_inputs(job.inputs)) for job in jobs]
    records = [{"job": job.model_dump(mode="json"), "status": "ok", "overrides": []} for job in jobs]
    entries = [Entry(str(at), Path(str(at)), record, Path(str(at))) for at, record in enumerate(records)]
    found = {
        "load key": load_key(before) != load_key(after),
        "job id": ids[0] != ids[1],
        "run": equivalence_key(before, ids[0]) != equivalence_key(after, ids[1]),
        "resume": bool(changes(records[0], records[1] | {"job_id": ids[1]})),
        "axes": any(axes_of(entries).values()),
        "baseline": None in baseline_pairs(entries, None).values(),
    }
    return {name for name, is_so in found.items() if is_so}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_changing_a_key_has_exactly_the_declared_effects(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for of_backend in of_backends():
        for group, job in shapes(of_backend):
            for key, changed in variants(job, only=group):
                found.setdefault(key, set()).update(effects(job, changed))
    for key, before, after in with_other_inputs(job_from_overrides([]), tmp_path):
        found.setdefault(key, set()).update(effects(before, after))
    assert found.keys() == known_keys() - CHOSEN_BY_OPTION
    said = {key: next(EFFECTS[kind] for kind in KINDS if affects(key, (kind,))) for key in found}
    said["runtime.rounds"] = said["runtime.rounds"] - {"resume"}  # a resumed run may have more rounds
    assert found == said


def test_each_group_or_each_of_its_keys_declares_its_effects() -> None:
    said = [path for path, _ in declared_affects()]
    assert len(said) == len(set(said))
    whole = {path for path in said if "." not in path}
    apart = {path for path in said if "." in path}
    assert {path.partition(".")[0] for path in said} == set(groups())
    assert all(any(f"{key}.".startswith(f"{path}.") for key in known_keys()) for path in apart)
    for group in set(groups()) - whole:
        own = [key for key in known_keys() if key.startswith(f"{group}.")]
        assert all(any(f"{key}.".startswith(f"{path}.") for path in apart) for key in own)


class TimedBackend(FakeBackend):
    timeout_s: Annotated[float, NOTHING]
    persona: Annotated[str, OUTPUTS]


class OtherBackend(StrictModel):
    name: Literal["other"]
    timeout_s: float


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], type[Job]]]:
    """A function that makes a Job type with other backend options."""

    def have(hint: Any) -> type[Job]:
        schema = type("Job", (Job,), {"__annotations__": {"backend": Annotated[hint, LOADING]}})
        monkeypatch.setattr(keys, "Job", schema)
        forget()
        return schema

    def forget() -> None:
        for one in (keys.groups, keys.known_keys, keys.affecting, keys._declared_kinds):
            one.cache_clear()

    yield have
    monkeypatch.undo()
    forget()


def test_a_backend_key_may_override_the_effects_of_its_group(
    backends: Callable[[Any], type[Job]],
) -> None:
    schema = backends(TimedBackend)
    tree = job_from_overrides(["backend=fake"]).model_dump()
    own = {**tree["backend"], "timeout_s": 1.0, "persona": "kind"}

    def of(**values: Any) -> set[str]:
        return effects(*(schema.model_validate(tree | {"backend": own | other}) for other in ({}, values)))

    assert of(timeout_s=2.0) == EFFECTS["nothing"]
    assert of(persona="rude") == EFFECTS["outputs"]
    assert of(load_s=3.0) == EFFECTS["loading"]


def test_a_key_shared_by_two_options_must_have_the_same_effects(backends: Callable[[Any], type[Job]]) -> None:
    backends(TimedBackend | OtherBackend)
    with pytest.raises(TypeError, match=r"backend\.timeout_s affects loading in OtherBackend but nothing in another"):
        affects("backend.timeout_s", ("nothing",))


@pytest.mark.parametrize(
    ("words", "key", "identity"),
    [
        ((), "bf6f6f9aeb4cb8e3", "6cfc3b25f21d4d79"),
        (("backend=openvino", "ov_config=kv_u8", "precision=int8"), "e35eb6fb4d1e211b", "c323261da8718db4"),
        (
            ("backend=openvino_genai", "generation=sample", "runtime.seed=7", "runtime.threads=2"),
            *("be6d1e19544c9f50", "03b9d6f0b5001d7f"),
        ),
        (
            ("backend=fake", "stop=newline", "checks=json", "inputs=facts", "prompt=chat"),
            *("a9012dc552a9aa7d", "aed206aa0fa69f17"),
        ),
        (
            ("model=gpt2", "scoring=both", "runtime.repeat=3", "runtime.warmup=2", "runtime.batch_size=4"),
            *("a457de80ce2114ce", "52babadc0e9ef4b2"),
        ),
        (
            ("generation.json_schema={type: object}", "model=local", "model.path=x"),
            *("cbf00c0fb8dd0856", "6420d6013582d225"),
        ),
    ],
)
def test_load_keys_and_job_ids_match_earlier_records(words: Sequence[str], key: str, identity: str) -> None:
    job = job_from_overrides(["prompt=step_by_step", "inputs=eeg", *words])  # the defaults of the earlier records
    assert (load_key(job), job_id(job, load_inputs(job.inputs))) == (key, identity)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        *((f"runtime.{one}", set()) for one in ("display=none", "isolation=inline", "fail_fast=true", "min_pass=0.5")),
        ("runtime.memory_check=off", set()),
        ("runtime.emulated=skip", set()),
        ("runtime.warmup=7", {"run", "resume", "axes"}),
        *((one, {"run", "resume", "axes", "baseline"}) for one in ("runtime.repeat=7", "checks=json")),
        ("scoring=text", {"run", "resume"}),
        ("runtime.seed=7", {"job id", "run", "resume", "axes", "baseline"}),
        ("runtime.threads=7", {"load key", "job id", "run", "resume", "axes"}),
    ],
)
def test_effects_of_changed_settings(words: str, expected: set[str]) -> None:
    assert effects(job_from_overrides([]), job_from_overrides([words])) == expected
