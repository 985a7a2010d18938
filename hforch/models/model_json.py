"""Check the values of config.json, generation_config.json and tokenizer_config.json that hforch and its libraries use.

A number of the wrong type or size would make the libraries fail with unhelpful messages, or run indefinitely.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hforch.errors import ModelError, shown
from hforch.models.architecture import CONTEXT_NAMES, text_part
from hforch.models.json_files import read_object

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
SIZES = {  # the largest accepted value; the largest known one is a hundredth of this
    **dict.fromkeys(LAYERS, 10_000),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_key_value_heads", "head_dim"), 1 << 17),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model"), 1 << 22),
    **dict.fromkeys(CONTEXT_NAMES, 1 << 40),
    "vocab_size": 1 << 28,
}
MOST, MOST_EXPERTS = 1 << 20, 10_000  # the largest accepted values of other counts; libraries create an object for each
IDS = ("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id")
NUMBERS = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "length_penalty"),
    *("max_length", "min_length", "max_new_tokens", "min_new_tokens", "num_beams", "no_repeat_ngram_size"),
)
JSON_FILES = (
    *("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "preprocessor_config.json", "quantize_config.json", "openvino_config.json"),
)
TOKENS = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
SHAPES: dict[str, tuple[type, ...]] = {  # types of the keys of tokenizer_config.json; null is always allowed
    **dict.fromkeys(TOKENS, (str, dict)),
    **dict.fromkeys(("added_tokens_decoder", "auto_map"), (dict,)),
    **dict.fromkeys(("additional_special_tokens", "model_input_names"), (list,)),
    "extra_special_tokens": (list, dict),
    "tokenizer_class": (str,),
    "model_max_length": (int, float),
    "split_special_tokens": (bool,),
    **dict.fromkeys(("padding_side", "truncation_side"), (str,)),
}
LARGEST_TEMPLATE = 10_000_000
NAMES = {str: "a string", dict: "an object", list: "a list", int: "a number", float: "a number", bool: "a boolean"}
SIDES = (None, "left", "right")


def check(folder: Path) -> None:
    """Check the JSON files and chat templates in a model's directory.

    Raises:
        ModelError: a file is damaged or has an invalid value.
    """
    found = {name: read_object(folder / name) for name in JSON_FILES if (folder / name).is_file()}
    if "config.json" in found:
        _check_config(folder / "config.json", found["config.json"])
    if "generation_config.json" in found:
        _check_generation(folder / "generation_config.json", found["generation_config.json"])
    if "tokenizer_config.json" in found:
        _check_tokenizer(folder / "tokenizer_config.json", found["tokenizer_config.json"])
    for template in folder.glob("*.jinja"):
        read_template(template)


def read_template(file: Path) -> str:
    """Read a chat template; raise ModelError if the file is too large or not UTF-8."""
    if (size := file.stat().st_size) > LARGEST_TEMPLATE:
        raise ModelError(f"{file} is damaged: it has {size:,} bytes (maximum {LARGEST_TEMPLATE:,}).")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is damaged: byte {error.start} is not UTF-8.") from error


def check_layers(folder: Path, config: Mapping[str, Any], tensors: int) -> None:
    """Raise ModelError if config.json has more layers than there are tensors; a library would create all of them."""
    for name in LAYERS:
        layers = text_part(config).get(name)
        if isinstance(layers, int) and layers > tensors:
            raise ModelError(
                f"{folder / 'config.json'} sets {name}={layers}, but the weight files have only {tensors} tensors."
            )


def _check_config(file: Path, config: Mapping[str, Any]) -> None:
    if not isinstance(config.get("model_type", ""), str):
        raise ModelError(f"{file} is damaged: model_type is not a string.")
    names = config.get("architectures")
    if names is not None and not _texts(names):
        raise ModelError(f"{file} is damaged: architectures is not a list of strings.")
    if not isinstance(config.get("text_config", {}), dict | None):
        raise _wrong(file, "text_config", config["text_config"], "an object")
    for part in _parts(config):
        for name, value in part.items():
            _check_size(file, name, value)
        _check_ids(file, part)


def _parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the configuration and all nested objects."""
    found = [config]
    for part in found:  # grows during the iteration
        found += [value for value in part.values() if isinstance(value, dict)]
    return found


def _check_size(file: Path, name: str, value: Any) -> None:
    if name in SIZES:
        least, most = (1 if name in LAYERS else -1), SIZES[name]
        if value is None or isinstance(value, list):  # some models list a size per layer
            return
        if type(value) is not int or not least <= value <= most:
            raise _wrong(file, name, value, f"an integer up to {most:,}")
    elif isinstance(value, int | float) and name.startswith(("num_", "n_")):
        most = MOST_EXPERTS if "expert" in name else MOST
        if not abs(value) <= most:
            raise _wrong(file, name, value, f"a number up to {most:,}")


def _check_generation(file: Path, said: Mapping[str, Any]) -> None:
    _check_ids(file, said)
    for name in NUMBERS:
        value = said.get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise _wrong(file, name, value, "a number")
        if value is not None and not abs(value) < 1 << 63:  # infinity, NaN, and integers beyond 64 bits
            raise _wrong(file, name, value, "a finite 64-bit number")


def _check_ids(file: Path, said: Mapping[str, Any]) -> None:
    for name in IDS:
        value = said.get(name)
        ids = value if isinstance(value, list) else [value]
        if value is not None and not all(type(one) is int and -1 <= one < 1 << 31 for one in ids):
            raise _wrong(file, name, value, "a token id or a list of token ids")


def _check_tokenizer(file: Path, said: Mapping[str, Any]) -> None:
    for name, kinds in SHAPES.items():
        value = said.get(name)
        if value is not None and (not isinstance(value, kinds) or (type(value) is bool and bool not in kinds)):
            raise _wrong(file, name, value, " or ".join(dict.fromkeys(NAMES[kind] for kind in kinds)))
    for name in TOKENS:
        if isinstance(said.get(name), dict) and not isinstance(said[name].get("content"), str):
            raise _wrong(file, name, said[name], 'a string or an object with a string "content"')
    for name in ("padding_side", "truncation_side"):
        if said.get(name) not in SIDES:
            raise _wrong(file, name, said[name], "'left' or 'right'")
    for number, token in (said.get("added_tokens_decoder") or {}).items():
        if not (number.isdecimal() and len(number) < 10 and isinstance(token, dict)):
            raise _wrong(file, "added_tokens_decoder", {number: token}, "a mapping of token ids to objects")
    extra = said.get("extra_special_tokens") or []
    if not all(isinstance(one, str | dict) for one in (extra.values() if isinstance(extra, dict) else extra)):
        raise _wrong(file, "extra_special_tokens", extra, "a collection of strings")
    _check_template(file, said.get("chat_template"))


def _check_template(file: Path, template: Any) -> None:
    if template is None or isinstance(template, str):
        return
    several = isinstance(template, list) and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("template"), str)
        for one in template
    )
    if not several:
        raise ModelError(f"{file} is damaged: chat_template is neither a string nor a list of named templates.")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _wrong(file: Path, name: str, value: Any, wanted: str) -> ModelError:
    return ModelError(f"{file} is damaged: {name} must be {wanted}; got {shown(repr(value), 80)}.")
