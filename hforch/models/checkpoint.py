"""What the models room hands on: files on disk, told apart by their contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["torch", "openvino"]


@dataclass(frozen=True)
class LocalFiles:
    """What of a model is on this machine, as far as it is known without a network and without reading all of it.

    Attributes:
        folder: the folder of the checkpoint; None if it is not there yet.
        fingerprint: that of the checkpoint, if it is known.
        to_do: what has to be done until it is there: download, convert.
        gguf: the file that it is converted from, if that is there.
    """

    folder: Path | None
    fingerprint: str | None = None
    to_do: tuple[str, ...] = ()
    gguf: Path | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Weights, configuration and tokenizer, ready to load without any network.

    Attributes:
        path: a folder with config.json, weights and tokenizer, or an OpenVINO IR with its configuration and tokenizer.
        kind: `torch`, or `openvino` for an IR.
        fingerprint: sha256 over the contents of the files that matter, wherever they lie.
        source: where it came from, for the record.
        disk_mb: the weight files as they lie on disk, in MB of a million bytes.
        download_s: how long the download took; None when nothing was downloaded this time.
        convert_s: how long the conversion took; None when nothing was converted this time.
    """

    path: Path
    kind: Kind
    fingerprint: str
    source: dict[str, Any]
    disk_mb: float
    download_s: float | None
    convert_s: float | None
