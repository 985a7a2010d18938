"""Follow the hints of configuration errors: the change that a hint suggests must remove its error.

The mistakes are those of other tests, and misspelled names and wrong values of every group and key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hints import suggestions
from mistaken import CASES
from test_rules import REFUSED
from wrong_values import as_override, keys, options

from hforch.config.compose import compose
from hforch.config.keys import groups
from hforch.errors import ConfigError, Mistake

WRONG = ("x", -1, {"a": 1})


def mistakes_of(overrides: list[str]) -> list[Mistake]:
    try:
        compose(overrides)
    except ConfigError as error:
        return list(error.mistakes)
    return []


def mistaken_command_lines() -> Iterator[list[str]]:
    yield from (overrides for overrides, _, _ in REFUSED)
    for case in CASES:
        if case.code == 2 and not case.files and all(re.match(r"[+~]*[a-z]+[.=]", word) for word in case.command):
            yield list(case.command)
    for group in groups():
        first = options(group)[0]
        yield from ([f"{group}={one[:-1]}"] for one in options(group) if len(one) > 4)
        yield from ([f"{group[:-1]}={first}"], [f"{group}=no_such"], [f"+{group}={first}"], [f"~{group}"])
        yield from ([f"{group}=[1]"], [f"{group}={{a: 1}}"])
    for number, key in enumerate(keys()):  # each key gets a third of these
        wrong = [f"{key.path}={as_override(value)}" for value in WRONG]
        wrong += [
            f"{key.path[:-1]}=1",
            f"~{key.path}",
            f"~{key.path}x",
            f"{key.path}=it's",
            f"+{key.path}=1",
            f"{key.path}=[a",
        ]
        yield from ([one] for one in wrong[number % 3 :: 3])
    for path in ("runtime.seed", "stop.sequences", "prompt.template", "ov_config.NUM_STREAMS"):
        yield from ([f"+{path}=1"], [f"{path}=[a"], [f"{path}=a: b"], [f"{path}=$x"], [f"{path}={{a: it's}}"])


def test_following_a_hint_removes_the_error() -> None:
    followed, wrong = 0, []
    for overrides in mistaken_command_lines():
        for mistake in mistakes_of(overrides):
            for suggested in suggestions(overrides, mistake):
                followed += 1
                left = {(one.path, one.problem) for one in mistakes_of(suggested)}
                if (mistake.path, mistake.problem) in left or suggested == overrides:
                    wrong.append(f"{' '.join(overrides)}\n{mistake}\n    followed: {' '.join(suggested)}")
    assert not wrong, "\n\n".join(wrong[:20])
    assert followed > 200
