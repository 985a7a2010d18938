"""Load a model's tokenizer and chat template from its files, without importing transformers, which takes seconds.

`tokenizer.json` completely describes a fast tokenizer; the chat template is Jinja (`chat_templates.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.generation.chat_templates import render, select
from hforch.generation.completion import Vocabulary
from hforch.generation.engine import RenderedChat
from hforch.models.chat_template import templates_in
from hforch.models.json_files import read_object
from hforch.models.tokenizers import open_tokenizer, tokenizing

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class FileTokenizer:
    """The tokenizer and chat template in a directory with tokenizer.json.

    Attributes:
        named: special tokens by role, such as {"bos_token": "<s>"}.

    Raises:
        ModelError: a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = open_tokenizer(folder / "tokenizer.json")
        self._config = read_json(folder / "tokenizer_config.json")
        self._templates = templates_in(folder, self._config)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.named = {name: text for name in NAMED if (text := _content(self._config.get(name))) is not None}

    def encode(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt; no BOS is added to a rendered chat or to text that starts with one."""
        rendered = isinstance(prompt, RenderedChat)
        with tokenizing():
            ids: list[int] = self._tokenizer.encode(str(prompt), add_special_tokens=not rendered).ids
        bos = self.id_of("bos_token")
        return ids[1:] if bos is not None and ids[:2] == [bos, bos] and not rendered else ids

    def id_of(self, name: str) -> int | None:
        """Return the id of a special token by its role, such as `eos_token`; None if the model has no such token."""
        text = self.named.get(name)
        return None if text is None else self._tokenizer.token_to_id(text)

    def vocabulary(self, eos: Sequence[int]) -> Vocabulary:
        added = self._tokenizer.get_added_tokens_decoder()
        special = {number: token.content for number, token in added.items() if token.special}
        for text in self.named.values():
            if (number := self._tokenizer.token_to_id(text)) is not None:
                special[number] = text
        return Vocabulary(self._decode, special, tuple(eos))

    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        """Render messages ({role, content, ...}) as a prompt.

        If the last message is from the assistant, the model continues it.

        Raises:
            PromptError: the model has no chat template, or the template rejects the messages.
        """
        return render(select(self._templates, kwargs), messages, {**self.named, **kwargs})

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))


def _content(token: Any) -> str | None:
    """Return the text of a special token, which is stored as a string or as an object with `content`."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None


def read_json(file: Path) -> dict[str, Any]:
    """Return the contents of a JSON file of a checkpoint; empty if the file does not exist."""
    return read_object(file) if file.is_file() else {}
