"""From a Job to a LangChain LLM, and to a chain: prompt | LLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.runnables import Runnable

from hforch.backends.base import build_llm, load
from hforch.config.compose import job_from_overrides
from hforch.config.schema import Job
from hforch.generation.llm import HforchLLM
from hforch.prompts import build_prompt
from hforch.utils.progress import Progress, Silent


def build_chain(job: Job, llm: HforchLLM) -> Runnable[Any, str]:
    """prompt | LLM."""
    return build_prompt(job.prompt) | llm


def load_llm(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> HforchLLM:
    """Load a model as configured, ready to be put into a LangChain chain.

    Args:
        overrides: as on the command line, such as `"model=gpt2", "backend=openvino"`.
        recipe: a recipe file to start from.
        config_dir: a folder with options of your own.
        progress: whom to tell about downloads and exports; nobody by default.
        fields: fields of LangChain's BaseLLM, such as `callbacks`.

    Raises:
        ConfigError: every mistake of the configuration at once.
        ModelError, BackendError: the weights cannot be had, or not loaded.

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
    """The configured prompt piped into the configured LLM; arguments and errors as for `load_llm`.

    Example:
        chain = load_chain("prompt=chat")
        for piece in chain.stream({"question": "What is electroencephalography?"}):
            print(piece, end="", flush=True)
    """
    job = job_from_overrides(overrides, recipe=recipe, config_dir=config_dir)
    return build_chain(job, build_llm(job, load(job, progress or Silent()), **fields))
