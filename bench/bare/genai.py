"""openvino-genai with nothing around it: what a user of it would write."""

from typing import Any


def load(folder: str, max_num_seqs: int = 16) -> Any:
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = max_num_seqs
    return genai.ContinuousBatchingPipeline(folder, scheduler, "CPU", {})


def generate(pipe: Any, prompts: list[str], new_tokens: int) -> list[Any]:
    config = pipe.get_config()
    config.max_new_tokens, config.apply_chat_template = new_tokens, False
    results: list[Any] = pipe.generate(prompts, [config] * len(prompts))
    return results
