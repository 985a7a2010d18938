"""Load the model that a configuration describes, as a LangChain LLM or as a chain (prompt | LLM)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack, cast

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableSequence

from hforch.auto_prompt import settle
from hforch.backends.base import build_llm
from hforch.backends.shared_models import lease_model
from hforch.config.compose import Composed, compose
from hforch.config.keywords import Setting, overrides_of, refuse_unknown
from hforch.config.schema import ChatPrompt, Job
from hforch.generation.llm import HforchLLM
from hforch.generation.llm_fields import LLMFields, check_fields
from hforch.prompts import build_prompt
from hforch.utils.progress import Progress
from hforch.utils.progress_bar import progress_of

OF_RUNS = {
    "inputs": ("inputs=file", "inputs.path=unused.jsonl"),
    "checks": ("checks=none",),
    "scoring": ("scoring=none",),
}
"""Overrides for groups that affect only runs, so that no input, check or score restricts the prompt or backend."""


def build_chain(job: Job, llm: HforchLLM) -> RunnableSequence[Any, str]:
    """Return the job's prompt piped into an LLM."""
    return RunnableSequence(build_prompt(job.prompt), llm)


def load_llm(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progress | bool | None = None,
    model: Setting | Path = None,
    backend: Setting = None,
    device: Setting = None,
    precision: Setting = None,
    ov_config: Setting = None,
    prompt: Setting = None,
    generation: Setting = None,
    stop: Setting | Sequence[str] = None,
    runtime: Setting = None,
    **fields: Unpack[LLMFields],
) -> HforchLLM:
    """Load the model that a configuration describes, as a LangChain LLM.

    Weights are downloaded, converted or exported if they are not in the cache yet. LLMs that load the same model with
    the same settings share it; `close`, or `with load_llm(...) as llm:`, frees it when no other LLM uses it.

    The LLM sends text to the model unchanged, unless the arguments or the recipe set a chat prompt: `prompt="chat"`, or
    `prompt="auto"` if the model has a chat template. Then text is the value of the prompt's variable and is rendered
    with the chat template, as in a run. Other prompts apply only in `load_chain`.

    Each group of the configuration is a keyword argument: the name of an option, such as `backend="openvino"`, or a
    dict of values, such as `generation={"max_new_tokens": 32}`. Keyword arguments take precedence over `overrides`, and
    their strings are literal: `${...}` is not interpolated.

    Args:
        overrides: configuration overrides as on the command line, such as `"model=gpt2", "backend=openvino"`.
        recipe: a recipe file; all other arguments apply on top of it.
        config_dir: a directory with your own options.
        progress: whether to show bars while the model is downloaded, converted, exported and loaded; None: only in
            notebooks. A `hforch.utils.progress.Progress` receives the progress instead.
        model: the source of the weights; a pathlib.Path is a local directory.
        backend: the inference library.
        device: where the model runs, such as `"gpu"` or `"cuda:1"`.
        precision: the weight and compute precision.
        ov_config: an option, or OpenVINO properties.
        prompt: an option or values; only a chat prompt affects the LLM.
        generation: an option, or generation settings.
        stop: a list of stop sequences, or the name of an option.
        runtime: batch size, seed, threads.
        fields: fields of LangChain's BaseLLM, such as `callbacks` or `cache`, and of HforchLLM, such as `seed`.

    Returns:
        An LLM with `invoke`, `batch`, `stream` and their async forms. To change generation settings for a call, pass
        them to the call or use `bind`, such as `llm.bind(max_new_tokens=8, stop=["."])`.

    Raises:
        UnknownArgument: the name of a keyword argument is unknown, or the value of a field is invalid.
        ConfigError: the configuration is invalid; the message lists every error.
        ModelError: the weights are missing or unusable, or cannot be downloaded.
        BackendError: the backend cannot load the model.

    Example:
        llm = load_llm(backend="openvino", precision="int8", generation={"max_new_tokens": 32})
        print(llm.invoke("The capital of France is"))
    """
    given = locals()
    composed = _composed(given)
    llm = _loaded(composed.job, given)
    if composed.sources.is_set("prompt") and isinstance(own := settle(composed.job).job.prompt, ChatPrompt):
        llm.chat_prompt = cast(ChatPromptTemplate, build_prompt(own))
    return llm


def load_chain(
    *overrides: str,
    recipe: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progress | bool | None = None,
    model: Setting | Path = None,
    backend: Setting = None,
    device: Setting = None,
    precision: Setting = None,
    ov_config: Setting = None,
    prompt: Setting = None,
    generation: Setting = None,
    stop: Setting | Sequence[str] = None,
    runtime: Setting = None,
    **fields: Unpack[LLMFields],
) -> RunnableSequence[Any, str]:
    """Load the prompt and the model that a configuration describes, as a LangChain chain (prompt | LLM).

    Takes the same arguments and raises the same errors as `load_llm`.

    Returns:
        A chain that takes the prompt's variables as a dict (or a string for a prompt with one variable) and returns
        the answer as a string. A call raises PromptError if a variable is missing. `chain.last` is the LLM.

    Example:
        chain = load_chain(prompt="chat")
        for piece in chain.stream({"question": "What is electroencephalography?"}):
            print(piece, end="", flush=True)
    """
    given = locals()
    job = _composed(given).job
    llm = _loaded(job, given)
    return build_chain(settle(job).job, llm)  # the model's files are here now


def _composed(given: Mapping[str, Any]) -> Composed:
    """Return the job that the arguments of `load_llm` describe; nothing is loaded.

    Raises:
        UnknownArgument: the name of a keyword argument is unknown, or the value of a field is invalid.
        ConfigError: the configuration is invalid.
    """
    known = given.keys() - {"overrides", "fields"} | LLMFields.__annotations__.keys()
    refuse_unknown(given["fields"], sorted(known))
    check_fields(given["fields"])
    overrides = overrides_of(given["overrides"], given)
    own = {re.split(r"[.=@]", text.lstrip("+~"), maxsplit=1)[0] for text in overrides}
    unused = [text for group, texts in OF_RUNS.items() if group not in own for text in texts]
    overrides = [*unused, *overrides]
    return compose(overrides, recipe=given["recipe"], config_dir=given["config_dir"])


def _loaded(job: Job, given: Mapping[str, Any]) -> HforchLLM:
    """Load the model of a job, or share a loaded one; return its LLM with the fields in the arguments of `load_llm`."""
    fields = dict(given["fields"])
    arguments = fields.pop("pipeline_kwargs", None) or {}
    progress = progress_of(given["progress"])
    with progress.stage("load", job.model.label):
        loaded, lease = lease_model(job, progress)
    return build_llm(job, loaded, lease=lease, **fields).with_arguments(**arguments)
