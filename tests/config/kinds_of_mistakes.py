"""One function per kind of error: it adds the error to a command line, with its expected report."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st
from wrong_files import NO_CONFIG
from wrong_lines import MINE, PRIMARY, RECIPE, Draw, Line
from wrong_values import IDENTIFIERS, STRANGE, TEXTS, Key, as_override, keys, options, right_values

from hforch.config.keys import groups, known_keys
from hforch.config.options import option
from hforch.config.resolving import EXAMPLES

NO_OPTIONS = st.one_of(IDENTIFIERS, TEXTS, st.sampled_from(["../config", "/etc/passwd", "a/b", "null", "3", "true"]))
CANNOT_BE_PARSED = ["${", "${}", "${nowhere", "${oc.env:", "a ${"]
CANNOT_BE_RESOLVED = [
    "${nowhere}",
    "${runtime.nowhere}",
    "${runtime.nowhere.deep}",
    "${.nowhere}",
    "${........nowhere}",
    "${oc.env:HFORCH_NOT_SET}",
    "${oc.decode:'['}",
    "${nowhere:1}",
    "${hydra:nowhere}",
    "${hydra.run.dir}",
    "a ${nowhere} b",
    "${nowhere[0]}",
    "${${nowhere}}",
    "???",
]
REFERENCE = re.compile(r"\$\{[\w.]+\}")
UNREADABLE = [
    "[",
    "{x",
    "'b",
    '"b',
    "a b'",
    "a)",
    "f(",
    "f(a",
    "[a,",
    "{a:",
    "{a}",
    "]",
    "a,",
    ",",
    "a:b}",
    "${",
    "a\x01'",
]


# ---------------------------------------------------------------- values
def wrong_value(draw: Draw, line: Line) -> None:
    key = line.free_key(draw)
    line.write(draw, key, draw(key.wrong_values()), hides="group" if key.tells_apart else "")


def unresolvable(draw: Draw, line: Line) -> None:
    key = line.free_key(draw)
    # A mandatory value that refers to itself is reported as missing.
    itself = [] if key.path in EXAMPLES else [f"${{{key.path}}}"]
    nothing = ["${hydra:nowhere}"] if key.takes(None) else []  # Hydra resolves it to null
    text = draw(st.sampled_from([text for text in (*CANNOT_BE_RESOLVED, *itself) if text not in nothing]))
    if text == "???":  # in a file it marks a mandatory value
        line.choose_one_with(draw, key)
        line.type(key.path, f"{'++' if key.free else ''}{key.path}=???", hides="group" if key.tells_apart else "")
        return
    line.write(draw, key, text, hides="group" if key.tells_apart else "", recipes=REFERENCE.fullmatch(text) is not None)


def cannot_be_parsed(draw: Draw, line: Line) -> None:
    key = line.free_key(draw)
    text = draw(st.sampled_from(CANNOT_BE_PARSED))
    if line.primary and key.group in line.chosen:
        line.choose_one_with(draw, key)
    place = line.write(draw, key, text, recipes=False)
    told = line.told.pop()
    hides = {"typed": "", PRIMARY: "all"}.get(place, "group")
    line.tell(told.path, told.where, line=told.line, hides=hides)


def of_another_type(draw: Draw, line: Line) -> None:
    """Add a reference to a whole group, which is not a valid value of any key."""
    group = line.free_group(draw)
    value = {"kind": "none"} if group == "tracker" else {"a": "b"}
    key = line.free_key(draw, lambda key: not key.takes(value) and key.group != group)
    line.write(draw, key, f"${{{group}}}", hides="group" if key.tells_apart else "")


# ---------------------------------------------------------------- keys
def unknown_key(draw: Draw, line: Line) -> None:
    path, name = _unknown(draw, line)
    value = draw(st.sampled_from([3, "a", True, None, [], {}, {"a": 1}]))
    key = Key(path, ())
    if draw(st.booleans()) or name.count("."):
        way = draw(st.sampled_from(["", "+", "++"]))
        line.type(path, f"{way}{path}={as_override(value)}")
    else:
        line.write(draw, key, value)


def _unknown(draw: Draw, line: Line) -> tuple[str, str]:
    """Return a path and a name that no option of the group has: random, misspelled, or below a value."""
    like = draw(st.sampled_from([key for key in keys() if not key.free and line.is_free(key.path)]))
    name = draw(st.one_of(IDENTIFIERS, typos(like.name), st.just(f"{like.name}.{draw(IDENTIFIERS)}")))
    path = f"{like.group}.{name}"
    if path in known_keys() or not line.is_free(path) or path.startswith("prompt.chat_template_kwargs."):
        path, name = f"{like.group}.no_such_key", "no_such_key"
    line.taken.add(path)
    return path, name


@st.composite
def typos(draw: Draw, name: str) -> str:
    place = draw(st.integers(0, len(name) - 1))
    return draw(
        st.sampled_from([name[:place] + name[place + 1 :] or "x", name[:place] + name[place] * 2 + name[place + 1 :]])
    )


def not_set_yet(draw: Draw, line: Line) -> None:
    """Add a new key to a mapping without the required +."""
    path = draw(
        st.sampled_from([f"ov_config.{draw(IDENTIFIERS)}_X", f"prompt.chat_template_kwargs.{draw(IDENTIFIERS)}"])
    )
    if line.is_free(path):
        line.taken.add(path)
        line.type(path, f"{path}=1")
    else:
        unknown_key(draw, line)


def unknown_group(draw: Draw, line: Line) -> None:
    group = draw(st.one_of(IDENTIFIERS, typos(draw(st.sampled_from(groups())))))
    if group in groups() or group == "hydra" or not line.is_free(group):
        group = "no_such_group"
    if not line.is_free(group):
        return wrong_value(draw, line)
    line.taken.add(group)
    typed = draw(st.sampled_from([f"{group}=a", f"+{group}=a", f"++{group}.a=1", f"{group}.a=1", f"~{group}"]))
    line.type(group, typed)
    return None


def there_already(draw: Draw, line: Line) -> None:
    """Add a + override of an existing key, which is allowed only if its value is null."""
    there = [
        (key, name)
        for key in keys()
        for name in options(key.group)
        if not key.free and key.group not in line.chosen and line.is_free(key.path)
        if option(key.group, name).get(key.name) not in (None, [], {}, "???")
    ]
    key, name = draw(st.sampled_from(there))
    line.taken.add(key.path)
    line.choose(key.group, name)
    line.type(key.path, f"+{key.path}=a")


def deleted_key(draw: Draw, line: Line) -> None:
    key = line.free_key(draw, lambda key: not key.free)
    value = draw(st.sampled_from(["", "=3", f"={as_override(next(iter(right_values(key.path)), 3))}"]))
    line.choose_one_with(draw, key)
    line.type(key.path, f"~{key.path}{value}", hides="group" if key.tells_apart else "")


# ---------------------------------------------------------------- options
def unknown_option(draw: Draw, line: Line) -> None:
    group = line.free_group(draw)
    name = draw(NO_OPTIONS.filter(lambda name: name not in (*options(group), MINE)))
    line.chosen[group] = name
    place = draw(
        st.sampled_from(
            ["typed", line.primary] if line.primary and re.fullmatch(r"(?!null$|true$)[A-Za-z]\w*", name) else ["typed"]
        )
    )
    if place == "typed":
        line.type(group, f"{group}={as_override(name)}", hides="group")
        return
    override = "override " if line.primary == PRIMARY else ""
    line.primary_file().defaults.append((f"{override}{group}: {name}", group))
    line.tell(group, line.primary, line=group, hides="all")


def group_taken_away(draw: Draw, line: Line) -> None:
    group = line.free_group(draw)
    name = draw(st.sampled_from(options(group)))
    line.chosen[group] = name
    line.type(group, draw(st.sampled_from([f"~{group}", f"~{group}={name}"])), hides="group")


def group_added_again(draw: Draw, line: Line) -> None:
    group = line.free_group(draw)
    line.chosen[group] = name = draw(st.sampled_from(options(group)))
    line.type(group, f"{draw(st.sampled_from(['+', '++']))}{group}={name}", hides="group")


def group_set_to_a_value(draw: Draw, line: Line) -> None:
    group = line.free_group(draw)
    line.chosen[group] = ""
    value = draw(st.sampled_from(["3", "[a]", "text", "true"]))
    if line.primary == PRIMARY:
        line.primary_file().values[group] = value
        line.tell(group, PRIMARY, line=group, hides="group")
    else:
        line.type(group, f"{group}={value}", hides="group")


def sweep_without_m(draw: Draw, line: Line) -> None:
    if line.multirun:
        return wrong_value(draw, line)
    if draw(st.booleans()):
        group = line.free_group(draw)
        line.chosen[group] = ""
        sweep = draw(st.sampled_from(["glob(*)", ",".join(options(group) * 2)]))
        line.type(group, f"{group}={sweep}", hides="group")
    else:
        key = line.free_key(draw, lambda key: not key.free)
        line.type(key.path, f"{key.path}={draw(st.sampled_from(['1,2', 'a,b', 'range(3)', 'choice(1,2)']))}")
    return None


# ---------------------------------------------------------------- words that are not overrides
def unreadable_value(draw: Draw, line: Line) -> None:
    key = line.free_key(draw)
    line.type(key.path, f"{key.path}={draw(st.sampled_from(UNREADABLE))}")


def unreadable_word(draw: Draw, line: Line) -> None:
    words = st.one_of(
        st.sampled_from(
            [
                "",
                "+",
                "~",
                "++",
                "=",
                "=x",
                "+=x",
                "~=",
                "~=x",
                "+~",
                "a",
                "a b",
                "a..b=1",
                "a.=1",
                ".a=1",
                "@=",
                "a@=1",
                "model@=gpt2",
            ]
        ),
        st.sampled_from(STRANGE).map(lambda text: f"{text}="),
        st.sampled_from(STRANGE),
        st.text(st.characters(exclude_characters="\0"), max_size=8),
    )
    word = draw(words)
    line.type("", f"+{word}" if word.startswith("-") else word)  # with a leading dash it would be a flag


# ---------------------------------------------------------------- files
def useless_option_file(draw: Draw, line: Line) -> None:
    group = line.free_group(draw)
    name = draw(st.sampled_from(sorted(NO_CONFIG)))
    line.choose(group, MINE)
    file = f"my/{group}/{MINE}.yaml"
    line.files[file] = content(name, MINE)
    line.tell(group, file, hides="group")


def useless_primary(draw: Draw, line: Line) -> None:
    if not line.primary:
        return wrong_value(draw, line)
    name = draw(st.sampled_from(sorted(NO_CONFIG)))
    line.files[line.primary] = content(name, "exp")
    line.tell("", line.primary, hides="all")
    return None


def content(kind: str, name: str) -> bytes:
    text = NO_CONFIG[kind]
    return text if isinstance(text, bytes) else text.replace("{name}", name).encode()


def bad_flag(draw: Draw, line: Line) -> None:
    flags = [
        ["--multirn"],
        ["-x"],
        ["--config-dir", "nowhere"],
        ["--config-name", "nowhere"],
        ["--cfg", "nothing"],
        ["--config-dir"],
    ]
    if line.flags:
        return wrong_value(draw, line)
    line.flags = draw(st.sampled_from(flags))
    line.tell("", line.flags[0], hides="all")
    return None


KINDS: tuple[Callable[[Draw, Line], None], ...] = (
    wrong_value,
    wrong_value,
    wrong_value,
    unresolvable,
    cannot_be_parsed,
    of_another_type,
    unknown_key,
    not_set_yet,
    unknown_group,
    there_already,
    deleted_key,
    unknown_option,
    group_taken_away,
    group_added_again,
    group_set_to_a_value,
    sweep_without_m,
    unreadable_value,
    unreadable_word,
    useless_option_file,
    useless_primary,
    bad_flag,
)


@st.composite
def lines_with_mistakes(draw: Draw) -> tuple[Line, list[str]]:
    line = Line(multirun=draw(st.booleans()), primary=draw(st.sampled_from(["", "", PRIMARY, RECIPE])))
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5)):
        line.kind = kind.__name__
        kind(draw, line)
    for group in draw(st.lists(st.sampled_from(groups()), max_size=3, unique=True)):
        if group not in line.chosen and group not in line.taken:
            line.choose(group, draw(st.sampled_from(options(group))))
    return line, line.words(draw)
