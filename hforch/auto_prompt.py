"""Replace `prompt=auto` by the prompt that suits the model: chat messages, or the question alone.

A job is settled when it is planned. If the model's files are not on this machine yet, it is settled when they are:
after the download, before anything is generated. Until then, it counts as a chat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from hforch.backends.base import capabilities
from hforch.config.prompt_columns import DEFAULT
from hforch.config.schema import AutoPrompt, ChatPrompt, Job, MessagesPrompt, RawPrompt
from hforch.errors import Mistake, PromptError
from hforch.generation.chat_templates import select
from hforch.models.chat_template import known_templates


@dataclass(frozen=True)
class Settled:
    """A job after its prompt was settled.

    Attributes:
        job: the job; its prompt is still an AutoPrompt if the model's files are not on this machine.
        option: the option that prompt=auto stands for; None if it is unknown, or the job does not use prompt=auto.
        remarks: warnings about settings without effect.
    """

    job: Job
    option: Literal["chat", "question"] | None = None
    remarks: list[Mistake] = field(default_factory=list)


def settle(job: Job, before: Mapping[str, Any] | None = None) -> Settled:
    """Return a job with the prompt that `prompt=auto` stands for; unchanged if it has another prompt.

    Args:
        before: the record of the job if it is resumed; it has the prompt if the model's files are no longer here.
    """
    auto = job.prompt
    if not isinstance(auto, AutoPrompt):
        return Settled(job)
    has_template = _has_template(job, auto)
    if has_template is None:
        has_template = _had_template(before or {})
    if has_template is None:
        return Settled(job)
    if has_template:
        chat = ChatPrompt(kind="chat", **auto.model_dump(include=set(MessagesPrompt.model_fields)))
        return Settled(_with_prompt(job, chat), "chat")
    question = RawPrompt(kind="raw", column=auto.column or DEFAULT, echo=auto.echo)
    return Settled(_with_prompt(job, question), "question", _without_effect(job, auto))


def settle_all(jobs: Sequence[Job]) -> list[Settled]:
    """Settle the prompts of jobs; the files of each model are read once."""
    known: dict[str, Settled] = {}

    def settled(job: Job) -> Settled:
        if not is_open(job):
            return Settled(job)
        key = job.model_dump_json(include={"model", "backend", "prompt"})
        if key not in known:
            known[key] = settle(job)
        return replace(known[key], job=job.model_copy(update={"prompt": known[key].job.prompt}))

    return [settled(job) for job in jobs]


def settled_option(job: Job) -> Literal["chat", "question"] | None:
    """Return the option that prompt=auto stands for in a job that was settled; None if it was not."""
    kinds: dict[type, Literal["chat", "question"]] = {ChatPrompt: "chat", RawPrompt: "question"}
    return kinds.get(type(job.prompt))


def is_open(job: Job) -> bool:
    """Return whether a job's prompt is not settled."""
    return isinstance(job.prompt, AutoPrompt)


def settled_as(recorded: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """Return a recorded job that was not settled when it was recorded as it would be now; others unchanged.

    Args:
        recorded: the values of the job.
        job: the same job as it is now, whose model is used.
    """
    try:
        prompt = AutoPrompt.model_validate(recorded.get("prompt"))
    except ValidationError:
        return dict(recorded)
    found = settle(job.model_copy(update={"prompt": prompt})).job.prompt
    return {**recorded, "prompt": found.model_dump(mode="json")}


def _with_prompt(job: Job, prompt: ChatPrompt | RawPrompt) -> Job:
    return job.model_copy(update={"prompt": prompt})


def _has_template(job: Job, prompt: AutoPrompt) -> bool | None:
    """Return whether a job's model accepts chat messages; None if its files are not on this machine."""
    able = capabilities(job)
    if able.formats_chat is not None:
        return able.formats_chat
    if "tokenizer" in able.lacks:
        return False
    templates = known_templates(job.model)
    if templates is None:
        return None
    try:
        select(templates, prompt.chat_template_kwargs)
    except PromptError:
        return False
    return True


def _had_template(record: Mapping[str, Any]) -> bool | None:
    """Return whether the model of a recorded job had a chat template; None if the record does not state it."""
    option = record.get("auto_prompt")
    return None if option is None else option == "chat"


def _without_effect(job: Job, prompt: AutoPrompt) -> list[Mistake]:
    """Return warnings about settings for chat messages, of which a model without a chat template gets none."""
    given = {"system": prompt.system, "chat_template_kwargs": prompt.chat_template_kwargs}
    problem = f"has no effect: {job.model.label} has no chat template"
    hint = "use a model with a chat template, or write a template: prompt=step_by_step prompt.template=TEXT"
    return [Mistake(f"prompt.{key}", problem, None, hint) for key, value in given.items() if value]
