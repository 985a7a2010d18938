"""`prompt.template=TEXT` without `prompt=`: the template is the prompt, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_A_MODEL = ("kind", "system", "messages", "chat_template_kwargs")
"""The keys of prompt=auto that a template replaces."""


def with_template(prompt: Any) -> Any:
    """Return the values of the group `prompt`, with `kind: template` for prompt=auto with a template.

    A system message remains, and is reported, because a template cannot contain it.
    """
    if not isinstance(prompt, Mapping) or prompt.get("kind") != "auto" or prompt.get("template") is None:
        return prompt
    kept = {name: value for name, value in prompt.items() if name not in OF_A_MODEL or (name == "system" and value)}
    return {"kind": "template", **kept}
