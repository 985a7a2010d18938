"""A model's tokenizer and chat template read from its files, without transformers, whose import takes seconds.

`tokenizer.json` holds all of what a fast tokenizer of transformers does; the chat template is Jinja, rendered in the
same sandbox and with the same few additions that transformers gives it
(https://huggingface.co/docs/transformers/chat_templating).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from hforch.backends.completion import Vocabulary
from hforch.backends.engine import RenderedChat
from hforch.errors import ModelError, PromptError

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class FileTokenizer:
    """The tokenizer in a folder that holds tokenizer.json.

    Attributes:
        named: the special tokens with a role, such as {"bos_token": "<s>"}.

    Raises:
        ModelError: the files cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._config = read_json(folder / "tokenizer_config.json")
            self._template = _template(folder, self._config)
        except Exception as error:  # the Rust library raises nothing narrower
            raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.named = {name: text for name in NAMED if (text := _content(self._config.get(name))) is not None}

    def encode(self, prompt: str) -> list[int]:
        """Prompt text to ids; what a chat template has rendered, or brings its own BOS, gets no second one."""
        rendered = isinstance(prompt, RenderedChat)
        ids: list[int] = self._tokenizer.encode(str(prompt), add_special_tokens=not rendered).ids
        bos = self.id_of("bos_token")
        return ids[1:] if bos is not None and ids[:2] == [bos, bos] and not rendered else ids

    def id_of(self, name: str) -> int | None:
        """The id of a special token by its role, such as `eos_token`."""
        text = self.named.get(name)
        return None if text is None else self._tokenizer.token_to_id(text)

    def vocabulary(self, eos: Sequence[int]) -> Vocabulary:
        added = self._tokenizer.get_added_tokens_decoder()
        special = {number: token.content for number, token in added.items() if token.special}
        for text in self.named.values():
            if (number := self._tokenizer.token_to_id(text)) is not None:
                special[number] = text
        return Vocabulary(self._decode, special, tuple(eos))

    def render(self, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]) -> RenderedChat:
        """Messages ({role, content}) as a prompt; a last message of the assistant is left open, to be continued.

        Raises:
            PromptError: the model has no chat template, or the template refuses these messages.
        """
        if not self._template:
            raise PromptError(
                "this model has no chat template, so it takes no chat messages; use prompt=step_by_step or prompt=raw,"
                " or a PromptTemplate instead of a ChatPromptTemplate"
            )
        from jinja2 import TemplateError

        continues = bool(messages) and messages[-1]["role"] == "assistant"
        given = {"tools": None, "documents": None, **self.named, **kwargs}
        given |= {"messages": list(messages), "add_generation_prompt": not continues}
        try:
            text = self._compiled(self._template).render(**given)
            return RenderedChat(_left_open(text, messages[-1]["content"]) if continues else text)
        except (TemplateError, TypeError, ValueError) as error:
            raise PromptError(f"the model's chat template refuses these messages: {error}") from error

    @staticmethod
    @lru_cache(maxsize=4)
    def _compiled(template: str) -> Any:
        from jinja2 import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def raise_exception(message: str) -> None:
            raise TemplateError(message)

        def tojson(value: Any, indent: int | None = None, ensure_ascii: bool = False, **more: Any) -> str:
            return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **more)  # Jinja's own escapes HTML

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation_blocks()]
        )
        environment.filters["tojson"] = tojson
        environment.globals["raise_exception"] = raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        return environment.from_string(template)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))


def _generation_blocks() -> type:
    """`{% generation %}`, with which templates mark what an assistant says, renders what is in it."""
    from jinja2.ext import Extension

    class GenerationBlocks(Extension):
        tags: ClassVar[set[str]] = {"generation"}  # type: ignore[misc]

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return GenerationBlocks


def _left_open(text: str, content: str) -> str:
    """The text up to the end of the last message's content, which templates may have stripped."""
    bare = content.strip()
    at = text.rfind(bare)
    if at < 0:
        raise ValueError("the last message cannot be continued, for the template changes its text")
    whole = content.lstrip()
    return text[: at + len(whole)] if text[at : at + len(whole)] == whole else text[: at + len(bare)]


def _template(folder: Path, config: Mapping[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        found = {one["name"]: one["template"] for one in found}.get("default")
    return found


def _content(token: Any) -> str | None:
    """A special token is written as its text, or as an object that has it."""
    return token.get("content") if isinstance(token, Mapping) else token


def read_json(file: Path) -> dict[str, Any]:
    """What a file of a checkpoint says; nothing where it is not there."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
