"""Check scoring settings before a run, estimate the size of distributions, and read the header of stored ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hforch.config.schema import Job, TextScoring
from hforch.errors import ConfigError, Mistake
from hforch.records.record_files import DISTRIBUTIONS
from hforch.utils.datafiles import parse_json
from hforch.utils.paths import expanded, open_file, read_text

MAGIC = b"hforch-distributions-1\n"
SHIPPED = Path(__file__).parent / "plain_english.txt"
BYTES_A_TOKEN = 8  # id and log-probability
ENOUGH = 256  # the value of top_k that a hint recommends
LONGEST_HEAD = 64 * 2**20  # maximum size of the header in bytes
MOST_TOKENS = 2**24  # maximum size of a vocabulary


def mistakes(job: Job, vocabulary: int | None, text_tokens: int | None = None) -> Iterator[Mistake]:
    """Yield errors in the scoring settings.

    Args:
        vocabulary: the vocabulary size of the model; None if unknown.
        text_tokens: the number of tokens of the text; None if unknown.
    """
    kept, text = job.scoring.baseline, job.scoring.text
    if kept and vocabulary is not None and kept.top_k > vocabulary:
        problem = f"must be at most {vocabulary}, the model's vocabulary size; got {kept.top_k}"
        hint = f"{ENOUGH} is enough for most models" if vocabulary > ENOUGH else None
        yield Mistake("scoring.baseline.top_k", problem, None, hint)
    if text and text_tokens is not None and text_tokens < 2:
        problem = "the text has only one token; scoring needs at least two"
        yield Mistake("scoring.text.path", problem, None, "use a longer text")


def stored_mb(job: Job, answers: int) -> float | None:
    """Return the maximum size of a baseline's distributions on disk, in MB (10^6 bytes).

    Return None if it stores none, or if the length of its answers is not limited.

    Args:
        answers: the number of inputs.
    """
    longest = job.generation.max_new_tokens or job.generation.max_length
    if job.scoring.baseline is None or longest is None:
        return None
    return round(answers * longest * job.scoring.baseline.top_k * BYTES_A_TOKEN / 1e6, 1)


def is_scored(record: Mapping[str, Any], job: Job, directory: Path, baseline: Path | None) -> bool:
    """Return whether a job's scores are complete and were computed from its baseline's current answers.

    Args:
        baseline: the directory of the baseline job; None without one.
    """
    if not job.scoring.is_requested:
        return True
    scores = record.get("scores")
    if not isinstance(scores, Mapping) or not scores.get("whole"):
        return False
    if job.scoring.baseline is None or baseline is None:
        return True
    try:
        kept = describe_stored(baseline).get("of")
    except (OSError, ValueError):
        return False
    return kept is not None and (scores.get("against_baseline") or {}).get("of") == kept


def describe_stored(directory: Path) -> dict[str, Any]:
    """Return the header of the distributions in a directory, and the offset of their data.

    Raises:
        OSError, ValueError: the file cannot be read, or its header is invalid.
    """
    path = directory / DISTRIBUTIONS
    with open_file(path) as file:
        if file.readline(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path} is not a distributions file")
        about = parse_json(file.readline(LONGEST_HEAD))
        kinds = {"k": int, "vocabulary": int, "tokenizer": str, "of": str}
        whole = isinstance(about, dict) and all(type(about.get(name)) is kind for name, kind in kinds.items())
        if not whole or not 0 < about["k"] <= MOST_TOKENS:
            raise ValueError(f"{path} has an invalid header")
        return {**about, "start": file.tell()}


def load_text(scoring: TextScoring) -> str:
    """Return the text to score.

    Raises:
        ConfigError: the text cannot be read or decoded, or is empty.
    """
    path = SHIPPED if scoring.path is None else expanded(scoring.path)
    try:
        text = read_text(path, scoring.encoding if scoring.path is not None else "utf-8")
    except LookupError:
        raise ConfigError([Mistake("scoring.text.encoding", f"unknown encoding '{scoring.encoding}'")]) from None
    except UnicodeDecodeError as error:
        problem = f"{scoring.path} is not valid {scoring.encoding}: invalid byte at offset {error.start}"
        hint = "set its encoding with scoring.text.encoding"
        raise ConfigError([Mistake("scoring.text.path", problem, None, hint)]) from None
    except UnicodeError as error:
        raise ConfigError(
            [Mistake("scoring.text.encoding", f"{scoring.encoding} cannot decode text: {error}")]
        ) from None
    except OSError as error:
        problem = f"cannot read {scoring.path}: {(error.strerror or str(error)).lower()}"
        hint = "a relative path is relative to the current directory, or to the recipe that sets it"
        raise ConfigError([Mistake("scoring.text.path", problem, None, hint)]) from None
    if not text.strip():
        raise ConfigError([Mistake("scoring.text.path", f"{scoring.path} is empty")])
    return text
