"""Check the header of a GGUF file; the gguf package, which reads it afterwards, does not validate lengths.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path

from hforch.errors import ModelError, shown

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
VERSIONS = (2, 3)
ALIGNMENT = 32
# The gguf package needs microseconds and hundreds of bytes per element. The largest tokenizers have a million elements.
MOST_ELEMENTS = 4_000_000
MOST_DIMENSIONS = 4
DEEPEST = 2  # levels of arrays inside an array
SMALLEST_FIELD, SMALLEST_TENSOR = 13, 24  # bytes of a key-value pair, and of a tensor's description


class _Broken(Exception):
    """An inconsistency in the file; the message describes it."""


def check_header(file: Path) -> None:
    """Check that all lengths, counts and offsets in a GGUF file are within the file.

    Raises:
        ModelError: one is outside the file; the message names it.
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _Reader(data).check()
        except _Broken as problem:
            raise ModelError(
                f"{file} is damaged or truncated: it starts like a GGUF file, but {problem}. Download it again."
            ) from None


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.size = data, len(data)
        self.place = 4  # after the magic number
        self.order = "<"
        self.elements = 0
        self.alignment = ALIGNMENT
        self.layers: list[tuple[str, int]] = []

    def check(self) -> None:
        version = int(self.scalar("I", "its version"))
        if version & 0xFFFF == 0:  # big-endian
            self.order, self.place = ">", 4
            version = int(self.scalar("I", "its version"))
        if version not in VERSIONS:
            raise _Broken(f"its version is {version} (supported: {VERSIONS[0]} and {VERSIONS[1]})")
        tensors, fields = self.count("tensors", SMALLEST_TENSOR), self.count("fields", SMALLEST_FIELD)
        for number in range(fields):
            self.field(number)
        found = [self.tensor(number) for number in range(tensors)]
        self.check_data(found)
        if deep := [f"{name} is {layers:,}" for name, layers in self.layers if layers > tensors]:
            raise _Broken(f"{deep[0]}, more than its {tensors:,} tensors")

    def field(self, number: int) -> None:
        key = self.string(f"the name of field {number + 1}")
        kind = int(self.scalar("I", f"the type of {key}"))
        start = self.place
        self.value(kind, key, 0)
        if key == "general.alignment" or (key.endswith(".block_count") and kind in SCALARS):
            if kind not in (4, 5, 10, 11):
                raise _Broken(f"{key} is not an integer")
            (value,) = struct.unpack_from(self.order + SCALARS[kind], self.data, start)
            if key == "general.alignment":
                if value <= 0 or value & (value - 1) or value > 1 << 20:
                    raise _Broken(f"{key} is {value}")
                self.alignment = value
            else:
                self.layers.append((key, value))

    def value(self, kind: int, key: str, depth: int) -> None:
        if kind in SCALARS:
            self.skip(struct.calcsize("<" + SCALARS[kind]), f"the value of {key}")
        elif kind == STRING:
            self.string(f"the value of {key}")
        elif kind == ARRAY:
            self.array(key, depth)
        else:
            raise _Broken(f"{key} has the unknown type {kind}")

    def array(self, key: str, depth: int) -> None:
        kind, length = int(self.scalar("I", f"the type of {key}")), int(self.scalar("Q", f"the length of {key}"))
        if kind == ARRAY and depth == DEEPEST:
            raise _Broken(f"{key} has more than {DEEPEST} levels of nested arrays")
        if kind not in (*SCALARS, STRING, ARRAY):
            raise _Broken(f"{key} has the unknown element type {kind}")
        smallest = struct.calcsize("<" + SCALARS[kind]) if kind in SCALARS else 12 if kind == ARRAY else 8
        if length * smallest > self.size - self.place:
            raise _Broken(f"the {length:,} elements of {key} exceed the file size")
        self.elements += length
        if self.elements > MOST_ELEMENTS:
            raise _Broken(f"its fields up to {key} have more than {MOST_ELEMENTS:,} elements")
        if kind in SCALARS:
            self.place += length * smallest
        else:
            for _ in range(length):
                self.value(kind, key, depth + 1)

    def tensor(self, number: int) -> tuple[str, int, int]:
        """Return a tensor's name, and the start and end of its data, relative to the start of the data section."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        name = self.string(f"the name of tensor {number + 1}")
        dimensions = int(self.scalar("I", f"the dimensions of {name}"))
        if dimensions > MOST_DIMENSIONS:
            raise _Broken(f"the tensor {name} has {dimensions:,} dimensions")
        shape = [int(self.scalar("Q", f"the shape of {name}")) for _ in range(dimensions)]
        kind, offset = int(self.scalar("I", f"the type of {name}")), int(self.scalar("Q", f"the offset of {name}"))
        try:
            block, of_block = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (KeyError, ValueError):
            raise _Broken(f"the tensor {name} has the unknown type {kind}") from None
        elements = math.prod(shape)
        if shape and shape[0] % block:
            raise _Broken(f"the rows of {name} have {shape[0]:,} elements, which is not a multiple of {block}")
        return name, offset, offset + elements * of_block // block

    def check_data(self, tensors: Sequence[tuple[str, int, int]]) -> None:
        begin = -(-self.place // self.alignment) * self.alignment
        place = 0
        for name, start, end in sorted(tensors, key=lambda tensor: tensor[1:]):
            if begin + end > self.size:
                raise _Broken(f"the tensor {name} ends at byte {begin + end:,}, beyond the file's {self.size:,} bytes")
            if start < place:
                raise _Broken(f"the tensor {name} overlaps another one")
            place = end

    def count(self, what: str, smallest: int) -> int:
        number = int(self.scalar("Q", f"the number of {what}"))
        if number * smallest > self.size - self.place:
            raise _Broken(f"it declares {number:,} {what}, too many for {self.size:,} bytes")
        return number

    def string(self, what: str) -> str:
        length = int(self.scalar("Q", f"the length of {what}"))
        start = self.place
        self.skip(length, what)
        return shown(self.data[start : start + min(length, 100)].decode("utf-8", "replace"), 80)

    def scalar(self, kind: str, what: str) -> float:
        start = self.place
        self.skip(struct.calcsize("<" + kind), what)
        value: float = struct.unpack_from(self.order + kind, self.data, start)[0]
        return value

    def skip(self, length: int, what: str) -> None:
        if length > self.size - self.place:
            raise _Broken(f"{what} ({length:,} bytes) extends beyond the file's {self.size:,} bytes")
        self.place += length
