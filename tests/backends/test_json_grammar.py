"""Tests that the grammars of openvino_genai accept the same JSON texts as those of the other backends."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import regex
import tiny_models
from jsonschema import Draft202012Validator

from hforch.backends.genai import xgrammar
from hforch.backends.genai.json_grammar import Unenforced, ebnf
from hforch.backends.genai.number_grammar import decimals, integers
from hforch.backends.genai.string_grammar import complement, union
from hforch.generation import grammar
from hforch.generation.bounded_schema import LARGEST, bounded

PARTS = regex.compile(
    r'(?<text>"[^"]*")|(?<set>\[[^\]]*\])|(?<name>[a-z]\w*)|(?<times>\{[\d,]+\}|[?*+|()])|(?<space>\s+)|(?<other>.)'
)


def as_regex(rules: str) -> regex.Pattern[str]:
    """Convert EBNF to a recursive regular expression: an implementation other than xgrammar's."""
    defined = []
    for line in rules.splitlines():
        name, _, body = line.partition(" ::= ")
        found = []
        for part in PARTS.finditer(body):
            kind, written = str(part.lastgroup), part.group()
            assert kind != "other", part
            text = regex.escape(json.loads(wide(written))) if kind == "text" else written
            found.append({"name": f"(?&{written})", "space": ""}.get(kind, f"(?:{text})" if kind == "text" else text))
        defined.append(f"(?<{name}>{''.join(found)})")
    return regex.compile(f"(?(DEFINE){''.join(defined)})(?&root)", regex.VERSION1)


def wide(written: str) -> str:
    """Write characters beyond 16 bits as in JSON."""
    return regex.sub(r"\\U([0-9a-f]{8})", lambda found: json.dumps(chr(int(found[1], 16)))[1:-1], written)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from llguidance import LLTokenizer

    made = tiny_models.byte_level_tokenizer()
    return LLTokenizer(made.backend_tokenizer.to_str(), n_vocab=len(made), eos_token=[made.eos_token_id])


def matcher(tokenizer: Any, schema: Any) -> Any:
    from llguidance import LLMatcher

    return LLMatcher(tokenizer, grammar._grammar(json.dumps(schema)))


def closed(**properties: Any) -> dict[str, Any]:
    named: dict[str, Any] = {"type": "object", "properties": properties}
    return {**named, "required": list(properties), "additionalProperties": False}


INTEGER, NAME = {"type": "integer"}, {"enum": ["x"]}
TREE = {"$defs": {"tree": closed(of={"type": "array", "items": {"$ref": "#/$defs/tree"}})}, "$ref": "#/$defs/tree"}
CASES: dict[str, tuple[Any, list[str], list[str]]] = {
    "whitespace": (
        closed(a=INTEGER),
        ['{"a":1}', '{ "a" : 1 }', '{\n  "a": 1\n}', '{\n            "a":1}'],
        [' {"a":1}', '{"a":1} ', '{"a":1}\n', '{\n\n"a":1}', '{ \n"a":1}', '{\t"a":1}', '{             "a":1}'],
    ),
    "required and optional properties": (
        {**closed(a=NAME, b=NAME, c=NAME), "required": ["b"]},
        ['{"b":"x"}', '{"a":"x","b":"x"}', '{"b":"x" , "c":"x"}', '{"a":"x","b":"x","c":"x"}'],
        ["{}", '{"a":"x"}', '{"c":"x","b":"x"}', '{"b":"x",}', '{,"b":"x"}', '{"b":"x","d":"x"}'],
    ),
    "only optional properties": (
        {**closed(a=NAME, b=NAME), "required": []},
        ["{}", "{ }", '{"a":"x"}', '{"b":"x"}', '{"a":"x","b":"x"}'],
        ["{  \n }", '{"b":"x","a":"x"}', '{"a":"x""b":"x"}'],
    ),
    "other properties": (
        {"type": "object", "properties": {"ab": NAME}, "additionalProperties": {"type": "boolean"}},
        ["{}", '{"ab":"x"}', '{"ab":"x","a":true}', '{"a":true,"abc":false,"":true}', '{"\\"":true}', '{"é\\n":true}'],
        ['{"ab":true}', '{"a":true,"ab":"x"}', '{"a":1}', '{"\\u0061b":true}', '{"a\n":true}'],
    ),
    "any properties": (
        {"type": "object", "properties": {"a": NAME}},
        ['{"a":"x","b":[1,{"c":null}],"d":-1.5e+3}', '{"b":"a"}'],
        ['{"a":1}', '{"b":[1,]}', '{"b":01}', '{"b":tru}'],
    ),
    "required properties without a schema": (
        {"type": "object", "properties": {"a": NAME}, "required": ["c", "a"]},
        ['{"a":"x","c":1}', '{"a":"x","c":[],"d":2}'],
        ['{"a":"x"}', '{"a":"x","d":2}', '{"c":1,"a":"x"}'],
    ),
    "a forbidden property": (
        {"type": "object", "properties": {"a": False}, "additionalProperties": INTEGER},
        ["{}", '{"b":1}'],
        ['{"a":1}'],
    ),
    "properties with a pattern": (
        {"type": "object", "patternProperties": {"^x": INTEGER}, "additionalProperties": False},
        ["{}", '{"x":1}', '{"xa":1,"xb":2}'],
        ['{"y":1}', '{"x":"1"}'],
    ),
    "arrays": (
        {"type": "array", "items": INTEGER, "minItems": 1, "maxItems": 3},
        ["[1]", "[ 1 , 2\n]", "[1,2,3]"],
        ["[]", "[1,2,3,4]", "[1,]", "[1 2]", "[true]"],
    ),
    "arrays of any length": ({"type": "array", "items": INTEGER}, ["[]", "[ ]", "[1]", "[1,2,3,4,5]"], ["[,]", "[[]]"]),
    "empty arrays": ({"type": "array", "maxItems": 0}, ["[]", "[ ]"], ["[1]"]),
    "tuples": (
        {"type": "array", "prefixItems": [INTEGER, NAME], "items": {"type": "null"}, "minItems": 1, "maxItems": 4},
        ["[1]", '[1,"x"]', '[1,"x",null]', '[1,"x",null,null]'],
        ["[]", "[1,null]", '["x"]', '[1,"x","x"]', '[1,"x",null,null,null]'],
    ),
    "tuples with any further items": (
        {"type": "array", "prefixItems": [INTEGER]},
        ["[]", "[1]", '[1,{"a":[]}]'],
        ["[null]", "[1,]"],
    ),
    "truncated tuples": ({"type": "array", "prefixItems": [INTEGER, NAME], "maxItems": 1}, ["[]", "[1]"], ['[1,"x"]']),
    "recursion": (TREE, ['{"of":[]}', '{"of":[{"of":[]},{"of":[{"of":[]}]}]}'], ['{"of":[1]}', '{"of":[{}]}']),
    "the whole schema": (
        {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
        ["[]", "[[],[[]]]"],
        ["[1]", "[[],[],[]]"],
    ),
    "a reference to a part": (
        {"type": "object", "properties": {"a/b": INTEGER, "c": {"$ref": "#/properties/a~1b"}}},
        ['{"c":1}'],
        ['{"c":"x"}'],
    ),
    "alternatives": ({"oneOf": [INTEGER, {"type": "null"}]}, ["1", "null"], ["true", "1null"]),
    "types": ({"type": ["string", "null"], "maxLength": 1}, ['""', '"a"', "null"], ['"ab"', "1"]),
    "anything": (
        {},
        ["1", '"a"', "[]", "{}", "null", "true", "-0", "1e-5", '{"a":{"b":[[""]]}}'],
        ["", "01", "1.", ".5", "+1", "nul", "[", '"\\x"', '"\\ud83c"'],
    ),
    "constants": (
        {"const": {"a": [1, 2.5, {}], "é\n": None, "b": 1.0}},
        ['{"a":[1,2.5,{}],"é\\n":null,"b":1}', '{ "a" : [ 1 , 2.5 , { } ] , "é\\n" : null , "b" : 1 }'],
        ['{"a":[1,2.5,{}]}', '{"é\\n":null,"a":[1,2.5,{}],"b":1}'],
    ),
    "constants of a type": ({"enum": [1, "a", "bc", None], "type": "string", "maxLength": 1}, ['"a"'], ["1", '"bc"']),
    "strings": (
        {"type": "string", "minLength": 1, "maxLength": 2},
        ['"a"', '"é🎉"', '"\\n\\""', '"\\\\\\t"', '"\\u0001\\u001F"', '"\\u007f"', '"\\b\\f"'],
        ['""', '"abc"', '"a', '"\n"', '"\\/"', '"\\u00e9"', '"\x7f"', "a", '"\\u0022"'],
    ),
    "patterns": (
        {"type": "string", "pattern": "b+|^c.$|(d|e$)"},
        ['"abbc"', '"cx"', '"c\\""', '"c\\\\"', '"xdy"', '"xe"', '"b"'],
        ['"a"', '"cxy"', '"c"', '"xey"', '"c\\n"'],
    ),
    "sets in patterns": (
        {"type": "string", "pattern": r"^[^a-y\"]\d\w\s\D\W?[é-ü\]\-]{2}$"},
        ['"z0_ x-]ê"', '"\\n9a\\ta]é"', '"é1b b ]-"'],
        ['"a0_ x]]"', '"\\"0_ x]]"', '"z٣_ x]]"', '"z0_ 1]]"', '"z0_ x]"'],
    ),
    "repetitions in patterns": (
        {"type": "string", "pattern": "^(ab){2,3}c*?d?(?:e{2}|f+)(?P<g>)$"},
        ['"ababee"', '"abababccdfff"'],
        ['"abee"', '"ababababee"', '"ababe"', '"ababddee"'],
    ),
    "empty patterns": ({"type": "string", "pattern": ""}, ['""', '"a"'], ["a"]),
    "a date": ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2024-02-30"', '"2024-13-01"', '"24-01-01"']),
    "a time": (
        {"type": "string", "format": "time"},
        ['"23:59:60Z"', '"00:00:00.123+01:00"'],
        ['"24:00:00Z"', '"00:00:00"'],
    ),
    "a date and time": (
        {"type": "string", "format": "date-time"},
        ['"2024-01-01T00:00:00Z"'],
        ['"2024-01-01 00:00:00Z"', '"2024-01-01"'],
    ),
    "a duration": (
        {"type": "string", "format": "duration"},
        ['"P1Y2M3D"', '"PT5M"', '"P2W"', '"P1DT1H"'],
        ['"P"', '"P1S"', '"PT"', '"P1WT1H"'],
    ),
    "an email address": (
        {"type": "string", "format": "email"},
        ['"a.b+c@d-e.org"', '"a@[1.2.3.4]"'],
        ['"a@"', '"a..b@c"', '"a b@c"', '"@c"'],
    ),
    "a hostname": ({"type": "string", "format": "hostname"}, ['"a-1.b"'], ['"-a"', '"a..b"', '"a_b"', '""']),
    "an IPv4 address": (
        {"type": "string", "format": "ipv4"},
        ['"0.19.200.255"'],
        ['"256.0.0.0"', '"1.2.3"', '"01.2.3.4"'],
    ),
    "an IPv6 address": (
        {"type": "string", "format": "ipv6"},
        ['"::"', '"::1"', '"1::"', '"1:2:3:4:5:6:7:8"', '"fe80::1:2"', '"1:2:3::4"'],
        ['":"', '"1:2:3:4:5:6:7"', '"1::2::3"', '"12345::"'],
    ),
    "a UUID": (
        {"type": "string", "format": "uuid"},
        ['"123e4567-e89b-12d3-a456-426614174000"'],
        ['"123e4567e89b12d3a456426614174000"'],
    ),
    "a URI": (
        {"type": "string", "format": "uri"},
        ['"https://u:p@h.org:8/a/b?c=d#e"', '"a:"', '"mailto:x@y"', '"http://[::1]/%41"'],
        ['"//h"', '"http://a b"', '"1:a"', '"a:%4"'],
    ),
    "integers": (INTEGER, ["0", "-0", "-12", str(LARGEST), str(-LARGEST)], ["01", "1.0", "1e3", str(LARGEST + 1), "-"]),
    "positive integers": ({**INTEGER, "exclusiveMinimum": 0}, ["1", str(LARGEST)], ["0", "-1", str(LARGEST + 1)]),
    "large integers": (
        {**INTEGER, "minimum": 10**17},
        [str(10**17), str(10**18)],
        ["1", str(10**17 - 1), "1" + "0" * 30],
    ),
    "numbers in a range": (
        {"type": "number", "exclusiveMinimum": -1.5, "maximum": 2},
        ["-1.499999", "-1.49", "-0.5", "0", "0.0", "1", "1.999999", "2", "2.000000"],
        ["-1.5", "-1.500001", "2.000001", "2.0000000", "3", "-0", "1e0", "00", "0."],
    ),
    "numbers with a minimum": (
        {"type": "number", "minimum": 0.25},
        ["0.25", "0.3", "1000000.5", str(LARGEST)],
        ["0.249999", "0", "-1", "1" * 17],
    ),
    "small numbers": ({"type": "number", "minimum": 0, "maximum": 5e-8}, ["0", "0.00000005"], ["0.00000006", "1"]),
    "any numbers": ({"type": "number"}, ["-0.5", "1e-400", "1E+5", "1" * 30], ["01", ".5", "5.", "NaN", "1e"]),
    "numbers with two decimals": (
        {"type": "number", "multipleOf": 0.01, "maximum": 3},
        ["2.5", "3.00", "-1.25", "3"],
        ["1.255", "3.01", "1e1"],
    ),
}


LENIENT = ('{"\\u0061b":true}', '"\\"0_ x]]"')
"""Texts that llguidance accepts although the escaped property has another schema, or the set excludes the quote."""


@pytest.mark.parametrize("name", CASES)
def test_the_same_texts_are_valid_as_on_other_backends(name: str, tokenizer: Any) -> None:
    schema, valid, invalid = CASES[name]
    assert xgrammar.unsupported(schema) is None
    pattern = as_regex(ebnf(json.dumps(schema)))
    for text in [*valid, *invalid]:
        expected = text in valid
        assert (pattern.fullmatch(text) is not None) is expected, text
        one = matcher(tokenizer, schema)
        ids = tokenizer.tokenize_str(text)
        assert (one.try_consume_tokens(ids) == len(ids) and one.is_accepting()) is (expected or text in LENIENT), text
        if expected:
            Draft202012Validator(schema).validate(json.loads(text))


@pytest.mark.parametrize("name", CASES)
def test_random_answers_of_other_backends_are_valid_too(name: str, tokenizer: Any) -> None:
    schema = CASES[name][0]
    pattern = as_regex(ebnf(json.dumps(schema)))
    chance = random.Random(name)
    found = 0
    for _ in range(12):
        one, ids = matcher(tokenizer, schema), list[int]()
        while not one.is_stopped() and len(ids) < 120:
            allowed = [token for token, bias in enumerate(one.compute_logit_bias()) if bias]
            ids.append(tokenizer.eos_token if tokenizer.eos_token in allowed else chance.choice(allowed))
            one.consume_token(ids[-1])
        text = tokenizer.decode_bytes([one for one in ids if one != tokenizer.eos_token])
        try:
            answer = text.decode()
        except UnicodeDecodeError:
            continue
        if one.is_stopped():
            found += 1
            assert pattern.fullmatch(answer), answer
    assert found or name in ("anything", "any properties", "recursion")


LACKING = {
    "multipleOf": {"type": "integer", "multipleOf": 3},
    "minProperties": {"type": "object", "minProperties": 1},
    "maxProperties": closed(inner={"type": "object", "maxProperties": 1}),
    "minLength combined with pattern": {"type": "string", "pattern": "^a", "minLength": 2},
    "maxLength combined with format": {"type": "string", "format": "date", "maxLength": 20},
    "allOf": {"allOf": [INTEGER, {"minimum": 3}]},
    "minimum combined with $ref": {"$defs": {"x": INTEGER}, "$ref": "#/$defs/x", "minimum": 5},
    "type combined with anyOf": {"type": "array", "anyOf": [{"minItems": 5}, {"maxItems": 2}]},
    "patternProperties combined with other properties": {"patternProperties": {"^a": INTEGER}, "properties": {"b": {}}},
    "bounds with many decimals": {"type": "number", "minimum": 1e-12},
}


@pytest.mark.parametrize("said", LACKING)
def test_parts_that_cannot_be_enforced_are_all_reported(said: str) -> None:
    with pytest.raises(Unenforced) as raised:
        ebnf(json.dumps(closed(a=LACKING[said], b={"type": "object", "dependentRequired": {"a": ["b"]}})))
    assert str(raised.value) == f"{said}, dependentRequired"
    assert grammar.unsupported(LACKING[said]) is None
    assert xgrammar.unsupported(LACKING[said]) == f"openvino_genai cannot enforce {said}; backend=openvino can"
    assert xgrammar.unsupported(closed(**{said: INTEGER})) is None  # as the name of a property


@pytest.mark.parametrize(
    "pattern", ["a^b", "a$b", r"\bx", "(?i)a", "(?=a)", r"(a)\1", "(?i:a)", r"\p{L}", "(?>a)", "a++"]
)
def test_patterns_that_cannot_be_enforced_are_reported(pattern: str) -> None:
    with pytest.raises(Unenforced, match="pattern"):
        ebnf(json.dumps({"type": "string", "pattern": pattern}))


@pytest.mark.parametrize("backend", [grammar, xgrammar])
def test_bounds_beyond_64_bits_are_rejected(backend: Any) -> None:
    for bound in ({"minimum": 10**20}, {"maximum": -(10**20)}, {"exclusiveMinimum": 1e30}):
        assert "64 bits" in backend.unsupported(closed(a={"type": "array", "items": {**INTEGER, **bound}}))
    assert backend.unsupported({**INTEGER, "maximum": 10**20}) is None


def test_ranges_of_integers_are_exact() -> None:
    chance = random.Random(0)
    for _ in range(60):
        low, high = sorted(chance.choice([-1, 1]) * chance.randrange(10 ** chance.randrange(1, 4)) for _ in "ab")
        pattern = as_regex(f"root ::= {integers(low, high)}")
        for number in range(-1100, 1100):
            assert (pattern.fullmatch(str(number)) is not None) is (low <= number <= high), (low, high, number)


def test_ranges_of_decimals_are_exact() -> None:
    chance = random.Random(0)
    for places in (1, 2):
        one = 10**places
        for _ in range(30):
            low, high = sorted(chance.choice([-1, 1]) * chance.randrange(12 * one) for _ in "ab")
            pattern = as_regex(f"root ::= {decimals(low, high, places)}")
            for number in range(-13 * one, 13 * one):
                sign, (whole, rest) = "-" * (number < 0), divmod(abs(number), one)
                exact = f"{sign}{whole}.{rest:0{places}}"
                texts = {exact} | ({exact.rstrip("0")} if rest else {f"{sign}{whole}", f"{sign}{whole}.0"})
                for text in texts:
                    assert (pattern.fullmatch(text) is not None) is (low <= number <= high), (low, high, text)
                assert not pattern.fullmatch(f"{exact}0")


def test_limits_are_added_only_where_digits_are_unlimited() -> None:
    unchanged = [
        {"type": "integer", "minimum": 1, "maximum": 2},
        {"type": "number"},
        {"type": "string"},
        {"enum": [1]},
        {"type": "integer", "const": 1},
        {"$ref": "#/$defs/a", "minimum": 3},
        True,
    ]
    for schema in unchanged:
        assert bounded(schema) == schema
    limits = {"minimum": -LARGEST, "maximum": LARGEST}
    assert bounded({"items": INTEGER}) == {"items": {**INTEGER, **limits}}
    assert bounded({"properties": {"minimum": {"anyOf": [INTEGER]}}}) == {
        "properties": {"minimum": {"anyOf": [{**INTEGER, **limits}]}}
    }
    assert bounded({"type": "number", "maximum": 2}) == {
        "type": "number",
        "minimum": -LARGEST,
        "maximum": 2,
        "multipleOf": 1e-6,
    }
    assert bounded({"type": "number", "minimum": 1e-8, "maximum": 1})["multipleOf"] == 1e-8
    assert "multipleOf" not in bounded({"type": "number", "minimum": 1e-12})
    assert bounded({**INTEGER, "maximum": -(10**17)})["minimum"] == -(10**18)


def test_sets_of_characters() -> None:
    assert union([[(5, 9)], [(1, 4)], [(20, 30)], [(25, 26)]]) == [(1, 9), (20, 30)]
    assert complement([(0, 4), (10, 0x10FFFF)]) == [(5, 9)]
    assert complement([]) == [(0, 0x10FFFF)]
