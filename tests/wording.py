"""Check that code, docs and pages avoid the words of wording.toml: `python tests/wording.py [PATH ...]`.

Prose is docstrings, comments and string literals of several words in Python; all text but code blocks and code spans in
Markdown; comments in YAML and the Makefile; comments and literals of several words in pages. Of tests it is docstrings,
comments and the names of test functions; their literals are data. A function's docstring starts with an imperative,
unless the function is a property. The comment `# wording: ok` exempts its line.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PLACES = ("hforch", "tests", "bench", "conf", "recipes", "docs", *DOCUMENTS, "Makefile")
EXEMPT = "wording: ok"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTION)
PROPERTIES = {"property", "cached_property", "setter"}
NO_VERB = re.compile(
    r"(what|whether|how|which|where|when|why|who|whose|the|an?|all|every|each|as|of|for|from|by|one|those|that|if|such"
    r"|without|any|another|some|how|only|\W.*)$",
    re.IGNORECASE,
)
SPAN = re.compile(r"``.*?``|`[^`]*`")
FENCE = re.compile(r"^(```|~~~|    )")
QUOTED = re.compile(r'"([^"\n]*)"|`([^`\n]*)`|//(.*)|/?\*(.*)|>([^<>{}]*)<')
"""In scripts and pages: a literal of several words, a comment, the text of an element."""


@dataclass(frozen=True)
class Word:
    """An entry of wording.toml."""

    find: re.Pattern[str]
    use: str
    unless: re.Pattern[str] | None

    def in_text(self, text: str) -> str | None:
        """Return the first occurrence that is not an exception, or None."""
        if self.unless:
            text = self.unless.sub(" ", text)
        match = self.find.search(text)
        return match[0].strip() if match else None


def words() -> list[Word]:
    """Read the word list."""
    entries = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["word"]
    return [
        Word(
            re.compile(rf"\b(?:{entry['find']})\b" if entry["find"][-1] != ")" else rf"\b(?:{entry['find']})", re.I),
            entry["use"],
            re.compile(rf"\b(?:{entry['except']})", re.I) if "except" in entry else None,
        )
        for entry in entries
    ]


def python_prose(source: str, is_test: bool) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and texts of docstrings, comments, and literals (of tests: test names instead)."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr)
    } | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings and (is_test or len(node.value.split()) < 2):
                continue
            for number, line in enumerate(node.value.splitlines()):
                yield node.lineno + number, line
        elif is_test and isinstance(node, FUNCTION) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def markdown_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and texts of Markdown outside code blocks and code spans."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not (fenced or FENCE.match(line)):
            yield number, line


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and texts of comments that start with #."""
    for number, line in enumerate(source.splitlines(), 1):
        if (at := line.find("# ")) >= 0:
            yield number, line[at:]


def page_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and texts of comments, elements and literals of several words."""
    for number, line in enumerate(source.splitlines(), 1):
        for match in QUOTED.finditer(line):
            text = next(filter(None, match.groups()), "")
            if len(text.split()) > 1:
                yield number, text


def prose(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and texts of the prose in a file."""
    match path.suffix:
        case ".py":
            yield from python_prose(source, "tests" in path.parts)
        case ".md":
            yield from markdown_prose(source)
        case ".html" | ".js" | ".css" | ".j2":
            yield from page_prose(source)
        case _:
            yield from comments(source)


def without_verb(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and first word of docstrings of functions (except properties) that lack an imperative."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, FUNCTION) or not (docstring := ast.get_docstring(node)):
            continue
        names = {part for one in node.decorator_list for part in re.split(r"\W+", ast.unparse(one))}
        first = docstring.split()[0]
        if not names & PROPERTIES and NO_VERB.match(first):
            yield node.lineno, first


def findings(path: Path, known: Sequence[Word]) -> Iterator[str]:
    """Yield a line for each word to avoid in a file."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    for number, text in sorted(prose(path, source)):
        if number <= len(lines) and EXEMPT in lines[number - 1]:
            continue
        for word in known:
            if found := word.in_text(SPAN.sub(" ", text)):
                yield f"{name}:{number}: '{found}': use {word.use}"
    if path.suffix == ".py" and "tests" not in path.parts:
        for number, first in without_verb(source):
            yield f"{name}:{number}: the docstring starts with '{first}': start with a verb, such as Return"


def files(places: Sequence[str]) -> Iterator[Path]:
    """Yield the files to check in some places."""
    for place in places:
        path = ROOT / place
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (
            one
            for one in found
            if one.suffix in (".py", ".md", ".yaml", ".html", ".js", ".css", ".j2") or one.name == "Makefile"
        )


def main(places: Sequence[str]) -> int:
    """Print what is found, and return the exit code."""
    known = words()
    found = [line for path in files(places or PLACES) for line in findings(path, known)]
    print("\n".join(found) if found else "wording: no words to avoid")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
