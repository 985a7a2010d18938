"""Bare openvino-genai, as a user would write it."""

from typing import Any


def load(folder: str) -> Any:
    import openvino_genai as genai

    return genai.ContinuousBatchingPipeline(folder, genai.SchedulerConfig(), "CPU", {})


def generate(pipe: Any, prompts: list[str], new_tokens: int) -> list[Any]:
    config = pipe.get_config()
    config.max_new_tokens, config.apply_chat_template = new_tokens, False
    results: list[Any] = pipe.generate(prompts, [config] * len(prompts))
    return results
