"""Read and check the header of a safetensors file: https://huggingface.co/docs/safetensors/index#format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from hforch.errors import ModelError, shown
from hforch.models.json_files import LARGEST, parse_object

BITS = {
    **{"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32},
    **{"BF16": 16, "F16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8},
    **{"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
START = 8  # bytes before the header that hold its length


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_tensors(file: Path) -> list[Tensor]:
    """Return the tensors in a file's header, in the order of their data.

    Raises:
        ModelError: the file is truncated, or its header is inconsistent.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(START), "little")
        if size < START or length > size - START:
            raise ModelError(
                f"{file} is damaged or truncated: it has {size:,} bytes, but declares a header of {length:,} bytes. "
                "Download it again."
            )
        if length > LARGEST:
            raise ModelError(f"{file} is damaged: its header has {length:,} bytes (maximum {LARGEST:,}).")
        header = parse_object(stream.read(length), f"the header of {file}")
    tensors = [_tensor(file, name, entry) for name, entry in header.items() if name != "__metadata__"]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    place = 0
    for tensor in tensors:
        if tensor.start != place:
            raise ModelError(
                f"{file} is damaged: the data of {shown(tensor.name, 80)!r} starts at byte {tensor.start:,} "
                f"instead of {place:,}."
            )
        place = tensor.end
    if place != size - START - length:
        raise ModelError(
            f"{file} is damaged or truncated: its header describes {place:,} bytes of weights, but the file has "
            f"{size - START - length:,}. Download it again."
        )
    return tensors


def _tensor(file: Path, name: str, entry: Any) -> Tensor:
    what = f"{file} is damaged: in its header, {shown(name, 80)!r}"
    if not isinstance(entry, dict):
        raise ModelError(f"{what} is not an object with dtype, shape and data_offsets.")
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str):
        raise ModelError(f"{what} has no dtype.")
    if not _sizes(shape) or len(shape) > 64:
        raise ModelError(f"{what} has no valid shape (a list of sizes).")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelError(f"{what} has no valid data_offsets (start and end).")
    if dtype in BITS and math.prod(shape) * BITS[dtype] != (offsets[1] - offsets[0]) * 8:
        bytes_ = offsets[1] - offsets[0]
        raise ModelError(f"{what} has {bytes_:,} bytes of data, which does not match shape {shape} and dtype {dtype}.")
    return Tensor(name, dtype, tuple(shape), offsets[0], offsets[1])


def _sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 63 for one in value)
