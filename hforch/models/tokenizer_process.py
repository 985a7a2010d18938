"""The process that converts a tokenizer for openvino-genai: `tokenizers.py` starts it and caches what it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.errors import BackendError, ModelError
from hforch.models import subprocesses


def convert(request: dict[str, Any]) -> None:
    """Write tokenizer.json, tokenizer_config.json, and the tokenizer and detokenizer as IRs into `output`.

    Raises:
        BackendError: openvino-tokenizers is not installed.
        ModelError: the tokenizer cannot be loaded or converted.
    """
    try:
        from openvino import save_model
        from openvino_tokenizers import convert_tokenizer
    except ImportError as error:
        raise BackendError(
            f"The tokenizer converter does not import ({error}): pip install 'hforch[openvino]'"
        ) from error
    from transformers import AutoTokenizer

    folder, output = request["folder"], Path(request["output"])
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=request["trust_remote_code"]
        )
        tokenizer.save_pretrained(output)
        if not (output / "tokenizer.json").is_file():
            raise ValueError("it has no fast form (tokenizer.json)")
        encoder, decoder = convert_tokenizer(tokenizer, with_detokenizer=True)
    except Exception as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be converted for openvino_genai: {error}\nbackend=openvino can use it.",
            "model.path",
        ) from error
    save_model(encoder, output / "openvino_tokenizer.xml")
    save_model(decoder, output / "openvino_detokenizer.xml")


if __name__ == "__main__":
    subprocesses.answer(convert)
