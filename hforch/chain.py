"""Load the model that a configuration describes, as a LangChain LLM or as a chain (prompt | LLM)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.runnables import Runnable

from hforch.auto_prompt import settle
from hforch.backends.base import build_llm, load
from hforch.config.compose import job_from_overrides
from hforch.config.schema import Job
from hforch.generation.llm import HforchLLM
from hforch.prompts import build_prompt
from hforch.utils.progress import Progress, Silent


def build_chain(job: Job, llm: HforchLLM) -> Runnable[Any, str]:
    """Return the job's prompt piped into an LLM."""
    return build_prompt(job.prompt) | llm


def load_llm(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> HforchLLM:
    """Load the model that a configuration describes, as a LangChain LLM.

    Weights are downloaded, converted or exported if they are not in the cache yet.

    Args:
        overrides: configuration overrides as on the command line, such as `"model=gpt2", "backend=openvino"`.
        recipe: a recipe file; the overrides apply on top of it.
        config_dir: a directory with your own options.
        progress: receives the progress of downloads and exports; by default, it is not reported.
        fields: fields of LangChain's BaseLLM, such as `callbacks` or `cache`.

    Returns:
        An LLM with `invoke`, `batch`, `stream` and their async forms. To change generation settings for a call, pass
        them to the call or use `bind`, such as `llm.bind(max_new_tokens=8, stop=["."])`.

    Raises:
        ConfigError: the configuration is invalid; the message lists every error.
        ModelError: the weights are missing or unusable, or cannot be downloaded.
        BackendError: the backend cannot load the model.

    Example:
        llm = load_llm("backend=openvino", "precision=int8", "generation.max_new_tokens=32")
        print(llm.invoke("The capital of France is"))
    """
    job = job_from_overrides(overrides, recipe=recipe, config_dir=config_dir)
    return build_llm(job, load(job, progress or Silent()), **fields)


def load_chain(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Runnable[Any, str]:
    """Load the prompt and the model that a configuration describes, as a LangChain chain (prompt | LLM).

    Takes the same arguments and raises the same errors as `load_llm`.

    Returns:
        A chain that takes the prompt's variables as a dict (or a string for a prompt with one variable) and returns
        the answer as a string.

    Example:
        chain = load_chain("prompt=chat")
        for piece in chain.stream({"question": "What is electroencephalography?"}):
            print(piece, end="", flush=True)
    """
    job = job_from_overrides(overrides, recipe=recipe, config_dir=config_dir)
    loaded = load(job, progress or Silent())
    job = settle(job).job  # the model's files are here now
    return build_chain(job, build_llm(job, loaded, **fields))
