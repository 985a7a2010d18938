"""What can be told of scoring before anything is answered: its text, its k, and the size of what will be kept."""

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
BYTES_A_TOKEN = 8  # its id, and its log-probability
LONGEST_HEAD = 64 * 2**20  # bytes of what the distributions say of themselves
MOST_TOKENS = 2**24  # of a vocabulary


def mistakes(job: Job, vocabulary: int | None, text_tokens: int | None = None) -> Iterator[Mistake]:
    """What cannot be scored.

    Args:
        vocabulary: how many tokens the model has; None as long as that is not known.
        text_tokens: how many the text has.
    """
    kept, text = job.scoring.baseline, job.scoring.text
    if kept and vocabulary is not None and kept.top_k > vocabulary:
        problem = f"is {kept.top_k}, and the model has {vocabulary} tokens"
        yield Mistake("scoring.baseline.top_k", problem, None, f"take at most {vocabulary}; 256 is enough for most")
    if text and text_tokens is not None and text_tokens > text.max_tokens:
        problem = f"is {text.max_tokens}, and the text has {text_tokens} tokens"
        yield Mistake("scoring.text.max_tokens", problem, None, "take a shorter text, or raise it")
    if text and text_tokens is not None and text_tokens < 2:
        problem = "the text has one token, and there is nothing before it to foretell it from"
        yield Mistake("scoring.text.path", problem, None, "take a longer text")


def stored_mb(job: Job, answers: int) -> float | None:
    """What a baseline's distributions will take on disk at most, in MB of a million bytes; None if it keeps none, or
    the length of its answers has no limit.

    Args:
        answers: how many inputs it answers.
    """
    longest = job.generation.max_new_tokens or job.generation.max_length
    if job.scoring.baseline is None or longest is None:
        return None
    return round(answers * longest * job.scoring.baseline.top_k * BYTES_A_TOKEN / 1e6, 1)


def is_scored(record: Mapping[str, Any], job: Job, directory: Path, baseline: Path | None) -> bool:
    """Whether nothing of a job's scores is missing, and they are against the answers that its baseline has now.

    Args:
        directory: the job's own, `baseline` that of the job it is compared with.
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
    """What the distributions in a directory are of.

    Raises:
        OSError, ValueError: there are none.
    """
    path = directory / DISTRIBUTIONS
    with open_file(path) as file:
        if file.readline(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path} holds no distributions")
        about = parse_json(file.readline(LONGEST_HEAD))
        kinds = {"k": int, "vocabulary": int, "tokenizer": str, "of": str}
        whole = isinstance(about, dict) and all(type(about.get(name)) is kind for name, kind in kinds.items())
        if not whole or not 0 < about["k"] <= MOST_TOKENS:
            raise ValueError(f"{path} does not say what its distributions are of")
        return {**about, "start": file.tell()}


def load_text(scoring: TextScoring) -> str:
    """The text that is to be read.

    Raises:
        ConfigError: it cannot be had, or there is nothing in it.
    """
    path = SHIPPED if scoring.path is None else expanded(scoring.path)
    try:
        text = read_text(path, scoring.encoding if scoring.path is not None else "utf-8")
    except LookupError:
        raise ConfigError([Mistake("scoring.text.encoding", f"there is no encoding {scoring.encoding}")]) from None
    except UnicodeDecodeError as error:
        problem = f"{scoring.path} is not {scoring.encoding}: byte {error.start} fits no character"
        hint = "say which encoding it has with scoring.text.encoding"
        raise ConfigError([Mistake("scoring.text.path", problem, None, hint)]) from None
    except UnicodeError as error:
        raise ConfigError([Mistake("scoring.text.encoding", f"{scoring.encoding} reads no text: {error}")]) from None
    except OSError as error:
        problem = f"{scoring.path} cannot be read: {(error.strerror or str(error)).lower()}"
        hint = "a path is taken from the folder in which hforch is started"
        raise ConfigError([Mistake("scoring.text.path", problem, None, hint)]) from None
    if not text.strip():
        raise ConfigError([Mistake("scoring.text.path", f"{scoring.path} has no text in it")])
    return text
