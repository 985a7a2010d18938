"""Keyword arguments of the Python API become the overrides that a command line would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hforch.config.compose import job_from_overrides
from hforch.config.keywords import overrides_of
from hforch.errors import ConfigError


def job_of(*overrides: str, **given: Any) -> Any:
    return job_from_overrides(overrides_of(overrides, given))


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ({"backend": "openvino", "precision": "int8"}, ["backend=openvino", "precision=int8"]),
        ({"generation": {"max_new_tokens": 20, "do_sample": True, "temperature": 0.5}, "stop": "newline"},
         ["generation.max_new_tokens=20", "generation.do_sample=true", "generation.temperature=0.5", "stop=newline"]),
        ({"generation": {"max_new_tokens": np.int64(7), "max_length": None}}, ["generation.max_new_tokens=7"]),
        ({"device": "cuda:1"}, ["device=cuda:1"]),
        ({"device": 1}, ["device=1"]),
        ({"ov_config": {"KV_CACHE_PRECISION": "u8"}}, ["+ov_config.KV_CACHE_PRECISION=u8"]),
        ({"model": Path("a b")}, ["model=local", "model.path='a b'"]),
        ({"inputs": Path("a.csv")}, ["inputs=file", "inputs.path=a.csv"]),
        ({"scoring": "both"}, ["scoring=both"]),
        ({"scoring": {"text": {"max_tokens": 9}}, "runtime": {"seed": None}},
         ["scoring=text", "scoring.text.max_tokens=9", "runtime.seed=null"]),
        ({"checks": [{"contains": "x"}]}, ["checks.items=[{contains: x}]"]),
    ],
)  # fmt: skip
def test_keyword_arguments_give_the_same_job_as_overrides(given: dict[str, Any], overrides: list[str]) -> None:
    words = ["scoring=text"] if "scoring=text" in overrides else []
    assert job_of(*words, **given) == job_from_overrides(overrides)


def test_keyword_arguments_take_precedence_over_strings() -> None:
    job = job_of("precision=int8", "generation.max_new_tokens=3", precision="fp32", generation={"max_new_tokens": 4})
    assert (job.precision.name, job.generation.max_new_tokens) == ("fp32", 4)


TEXTS = ["\n", "a'b\"c", "${x}", r"\${x}", "\\", "true", "1", "", "é, {b}: [c]", "null", " a "]


@pytest.mark.parametrize("text", TEXTS)
def test_strings_are_literal(text: str) -> None:
    schema = {"type": "object", "properties": {"a b:$c": {"const": text}}}
    job = job_of(stop=[text or "x"], inputs=[{"question": text or "x"}], generation={"json_schema": schema})
    assert job.stop.sequences == (text or "x",)
    assert job.inputs.items == ({"question": text or "x"},)
    assert job.generation.json_schema == schema
    kwargs = {"prompt": {"chat_template_kwargs": {"a": text, "b": [1, None]}}}
    assert job_of("prompt=chat", **kwargs).prompt.chat_template_kwargs == {"a": text, "b": [1, None]}


def test_a_part_of_a_job_is_a_value() -> None:
    generation = job_of(generation="sample").generation.model_copy(update={"max_new_tokens": 5})
    assert job_of(generation=generation).generation == generation


def test_all_errors_are_reported_together() -> None:
    with pytest.raises(ConfigError) as found:
        job_of(3, backend=True, stop="\n", generation={"json_schema": {"it's": 1}, 2: 3})  # type: ignore[arg-type]
    text = str(found.value)
    assert "an override must be a string; got 3 (integer)" in text
    assert "backend: must be the name of an option or a dict of values; got true (boolean)" in text
    assert "pass a list: stop=['\\n']" in text
    assert "generation.json_schema: the value cannot be written as an override" in text


def test_errors_in_values_name_the_key_and_the_closest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean generation.max_new_tokens\?") as found:
        job_of(generation={"max_new_token": 20, "temperature": "x"}, precision="int9")
    assert {one.path for one in found.value.mistakes} == {
        "generation.max_new_token", "generation.temperature", "precision"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="a value of type object cannot be written as an override"):
        job_of(generation={"temperature": object()})


def test_several_options_and_values_are_swept_over() -> None:
    given = {
        "backend": ["pytorch", "openvino"], "precision": "fp32, int8", "stop": ["x", "y"], "inputs": ["a", "b"],
        "generation": {"max_new_tokens": [8, 16], "top_k": None}, "prompt": {"messages": [{"role": "user"}]},
    }  # fmt: skip
    assert overrides_of(["-x"], given, sweeps=True) == [
        "-x", "backend=pytorch,openvino", "precision=fp32,int8", "prompt.messages=[{role: user}]",
        "generation.max_new_tokens=8,16", "generation.top_k=null", "stop.sequences=[x, y]", "inputs=eeg",
        "inputs.items=[a, b]",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="takes several options"):
        overrides_of([], given)
