"""List the models on this machine: hforch's cache, the Hub's cache, directories, and the overrides that select each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hforch.config.as_recipe import default_option, options_of
from hforch.config.hydra_adapter.parsing import quoted
from hforch.errors import HforchError, first_line
from hforch.models import cache, cache_entry, exports
from hforch.models.cache_files import MB, size_mb
from hforch.models.checkpoint import Kind
from hforch.models.folder import survey
from hforch.models.ir_precision import describe
from hforch.models.json_files import read_object

Place = Literal["default", "cache", "hub", "folder"]

PLAIN = re.compile(r"[\w./~+-]+")  # a value that needs no quotes in an override
DEPTH = 2  # maximum depth of subdirectories that are searched for models
MOST_DIRECTORIES = 1000
NOT_MODELS = ("outputs", "multirun", "node_modules", "site-packages")


@dataclass(frozen=True)
class KnownModel:
    """A model on this machine.

    Attributes:
        place: where it is: `cache` (hforch's), `hub` (the Hub's cache), `folder`; `default` is the default model if it
            is not there yet.
        name: its name.
        kind: `torch`, `openvino` or `gguf`.
        precision: the format of the weights, such as bfloat16 or int8; None if unknown.
        size_mb: its size in MB of 10^6 bytes.
        path: its directory or file; None if it is not there yet.
        overrides: the overrides with which to use it; None if it cannot be used.
        note: a remark, such as why it cannot be used.
    """

    place: Place
    name: str
    kind: Kind | Literal["gguf"]
    precision: str | None
    size_mb: float | None
    path: str | None
    overrides: tuple[str, ...] | None
    note: str | None = None

    def as_values(self) -> dict[str, Any]:
        """Return the attributes as JSON-compatible values."""
        return {**asdict(self), "overrides": None if self.overrides is None else list(self.overrides)}


def known_models(folders: Iterable[Path]) -> list[KnownModel]:
    """Return the models in the caches and in these directories, by place.

    Raises:
        OSError: the cache cannot be read.
    """
    found = [*_in_cache(), *_in_hub_cache(), *(one for folder in folders for one in _in_folder(folder))]
    default = default_option("model")
    overrides = (f"model={default}",)
    if any(one.overrides and one.overrides[:1] == overrides for one in found):
        return found
    return [KnownModel("default", default, "torch", None, None, None, overrides, "not downloaded yet"), *found]


# ---------------------------------------------------------------- overrides
def _selecting(source: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the overrides that select a source of weights: the name of an option, or an option and its values."""
    wanted = {key: value for key, value in source.items() if key not in ("commit", "trust_remote_code")}
    for name, option in options_of("model").items():
        if "???" not in option.values() and all(option.get(key) == value for key, value in wanted.items()):
            return (f"model={name}",)
    kind = str(source.get("source"))
    keys = {"hub": ("id", "revision"), "local": ("path",), "gguf": ("path",)}.get(kind)
    if keys is None:
        return ()
    values = [(key, source[key]) for key in keys if source.get(key) is not None]
    return (f"model={kind}", *(f"model.{key}={_value(str(value))}" for key, value in values))


def _value(text: str) -> str:
    return text if PLAIN.fullmatch(text) else quoted(text)


def _local(path: Path) -> tuple[str, ...]:
    return _selecting({"source": "local", "path": str(path)})


# ---------------------------------------------------------------- hforch's cache
def _in_cache() -> Iterator[KnownModel]:
    for entry in cache.entries():
        record = cache_entry.read(entry.path) if entry.complete else None
        if record is None:
            continue
        if entry.kind == "checkpoints":
            overrides = _of_digest(str(record.get("sha256"))) or _local(entry.path)
            dtype = _dtype(entry.path)
            name = entry.what.removesuffix(" in float32")
            yield KnownModel("cache", name, "torch", dtype, entry.size_mb, str(entry.path), overrides)
        elif entry.kind == "exports":
            yield _export(entry, record)


def _of_digest(sha256: str) -> tuple[str, ...]:
    """Return the override of the option whose file has this digest, or ()."""
    names = (name for name, option in options_of("model").items() if option.get("sha256") == sha256)
    return next(((f"model={name}",) for name in names), ())


def _export(entry: cache.Entry, record: Mapping[str, Any]) -> KnownModel:
    """Describe a cached export. If a run would not reuse it, the overrides name its directory."""
    options = {name: record.get(name) for name in ("weight_format", "group_size", "group_size_fallback")}
    precision = _precision(options)
    source = record.get("source") or {}
    known = _selecting({key: value for key, value in source.items() if key in ("source", *_SOURCE_KEYS)})
    is_reused = exports.would_be_reused(entry.name, record)
    weights = str(record.get("weight_format"))
    name = entry.what.removesuffix(f" in {weights}")
    about = ("cache", name, "openvino", weights, entry.size_mb, str(entry.path))
    if known and precision and is_reused and _is_there(source):
        trusted = ("model.trust_remote_code=true",) if record.get("trust_remote_code") else ()
        return KnownModel(*about, (*known, *trusted, "backend=openvino", *precision))  # type: ignore[arg-type]
    note = None if _is_there(source) else "its checkpoint does not exist any more"
    if note is None and not is_reused:
        note = "made with other package versions; a run exports the checkpoint again"
    return KnownModel(*about, (*_local(entry.path), "backend=openvino"), note)  # type: ignore[arg-type]


_SOURCE_KEYS = ("id", "revision", "path", "package", "version", "file", "sha256")


def _precision(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the overrides of the precision that exports with these options, or ()."""
    wanted = options["weight_format"]
    name = "auto" if wanted == "fp16" else next((one for one in exports.WEIGHT_FORMATS if one == wanted), None)
    if name is None:
        return ()
    keys = ("group_size", "group_size_fallback")
    defaults = options_of("precision")[name]
    changed = [key for key in keys if options[key] is not None and options[key] != defaults.get(key)]
    return (f"precision={name}", *(f"precision.{key}={options[key]}" for key in changed))


def _is_there(source: Mapping[str, Any]) -> bool:
    return source.get("source") not in ("local", "gguf") or Path(str(source.get("path"))).exists()


# ---------------------------------------------------------------- the Hub's cache
def _in_hub_cache() -> Iterator[KnownModel]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except (CacheNotFound, OSError, ValueError):
        return
    for repo in sorted(repos, key=lambda one: one.repo_id):
        if repo.repo_type != "model" or not repo.revisions:
            continue
        newest = max(repo.revisions, key=lambda one: one.last_modified)
        main = next((one for one in repo.revisions if "main" in one.refs), newest)
        pinned = None if "main" in main.refs else main.commit_hash
        source = {"source": "hub", "id": repo.repo_id, "revision": pinned}
        yield _of_folder("hub", repo.repo_id, main.snapshot_path, main.size_on_disk / MB, _selecting(source))


# ---------------------------------------------------------------- directories
def _in_folder(folder: Path) -> Iterator[KnownModel]:
    for path in _candidates(folder):
        if path.is_file():
            overrides = _selecting({"source": "gguf", "path": str(path)})
            precision = next(iter(re.findall(r"\b(?:I?Q\d\w*|B?F\d{2})\b", path.stem.upper())[-1:]), None)
            size = path.stat().st_size / MB
            yield KnownModel("folder", path.name, "gguf", precision, round(size, 3), str(path), overrides)
        else:
            name = path.name or path.absolute().name
            yield _of_folder("folder", name, path, size_mb(path), _local(path))


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield directories with weights, and GGUF files, in a directory and its subdirectories."""
    left, seen = [(folder, 0)], 0
    while left and seen < MOST_DIRECTORIES:
        one, depth = left.pop(0)
        seen += 1
        try:
            inside = sorted(one.iterdir())
        except OSError:
            continue
        if _has_weights({path.name for path in inside}):
            yield one
            continue
        yield from (path for path in inside if path.suffix == ".gguf" and path.is_file())
        left += [
            (path, depth + 1)
            for path in inside
            if depth < DEPTH and path.is_dir() and not path.name.startswith(".") and path.name not in NOT_MODELS
        ]


def _has_weights(names: set[str]) -> bool:
    weights = ("openvino_model.xml", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    return any(name in names for name in weights)


def _of_folder(place: Place, name: str, path: Path, size: float, overrides: tuple[str, ...]) -> KnownModel:
    """Describe a directory with a checkpoint or an IR; if it cannot be loaded, the note states why."""
    size = round(size, 3)
    try:
        kind = survey(path, False, str(path)).kind
        precision = describe(path)["weight_format"] if kind == "openvino" else _dtype(path)
    except (HforchError, OSError) as error:
        return KnownModel(place, name, "torch", None, size, str(path), None, f"cannot be used: {first_line(error)}")
    backend = ("backend=openvino",) if kind == "openvino" else ()
    return KnownModel(place, name, kind, precision, size, str(path), (*overrides, *backend))


def _dtype(folder: Path) -> str | None:
    """Return the dtype that a torch checkpoint's config.json states."""
    with suppress(HforchError, OSError):
        config = read_object(folder / "config.json")
        return str(config.get("dtype") or config.get("torch_dtype") or "") or None
    return None
