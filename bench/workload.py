"""The workload of all contestants: 64 short chat prompts, and 16 long ones of about 1,000 tokens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from hforch.generation.file_tokenizer import FileTokenizer

CHAT_TOKENS, LONG_TOKENS, LONG_PROMPT = 128, 32, 1000
LONG_PROMPTS = 16
WORKLOADS = {"chat": CHAT_TOKENS, "long": LONG_TOKENS}
"""The maximum number of new tokens of each workload."""

SUMMARISE = "Sum it up in one sentence."
SKIES = ("clear", "cloudy", "overcast", "foggy", "bright", "hazy")
EVENTS = (
    *("the pump was cleaned", "two filters were replaced", "the boat brought supplies", "a sensor was calibrated"),
    *("the generator ran all night", "the roof was inspected"),
    *("nobody came ashore", "the radio failed for an hour"),  # wording: ok
)


def prompts(name: str, folder: Path) -> list[str]:
    """Return the prompts of a workload, rendered by the model's chat template.

    Args:
        name: chat or long.
        folder: the directory of the tokenizer.
    """
    tokenizer = FileTokenizer(folder)
    texts = _questions() if name == "chat" else [_log(number, tokenizer) for number in range(LONG_PROMPTS)]
    return [str(tokenizer.render([{"role": "user", "content": text}], {})) for text in texts]


def _questions() -> list[str]:
    return (Path(__file__).parent / "workloads" / "chat.txt").read_text(encoding="utf-8").splitlines()


def _log(number: int, tokenizer: Any) -> str:
    """Return the log of a weather station of about 1,000 tokens, and a request to summarize it."""
    draw = random.Random(number)
    lines = [f"Log of station {number + 1}. {SUMMARISE}"]
    while len(tokenizer.encode("\n".join(lines))) < LONG_PROMPT - 40:
        day, degrees, wind = len(lines), draw.randint(-9, 31), draw.randint(0, 24)
        sky, event = draw.choice(SKIES), draw.choice(EVENTS)
        lines.append(f"Day {day}: {sky}, {degrees} degrees, wind {wind} metres a second; {event}.")
    return "\n".join(lines)
