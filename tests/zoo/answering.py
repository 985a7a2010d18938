"""Answer the prompts with one backend, as a job with exact settings does: alone, in one batch, and streamed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .building import NEW_TOKENS
from .texts import PROMPTS

STREAMED = (0, len(PROMPTS) - 1)


@dataclass
class Answers:
    """What a backend did with a model.

    Attributes:
        refused: the message with which hforch refused to load the model.
        failed: the error of loading or generating, with its type.
        prompt_ids: token ids of the prompts.
        alone, batch: token ids of the answers.
        alone_texts, batch_texts: their texts.
        streams: texts of the streamed answers, to the prompts STREAMED.
    """

    refused: str = ""
    failed: str = ""
    prompt_ids: list[list[int]] = field(default_factory=list)
    alone: list[list[int]] = field(default_factory=list)
    batch: list[list[int]] = field(default_factory=list)
    alone_texts: list[str] = field(default_factory=list)
    batch_texts: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)


def answer(folder: Path, backend: str) -> Answers:
    """Return the answers of a backend, or its error."""
    from hforch import load_llm
    from hforch.errors import HforchError

    found = Answers()
    settings = ("precision=fp32", "ov_config=accuracy", "prompt=raw", f"generation.max_new_tokens={NEW_TOKENS}")
    try:
        llm = load_llm(
            "model=local",
            f"model.path={folder}",
            f"backend={backend}",
            *settings,
            f"runtime.batch_size={len(PROMPTS)}",
            "runtime.threads=1",  # the process is pinned to one core
        )
    except HforchError as error:
        found.refused = str(error)
        return found
    except Exception as error:
        found.failed = f"loading: {type(error).__name__}: {error}"
        return found
    try:
        found.prompt_ids = [llm.get_token_ids(prompt) for prompt in PROMPTS]
        alone = [llm.generate([prompt]).generations[0][0] for prompt in PROMPTS]
        found.alone, found.alone_texts = _ids(alone), [one.text for one in alone]
        batch = [one for (one,) in llm.generate(list(PROMPTS)).generations]
        found.batch, found.batch_texts = _ids(batch), [one.text for one in batch]
        found.streams = ["".join(llm.stream(PROMPTS[place])) for place in STREAMED]
    except Exception as error:
        found.failed = f"generating: {type(error).__name__}: {error}"
    finally:
        llm.close()
    return found


def _ids(generations: list[Any]) -> list[list[int]]:
    return [list(one.generation_info["output_ids"]) for one in generations]


def save(answers: Answers, file: Path) -> None:
    file.write_text(json.dumps(asdict(answers)), encoding="utf-8")


def read(file: Path) -> Answers:
    return Answers(**json.loads(file.read_text(encoding="utf-8")))
