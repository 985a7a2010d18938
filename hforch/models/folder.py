"""Select the files of a checkpoint by name, and check that a directory holds a complete checkpoint."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hforch.errors import ModelError, shown
from hforch.models import model_json
from hforch.models.checkpoint import Kind
from hforch.models.json_files import read_object
from hforch.models.safetensors_header import read_tensors

CONFIG = ("config.json", "generation_config.json", "quantize_config.json")
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "*.model", "*.tiktoken", "chat_template*", "*.jinja"),
)
VOCABULARY = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
IR = ("openvino_model.xml", "openvino_model.bin")
IR_EXTRAS = ("openvino_config.json", "openvino_tokenizer.*", "openvino_detokenizer.*")
WEIGHTS = {  # in the order in which transformers searches: a single file, shards, and the shards' index
    "safetensors": ("model.safetensors", r"model-\d+-of-\d+\.safetensors", "model.safetensors.index.json"),
    "bin": ("pytorch_model.bin", r"pytorch_model-\d+-of-\d+\.bin", "pytorch_model.bin.index.json"),
}


@dataclass(frozen=True)
class Choice:
    """The file names of a checkpoint. `weights` is empty if a directory has no loadable weights."""

    kind: Kind
    weights: tuple[str, ...]
    index: str | None
    others: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.others, *([self.index] if self.index else []), *self.weights)


@dataclass(frozen=True)
class Contents:
    """The files of a complete checkpoint."""

    kind: Kind
    weights: tuple[Path, ...]
    files: tuple[Path, ...]


def choose(names: Iterable[str], trust_remote_code: bool) -> Choice:
    """Select the file names of a checkpoint; torch weights take precedence over an IR in the same directory."""
    there = sorted(name for name in names if "/" not in name)
    code = ("*.py",) if trust_remote_code else ()
    others = matching(there, (*CONFIG, *TOKENIZER, *code))
    for single, shards, index in WEIGHTS.values():
        if single in there:
            return Choice("torch", (single,), None, others)
        found = tuple(name for name in there if re.fullmatch(shards, name))
        if found:
            return Choice("torch", found, index if index in there else None, others)
        if index in there:
            return Choice("torch", (), index, others)
    if IR[0] in there:
        return Choice("openvino", matching(there, IR), None, (*others, *matching(there, IR_EXTRAS)))
    return Choice("torch", (), None, others)


def survey(folder: Path, trust_remote_code: bool, what: str) -> Contents:
    """Check that a directory holds a complete checkpoint, and return its files.

    Args:
        folder: an existing directory.
        trust_remote_code: whether to include the directory's Python files.
        what: a description of the directory for messages.

    Raises:
        ModelError: a file is missing or damaged; the message names it.
    """
    names = [path.name for path in folder.iterdir() if path.is_file()]
    choice = choose(names, trust_remote_code)
    missing = [name for name in _expected(folder, choice) if name not in names]
    if missing:
        raise ModelError(f"{what} is incomplete: {_listed(missing)} missing.")
    if not choice.weights:
        raise ModelError(f"{what} contains no weights. {no_weights(names)}")
    if "config.json" not in names:
        raise ModelError(f"{what} has weights but no config.json, which specifies their architecture.")
    has_own_tokenizer = trust_remote_code and "tokenizer_config.json" in names
    if not matching(names, VOCABULARY) and not has_own_tokenizer:
        raise ModelError(f"{what} has no tokenizer: found none of {', '.join(VOCABULARY)}.")
    model_json.check(folder)
    config = read_object(folder / "config.json")
    if not trust_remote_code:
        _check_kind(config, what)
    tensors = [check_weights(folder / name) for name in choice.weights]
    counted = [number for number in tensors if number is not None]
    if counted and not trust_remote_code:
        model_json.check_layers(folder, config, sum(counted))
    return Contents(
        choice.kind, tuple(folder / name for name in choice.weights), tuple(folder / name for name in choice.names)
    )


def _check_kind(config: Mapping[str, Any], what: str) -> None:
    """Raise ModelError unless config.json describes a decoder-only language model."""
    names = [str(name) for name in config.get("architectures") or []]
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{what} is an encoder-decoder model ({', '.join(names)}); hforch supports only decoder-only models."
        )
    if names and not any(name.endswith(CAUSAL) for name in names):
        raise ModelError(
            f"{what} is a {', '.join(names)}, which is not a causal language model and does not generate text."
        )


def no_weights(names: Iterable[str]) -> str:
    """Return a hint, based on the file names, for a directory without loadable weights."""
    names = list(names)
    ggufs = [name for name in names if name.endswith(".gguf")]
    if ggufs:
        return f"It has GGUF files ({', '.join(ggufs[:3])}): download one and use model=gguf model.path=FILE.gguf."
    if any(name.startswith("adapter_model.") for name in names):
        return "It has only a PEFT adapter: merge it into its base model (merge_and_unload) and save the result."
    return (
        "Expected model.safetensors or pytorch_model.bin (one file, or shards with their index), "
        "or an OpenVINO IR: openvino_model.xml and openvino_model.bin."
    )


def check_weights(file: Path) -> int | None:
    """Check a weight file without reading the weights.

    Returns:
        The number of tensors in a safetensors file; None for other formats.

    Raises:
        ModelError: the file is empty, a Git LFS pointer, or inconsistent with its header.
    """
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"{file} is a Git LFS pointer, not a weight file: run `git lfs pull` in its directory.")
    if not start:
        raise ModelError(f"{file} is empty.")
    if file.suffix == ".safetensors":
        return len(read_tensors(file))
    if file.suffix == ".bin" and start.startswith(b"PK"):
        _check_archive(file)
    return None


def _check_archive(file: Path) -> None:
    """Raise ModelError if a torch.save file is not a complete zip archive, or would unpack to more than its size."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise ModelError(f"{file} is damaged or truncated: {shown(str(error))}. Download it again.") from error
    if unpacked > file.stat().st_size:
        raise ModelError(f"{file} is damaged: its members declare {unpacked:,} bytes, more than the file size.")


def _expected(folder: Path, choice: Choice) -> list[str]:
    """Return the names of the required weight files: those in the shards' index, or those of an IR."""
    if choice.kind == "openvino":
        return list(IR)
    if choice.index is None:
        sharded = [name for name in choice.weights if "-of-" in name]
        return [f"{sharded[0].split('-')[0]}{Path(sharded[0]).suffix}.index.json"] if sharded else []
    file = folder / choice.index
    shards = read_object(file).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise ModelError(f"{file} is damaged: its weight_map does not map tensors to file names.")
    if foreign := [name for name in set(shards.values()) if "/" in name or name.startswith(".")]:
        raise ModelError(f"{file} is damaged: {shown(foreign[0], 80)!r} is not a valid shard name.")
    return sorted(set(shards.values()))


def matching(names: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _listed(names: list[str]) -> str:
    return names[0] + " is" if len(names) == 1 else ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") + " are"
