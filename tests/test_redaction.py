"""What looks like a credential, and what does not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hforch.errors import ConfigError, Mistake, message_of
from hforch.utils import redacted_output, redaction
from hforch.utils.credential_patterns import credentials_in, is_secret_name
from hforch.utils.redacted_output import redact_file
from hforch.utils.redaction import (
    redacted,
    redacted_line,
    redacted_override,
    redacted_tree,
    remember,
    remember_shapes,
    remember_variable,
    without_known,
)

MADE_UP = "a1B2c3D4e5F6g7H8i9J0k1L2"
CREDENTIALS = {
    "hub": f"hf_{MADE_UP}",
    "openai": f"sk-{MADE_UP}",
    "openai project": f"sk-proj-{MADE_UP}_x-{MADE_UP}",
    "anthropic": f"sk-ant-api03-{MADE_UP}",
    "github": f"ghp_{MADE_UP}",
    "github app": f"ghs_{MADE_UP}",
    "github fine-grained": f"github_pat_{MADE_UP}_{MADE_UP}",
    "gitlab": "glpat-a1B2c3D4e5F6g7H8i9J0",
    "slack": "xoxb-123456789012-abcdefghijkl",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": f"ya29.{MADE_UP}",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----",
    "half a private key": "-----BEGIN PRIVATE KEY-----\nMIIEow",
}


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    sets = (redaction._given, redaction._ordinary, redaction._in_paths)
    before = [one.copy() for one in sets]
    for one in sets:
        one.clear()
    yield
    for one, kept in zip(sets, before, strict=True):
        one.clear()
        one.update(kept)  # type: ignore[arg-type]


@pytest.mark.parametrize("credential", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("text", ["{}", "before {} after", "key={}", '"{}"', "({})", "x: '{}',"])
def test_a_credential_is_found_by_its_format(credential: str, text: str) -> None:
    if text == "{}" or not credential.startswith("-----BEGIN PRIVATE"):  # text after an open key is part of it
        assert redacted(text.format(credential)) == text.format("***")
    assert list(credentials_in(credential)) == [credential]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot reach https://me:s3cret@hub.example/api?x=1", "cannot reach https://***@hub.example/api?x=1"),
        ("https://me:p%40ss@hub.example", "https://***@hub.example"),
        (f"https://{MADE_UP}@hub.example/x", "https://***@hub.example/x"),
        ("Authorization: Bearer abcdefghijklmnop.q", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dXNlcjpwYXNzd29yZA=='}", "{'authorization': 'Basic ***'}"),
    ],
)
def test_the_text_around_a_credential_is_kept(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api_key=sesame was refused", "api_key=*** was refused"),
        ("+model.apiKey='open sesame'", "+model.apiKey='***'"),
        ('{"password": "sesame", "user": "me"}', '{"password": "***", "user": "me"}'),
        ("GET /x?access_token=sesame&page=2", "GET /x?access_token=***&page=2"),
        ("--token=sesame", "--token=***"),
        ("Authorization: token sesame", "Authorization: token ***"),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
        ("api_key=${oc.env:KEY}", "api_key=${oc.env:KEY}"),
        ("unknown token: <|x|>", "unknown token: <|x|>"),
        ("max_new_tokens=12, pad_token=<pad>, tokens_per_s: 3", "max_new_tokens=12, pad_token=<pad>, tokens_per_s: 3"),
    ],
)
def test_in_a_line_a_value_is_redacted_because_of_its_name(text: str, expected: str) -> None:
    assert redacted_line(text) == expected
    assert redacted_line(expected) == expected


@pytest.mark.parametrize(
    "name",
    [
        *(
            "token",
            "HF_TOKEN",
            "api_key",
            "apikey",
            "apiKey",
            "API-KEY",
            "secret",
            "client_secret",
            "password",
            "passwd",
        ),
        *("authorization", "credentials", "private_key", "AWS_SECRET_ACCESS_KEY", "accessToken", "OPENAI_API_KEY"),
    ],
)
def test_names_of_credentials(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("max_new_tokens", "min_new_tokens", "pad_token", "eos_token", "bos_token", "eos_token_id", "pad_token_id"),
        *("tokens_per_s", "tokens_per_s_each", "ms_per_token", "token_s", "skip_special_tokens", "stop_token"),
        *("tokenizer", "token_usage", "output_tokens", "prompt_tokens", "tokens", "load_key", "key", "keys", "author"),
        *("KV_CACHE_PRECISION", "CACHE_DIR", "num_assistant_tokens", "max_num_batched_tokens", "passed", "min_pass"),
    ],
)
def test_ordinary_names_are_not_names_of_credentials(name: str) -> None:
    assert not is_secret_name(name)


HARMLESS = [
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",  # a fingerprint
    "5de6cc91e07fb9d1",  # a job id
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",  # a commit
    "2026-11-23/10-15-00-123456",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "risk-averse-and-very-long-hyphenated-words",
    "sk-learn",
    "task-0123456789abcdef0123",
    "hf_transfer",
    "the bearer of bad news",
    "basic understanding of things",
    "https://huggingface.co/org/model?x=1#user@host",
    "https://hub.example:8080/a@b",
    "ssh://git@hub.example/repo",
    "me@hub.example",
    "file:///tmp/a:b@c",
    "generation.max_new_tokens=4",
    "stop.sequences=['token:', 'secret: ']",
    "prompt.template='Password: {question}'",
    "tokens/s",
    "eyJ",
    "AKIA",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_not_redacted(text: str) -> None:
    assert redacted(text) == text
    assert redacted_override(text) == text
    assert redacted_tree({"job_id": text, text: [text]}, by_name=lambda path: True) == {"job_id": text, text: [text]}


def test_unknown_credentials_in_data_are_not_redacted() -> None:
    text = f"an example: sk-{MADE_UP}, https://me:password@host"
    assert without_known(text) == text
    remember(f"sk-{MADE_UP}")
    assert without_known(text) == "an example: ***, https://me:password@host"


def test_a_password_in_a_url_is_also_redacted_alone_and_decoded() -> None:
    remember_shapes("model.id=https://me:open%20sesame@hub.example")
    assert without_known("me:open%20sesame, open%20sesame, open sesame") == "***, ***, ***"


def test_overrides_of_hydra_are_redacted_by_name_and_those_of_a_job_are_not() -> None:
    assert redacted_override("+hydra.job.env_set.DB_PASSWORD=a b") == "+hydra.job.env_set.DB_PASSWORD=***"
    assert redacted_override("hydra.job.env_set={API_KEY: sesame}") == "hydra.job.env_set={API_KEY: ***}"
    assert redacted_override("inputs.items=[{token: Rome}]") == "inputs.items=[{token: Rome}]"


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_credential_across_pieces_of_a_stream_is_not_shown(size: int) -> None:
    remember("sesame-open")
    text = "a sesame-sesame-open, sesame"
    pieces = redaction.Pieces()
    shown = [pieces.add(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(shown) + pieces.rest() == "a sesame-***, sesame"
    assert shown[0] == text[:size] or size > 1


def test_redacted_keys_of_a_mapping_stay_distinct() -> None:
    one, other = f"hf_{MADE_UP}", f"hf_{MADE_UP[::-1]}"
    assert redacted_tree({one: 1, other: 2}) == {"***": 1, "****": 2}


@pytest.mark.parametrize("value", ["/models/of/mine", "~/models", "12345678", "openvino_genai", "Instruct", "short"])
def test_paths_numbers_and_words_in_the_environment_are_not_redacted(value: str) -> None:
    remember_variable("PLACE", value)
    assert without_known(f"x {value} y") == f"x {value} y"


def test_other_values_in_the_environment_become_their_interpolations() -> None:
    remember_variable("OPENAI_API_KEY", "sesame")
    remember_variable("QUESTION", "What is a walrus?")
    assert without_known("sesame: What is a walrus?") == "${oc.env:OPENAI_API_KEY}: ${oc.env:QUESTION}"
    assert redaction.allow_in_path("out/What is a walrus?") and not redaction.allow_in_path("out/sesame")
    assert without_known("What is a walrus?") == "What is a walrus?"


def test_an_error_message_is_not_redacted_as_an_assignment() -> None:
    error = ConfigError([Mistake("model.api_key", "looks bad", "model.api_key=sesame", f"not sk-{MADE_UP}")])
    assert message_of(error) == "model.api_key: looks bad\n    set in model.api_key=***\n    not ***"


def test_a_log_that_native_code_wrote_to_is_redacted_in_place(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(f"a\nkey sk-{MADE_UP}\n\xff api_key=sesame\n".encode("latin-1"))
    with log.open("a") as still_open:
        redact_file(log)
        still_open.write("more\n")
    assert log.read_bytes() == b"a\nkey ***\n\xff api_key=***\nmore\n"


def test_handlers_of_loggers_write_no_credentials(tmp_path: Path) -> None:
    logger = logging.getLogger("hforch.test_redaction")
    handler = logging.FileHandler(tmp_path / "x.log")
    logger.addHandler(handler)
    try:
        redacted_output.redact_logging()
        redacted_output.redact_logging()
        try:
            raise ValueError("https://me:sesame@host")
        except ValueError:
            logger.exception("password=%s", "sesame")
    finally:
        logger.removeHandler(handler)
        handler.close()
    written = (tmp_path / "x.log").read_text()
    assert "sesame" not in written and "password=***" in written and "ValueError: https://***@host" in written


def test_a_credential_is_found_in_any_json_escaping() -> None:
    from hforch.utils.json_text import to_json

    secret = 'pass"word\\ with é\nand more'
    remember(secret)
    for ascii_only in (False, True):
        found = json.loads(to_json({"a": [secret], secret: 1}, ascii_only=ascii_only))
        assert found == {"a": ["***"], "***": 1}


def test_long_text_is_redacted_in_linear_time() -> None:
    for text in ("a" * 200_000, "sk-" * 50_000, "://" + "a:" * 50_000, "eyJ" + "a." * 50_000, "x=" * 50_000):
        redacted_line(text)
