"""The results of fetching a model: files on disk, identified by a fingerprint of their contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["torch", "openvino"]


@dataclass(frozen=True)
class LocalFiles:
    """The files of a model on this machine, found without network access and without reading large files.

    Attributes:
        folder: the checkpoint's directory; None if it does not exist yet.
        fingerprint: the checkpoint's fingerprint, if known.
        to_do: the remaining steps: download, convert.
        gguf: the existing GGUF file to convert, if any.
    """

    folder: Path | None
    fingerprint: str | None = None
    to_do: tuple[str, ...] = ()
    gguf: Path | None = None


@dataclass(frozen=True)
class Found:
    """Files on this machine that can be loaded as they are.

    Attributes:
        folder: their directory.
        kind: `torch`, or `openvino` for an IR.
    """

    folder: Path
    kind: Kind


@dataclass(frozen=True)
class Checkpoint:
    """Weights, configuration and tokenizer, ready to load without network access.

    Attributes:
        path: a directory with config.json, weights and tokenizer, or with an OpenVINO IR, its configuration and
            tokenizer.
        kind: `torch`, or `openvino` for an IR.
        fingerprint: the SHA-256 of the relevant files' names and contents, independent of their directory.
        source: the origin of the files, for the record.
        disk_mb: size of the weight files on disk, in MB of 10^6 bytes.
        download_s: duration of the download in s; None if nothing was downloaded this time.
        convert_s: duration of the conversion in s; None if nothing was converted this time.
    """

    path: Path
    kind: Kind
    fingerprint: str
    source: dict[str, Any]
    disk_mb: float
    download_s: float | None
    convert_s: float | None

    @property
    def label(self) -> str:
        """The model's name for messages."""
        source = self.source
        return Path(str(source.get("id") or source.get("file") or source.get("path") or self.path)).name
