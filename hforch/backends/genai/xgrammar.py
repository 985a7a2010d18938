"""Find the parts of a JSON Schema that the grammars of `json_grammar.py` do not enforce."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hforch.backends.genai.json_grammar import Unenforced, ebnf
from hforch.generation import grammar


def unsupported(schema: Mapping[str, Any]) -> str | None:
    """Return a message about parts of a schema that this backend or llguidance cannot enforce; None if both can."""
    if problem := grammar.unsupported(schema):
        return problem
    try:
        ebnf(json.dumps(schema))
    except Unenforced as error:
        return f"openvino_genai cannot enforce {error}; backend=openvino can"
    return None
