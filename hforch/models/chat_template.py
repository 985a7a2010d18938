"""Find the chat templates of a model in its files; `generation/chat_templates.py` renders them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hforch.config.models.base import ModelSource
from hforch.models.folder import survey
from hforch.models.gguf_header import check_header
from hforch.models.json_files import read_object
from hforch.models.model_json import read_template
from hforch.models.sources import local_files

DEFAULT = "default"
CONFIG = "tokenizer_config.json"


def templates_in(folder: Path, config: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the chat templates in a model's directory by name; those in files take precedence, as in transformers.

    Args:
        config: the contents of tokenizer_config.json; None: they are read.

    Raises:
        OSError, ModelError: a file cannot be read.
    """
    found = {file.stem: read_template(file) for file in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
    if (file := folder / "chat_template.jinja").is_file():
        found[DEFAULT] = read_template(file)
    if found:
        return found
    if config is None:
        config = read_object(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    named = config.get("chat_template")
    if isinstance(named, list):
        return {one["name"]: one["template"] for one in named}
    return {DEFAULT: named} if isinstance(named, str) and named else {}


def known_templates(model: ModelSource) -> dict[str, str] | None:
    """Return the chat templates of a model by name; None if its files are not on this machine, or cannot be read."""
    try:
        files = local_files(model)
        if files.folder is not None:
            found = templates_in(files.folder)
            if not found:  # a partial download may lack the file with the template
                survey(files.folder, model.trust_remote_code, str(files.folder))
            return found
        return _templates_of_gguf(files.gguf) if files.gguf is not None and files.gguf.is_file() else None
    except Exception:  # loading the model reports the error
        return None


def _templates_of_gguf(file: Path) -> dict[str, str]:
    from gguf import GGUFReader

    check_header(file)
    field = GGUFReader(str(file)).fields.get("tokenizer.chat_template")
    return {} if field is None else {DEFAULT: str(field.contents())}
