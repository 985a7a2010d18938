"""hforch ask QUESTION: answer one question, with only the answer on stdout and without a run directory."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.commands._parser import CommandParser
from hforch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from hforch.report.answer_watcher import AnswerWatcher

EXAMPLE = """\
Only the answer is printed on stdout (a terminal shows it while it is generated); progress, warnings and errors are
printed on stderr. Nothing is recorded. Exit codes are those of a run: 0 success; 1 failure; 2 an error in the
configuration or usage; 130 interrupted.

examples:
  hforch ask "What is the capital of France?"
  hforch ask "What is the capital of France?" model=gpt2 backend=openvino prompt=question
  hforch ask "Write a haiku." generation=sample generation.max_new_tokens=48
  echo "What is electroencephalography?" | hforch ask - --json
"""


def main(argv: list[str]) -> int:
    parser = CommandParser("ask", "Answer one question.", EXAMPLE)
    parser.add_argument(
        "words",
        metavar="QUESTION",
        nargs="+",
        help="the question, or - to read it from standard input; other arguments are overrides, key=value",
    )
    parser.add_argument("--config-dir", metavar="CONFIG_DIR", type=Path, help="a directory with custom options")
    parser.add_argument("--config-name", metavar="NAME", help="the primary config (default: config)")
    parser.add_argument(
        "--json", action="store_true", help="print the answer, finish reason, usage and timings as JSON"
    )
    args = parser.parse_intermixed_args(argv)
    question, overrides = split(args.words)
    if question == "-":
        question = _from_stdin()
    if not question.strip():
        raise ConfigError([Mistake("", "the question is empty", hint=_USAGE)])
    from hforch.app.asking import ask
    from hforch.app.hydra_app import use_project
    from hforch.config.credentials import remember_typed
    from hforch.report.answer_watcher import AnswerWatcher
    from hforch.report.display import open_watcher

    use_project(args)
    for override in overrides:
        remember_typed(override)
    watcher = AnswerWatcher(open_watcher("auto", sys.stderr), silent=args.json)
    code = ask(question, overrides, args.config_dir, args.config_name, watcher)
    if args.json:
        from hforch.utils.json_text import to_json
        from hforch.utils.sanitize import for_json

        print(for_json(to_json(_values(question, watcher), indent=2)))
    return code


_USAGE = 'hforch ask "QUESTION" [key=value ...]'


def split(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the question, the first word that is not an override of a known group, and the other words.

    Raises:
        ConfigError: there is no question, or it is followed by other words without `=`. Such words after an override
            are probably part of it, so they are returned with the overrides.
    """
    from hforch.config.keys import groups

    def is_override(word: str) -> bool:
        key, sign, _ = word.lstrip("+~").partition("=")
        return bool(sign) and key.replace("/", ".").replace("@", ".").partition(".")[0] in (*groups(), "hydra")

    at = next((at for at, word in enumerate(words) if not is_override(word)), None)
    if at is None:
        raise ConfigError([Mistake("", "hforch ask requires a question", hint=_USAGE)])
    others = [*words[:at], *words[at + 1 :]]
    after = itertools.takewhile(lambda word: not is_override(word), words[at + 1 :])
    if plain := [word for word in after if "=" not in word and not word.startswith("~")]:
        problem = f"unexpected words: {' '.join(plain)}"
        raise ConfigError([Mistake("", problem, hint=f"quote the question: {_USAGE}")])
    return words[at], others


def _from_stdin() -> str:
    try:
        return sys.stdin.read().strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError([Mistake("", f"cannot read the question from standard input: {error}")]) from error


def _values(question: str, watcher: AnswerWatcher) -> dict[str, Any]:
    """Return the answer with its finish reason, usage and timings, as JSON-compatible values."""
    sample: Mapping[str, Any] = watcher.answered or {}
    prompt, output = sample.get("prompt_tokens"), sample.get("output_tokens")
    is_known = prompt is not None and output is not None
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    usage = dict(zip(names, (prompt, output, prompt + output), strict=True)) if is_known else None  # type: ignore[operator]
    error = watcher.error or {}
    return {
        "question": question,
        "prompt": sample.get("prompt"),
        "answer": sample.get("text"),
        "finish_reason": sample.get("finish_reason"),
        "usage": usage,
        "timings": {
            **{f"{name}": value for name, value in (sample.get("timings") or {}).items()},
            **(watcher.record.get("timings") or {}),
        },
        "error": {name: error[name] for name in ("type", "message") if name in error} or None,
    }
