"""A subprocess that converts a GGUF file to a torch checkpoint; `gguf.py` starts it and caches the result."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hforch.errors import ModelError
from hforch.models import gguf_tokenizer, likelihood, subprocesses
from hforch.models.cache_files import MB, require_space
from hforch.models.gguf_header import check_header


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write tokenizer, configuration and float32 weights into the directory `output` and check the converted model.

    Raises:
        ModelError: the file, its tokenizer or its architecture cannot be used, or the converted model fails the check.
    """
    file, output = Path(request["file"]), Path(request["output"])
    fields, parameters = _read(file)
    _check_architecture(file, fields)
    tokenizer = _tokenizer(file, fields)
    require_space(output, parameters * 4, f"convert {file.name} to float32")
    model = _load(file, len(tokenizer))
    _set_ids(model, fields)
    tokenizer.save_pretrained(output)
    _check_saved(tokenizer, output)
    found = _check_likelihood(file, model, tokenizer)
    model.save_pretrained(output)
    quantization = _quantization(fields)
    return {
        "architecture": str(fields["general.architecture"]),
        "quantization": quantization,
        "weights": f"dequantized {quantization}",
        "likelihood": {name: round(value, 3) for name, value in asdict(found).items()},
        "disk_mb": round(sum(path.stat().st_size for path in output.glob("*.safetensors")) / MB, 3),
    }


def _read(file: Path) -> tuple[dict[str, Any], int]:
    """Return all metadata, and the number of parameters."""
    from gguf import GGUFReader

    check_header(file)
    try:
        reader = GGUFReader(file)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except Exception as error:  # the parser raises many types of errors without helpful messages
        raise ModelError(
            f"{file} is damaged or truncated: it starts like a GGUF file, but cannot be parsed. Download it again."
        ) from error
    if not reader.tensors:
        raise ModelError(f"{file} contains no weights, only metadata.")
    return fields, sum(int(tensor.n_elements) for tensor in reader.tensors)


def _tokenizer(file: Path, fields: dict[str, Any]) -> Any:
    try:
        tokenizer = gguf_tokenizer.build(fields)
        gguf_tokenizer.check_round_trips(tokenizer)
    except ModelError:
        raise
    except Exception as error:  # values of the wrong type
        raise ModelError(
            f"{file} is damaged: its tokenizer cannot be built ({type(error).__name__}: {error})."
        ) from error
    return tokenizer


def _check_architecture(file: Path, fields: dict[str, Any]) -> None:
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    architecture = str(fields.get("general.architecture"))
    renamed = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "minimax-m2": "minimax_m2"}
    if renamed.get(architecture, architecture) not in GGUF_CONFIG_MAPPING:
        raise ModelError(
            f"{file} has the architecture {architecture!r}, which transformers cannot read from GGUF "
            f"(supported: {', '.join(sorted(GGUF_CONFIG_MAPPING))}). "
            "Use the original checkpoint: model=hub model.id=ORG/NAME, or model=local model.path=DIR."
        )


def _load(file: Path, tokens: int) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, output_loading_info=True, **_dequantizing()
        )
    except Exception as error:
        raise ModelError(f"transformers cannot load {file}: {type(error).__name__}: {error}") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        missing = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise ModelError(
            f"{file} lacks {len(missing)} of the model's tensors, or has them in a different shape: "
            f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}."
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if tokens > rows:
        raise ModelError(f"{file} has {tokens} tokens, but embeddings for only {rows}.")
    _forget_quantizer(model)
    return model.eval()


def _dequantizing() -> dict[str, Any]:
    """Return the arguments with which later versions of transformers also dequantize the weights while loading."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def _forget_quantizer(model: Any) -> None:
    """Remove the quantizer that later versions of transformers keep, since it does not allow saving the weights."""
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer = None
        model.is_quantized = False
        vars(model.config).pop("quantization_config", None)


def _set_ids(model: Any, fields: dict[str, Any]) -> None:
    """Set bos, eos and pad from the file, since transformers sets the architecture's defaults."""
    from transformers import GenerationConfig

    bos, eos, pad, eot = (gguf_tokenizer.token_id(fields, name) for name in ("bos", "eos", "padding", "eot"))
    model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id = bos, eos, pad
    model.config._name_or_path = ""
    vars(model.config).pop("_model_name_or_path", None)
    ends = list(dict.fromkeys(index for index in (eos, eot) if index is not None))
    model.generation_config = GenerationConfig(
        bos_token_id=bos, eos_token_id=ends if len(ends) > 1 else eos, pad_token_id=pad
    )


def _check_saved(tokenizer: Any, output: Path) -> None:
    """Raise ModelError unless AutoTokenizer loads the saved tokenizer unchanged."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(output)
    gguf_tokenizer.check_round_trips(loaded)
    ids = ("bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id")
    texts = [*gguf_tokenizer.ROUND_TRIP, " ".join(tokenizer.all_special_tokens)]
    same_ids = all(getattr(loaded, name) == getattr(tokenizer, name) for name in ids)
    if not same_ids or loaded(texts)["input_ids"] != tokenizer(texts)["input_ids"]:
        raise ModelError("The file's tokenizer changes when it is saved and loaded again.")


def _check_likelihood(file: Path, model: Any, tokenizer: Any) -> likelihood.Likelihood:
    found = likelihood.measure(model, tokenizer)
    problem = found.problem()
    if problem:
        raise ModelError(
            f"{file} can be loaded, but its output makes no sense: {problem}. The file is damaged, or transformers "
            "maps its architecture incorrectly. Use the original checkpoint: model=hub model.id=ORG/NAME, "
            "or model=local model.path=DIR."
        )
    return found


def _quantization(fields: dict[str, Any]) -> str:
    from gguf import LlamaFileType

    try:
        return LlamaFileType(int(fields["general.file_type"])).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except (KeyError, ValueError):
        return "unknown"


if __name__ == "__main__":
    subprocesses.answer(convert)
