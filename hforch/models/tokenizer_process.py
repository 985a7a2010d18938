"""A subprocess that converts a tokenizer for openvino-genai; `tokenizers.py` starts it and caches the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.errors import BackendError, ModelError
from hforch.models import subprocesses
from hforch.models.transformers_tokenizer import load_tokenizer


def convert(request: dict[str, Any]) -> None:
    """Write a tokenizer's JSON files, and the tokenizer and detokenizer as IRs, into the directory `output`.

    Raises:
        BackendError: openvino-tokenizers cannot be imported.
        ModelError: the tokenizer cannot be loaded or converted.
    """
    try:
        import openvino_tokenizers  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"The tokenizer converter cannot be imported ({error}): pip install 'hforch[openvino]'"
        ) from error
    folder, output = request["folder"], Path(request["output"])
    try:
        tokenizer = load_tokenizer(Path(folder), request["trust_remote_code"]).tokenizer
        tokenizer.save_pretrained(output)
        if not (output / "tokenizer.json").is_file():
            raise ValueError("it has no fast version (tokenizer.json)")
        save_converted(tokenizer, output)
    except Exception as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be converted for openvino_genai: {str(error).strip(': ')}\n"
            "Use backend=openvino instead.",
            "model.path",
        ) from error


def save_converted(tokenizer: Any, output: Path) -> None:
    """Save a tokenizer and its detokenizer as IRs."""
    from openvino import save_model
    from openvino_tokenizers import convert_tokenizer

    encoder, decoder = convert_tokenizer(tokenizer, with_detokenizer=True)
    save_model(encoder, output / "openvino_tokenizer.xml")
    save_model(decoder, output / "openvino_detokenizer.xml")


if __name__ == "__main__":
    subprocesses.answer(convert)
