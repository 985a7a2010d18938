"""Rules between the keys of a job."""

from __future__ import annotations

import pytest

from hforch.config.compose import compose
from hforch.config.rules import variables
from hforch.errors import ConfigError


def mistakes(*overrides: str) -> dict[str, str]:
    try:
        compose(overrides)
    except ConfigError as error:
        return {mistake.path: str(mistake) for mistake in error.mistakes}
    return {}


REFUSED = [
    (["device=gpu", "device.device_map=auto"], "device.index", "device.index=null"),
    (["device=gpu", "device.index=null"], "device.index", "device.index=0"),
    (["device.index=1"], "device.index", "device=gpu"),
    (["device=auto", "device.index=1", "device.device_map=null"], "device.index", "lets the library choose"),
    (["device=openvino", "device.name=null", "backend=openvino"], "device.name", "GPU.1"),
    (["device.name=GPU.1"], "device.name", "device=openvino"),
    (["device=npu"], "device.kind", "backend=openvino"),
    (["device=openvino", "device.name=NPU"], "device.kind", "backend=openvino"),
    (["generation.temperature=0.5"], "generation.temperature", "generation.do_sample=true"),
    (["generation.top_p=0.5"], "generation.top_p", "generation=sample"),
    (["generation.top_k=5"], "generation.top_k", "generation=sample"),
    (["generation.do_sample=null"], "generation.do_sample", "generation=checkpoint"),
    (["generation.max_new_tokens=null"], "generation.max_new_tokens", "no length limit"),
    (["generation.min_new_tokens=100"], "generation.min_new_tokens", "greater than generation.max_new_tokens (64)"),
    (["generation.length_penalty=1.5"], "generation.length_penalty", "generation=beam"),
    (["generation.early_stopping=true"], "generation.early_stopping", "generation.num_beams=4"),
    (["backend.kv_cache=static", "generation=beam"], "backend.kv_cache", "generation.num_beams=1"),
    (["backend.compile=true", "generation.num_beams=2"], "backend.compile", "backend.compile=auto"),
    (["precision.group_size=64"], "precision.group_size", "can be set only if precision.name is int4"),
    (["precision.group_size_fallback=adjust"], "precision.group_size_fallback", "only if precision.name is int4"),
    (["precision=int4", "precision.group_size=0"], "precision.group_size", "-1"),
    (["prompt.template='no variable'"], "prompt.template", "contains no variable"),
    (["prompt.template='{question'"], "prompt.template", "{{"),
    (["prompt.template='{question!r}'"], "prompt.template", "plain name"),
    (["prompt.template='{question.x}'"], "prompt.template", "plain name"),
    (["prompt.template='{0}'"], "prompt.template", "plain name"),
    (["prompt.template='{}'"], "prompt.template", "plain name"),
    (["prompt.template='{context}'"], "inputs.items.0", "missing column 'context', which the prompt uses"),
    (["prompt.template='{a} {b}'", "inputs.items=[hi]"], "inputs.items.0", "{a: ..., b: ...}"),
    (["prompt.template='{a} {b}'", "inputs.items=[{a: 1, b: 2}, hi]"], "inputs.items.1", "is a string"),
    (["prompt=chat", "prompt.system='{style}'"], "inputs.items.0", "missing column 'style', which the prompt uses"),
    (["prompt=chat", "prompt.messages=[{role: user, content: hi}]"], "prompt.messages", "contains no variable"),
    (["prompt=chat", "prompt.messages=[{role: user, content: '{'}]"], "prompt.messages.0.content", "{{"),
    (["prompt=raw", "prompt.column=text"], "inputs.items.0", "missing column 'text' (prompt.column)"),
    (["scoring=text", "scoring.text.window=64", "scoring.text.stride=64"], "scoring.text.stride", "at most 63"),
    (["scoring=text", "scoring.text.max_tokens=1"], "scoring.text.max_tokens", "must be at least 2"),
    (["prompt=raw", "inputs.items=[{a: x, b: y}]"], "inputs.items.0", "has 2 columns, so prompt=raw needs"),
]


@pytest.mark.parametrize(("overrides", "path", "said"), REFUSED, ids=[" ".join(case[0]) for case in REFUSED])
def test_contradictory_settings_are_refused(overrides: list[str], path: str, said: str) -> None:
    found = mistakes(*overrides)
    assert list(found) == [path]
    assert said in found[path]
    assert "set in" in found[path]


ALLOWED = [
    ["generation.temperature=0"],
    ["generation=sample", "generation.temperature=0"],
    ["generation=sample", "generation.num_beams=2"],
    ["generation=beam", "generation.length_penalty=1.5", "generation.early_stopping=never"],
    ["generation=checkpoint", "generation.temperature=0.3"],
    ["generation.max_new_tokens=null", "generation.max_length=100"],
    ["device=gpu"],
    ["device=gpu", "device.index=null", "device.device_map=balanced"],
    ["device=auto", "backend=openvino"],
    ["precision=int4", "precision.group_size=-1"],
    ["inputs.items=[one,two]"],
    ["prompt=raw", "inputs.items=[one,{anything: two}]"],
    ["inputs=file", "inputs.path=not-there.csv", "prompt.template='{a} {b}'"],
    ["prompt.template='{{literal}} {question}'"],
]


@pytest.mark.parametrize("overrides", ALLOWED, ids=[" ".join(case) for case in ALLOWED])
def test_consistent_settings_are_allowed(overrides: list[str]) -> None:
    assert mistakes(*overrides) == {}


def test_a_rule_is_skipped_if_a_group_that_it_reads_has_an_error() -> None:
    assert list(mistakes("device=npu", "backend=torch")) == ["backend"]
    assert list(mistakes("generation.top_k=x", "generation.top_p=0.5")) == ["generation.top_k"]


def test_the_variables_of_a_template_are_returned_in_order_without_duplicates() -> None:
    assert variables("{b} {a} {b} {{c}}") == ["b", "a"]
