"""The options of `backend=openvino`."""

from __future__ import annotations

from typing import Literal

from hforch.config.backends.base import BackendOptions


class OpenVINOBackend(BackendOptions):
    name: Literal["openvino"]

    library = "openvino"
    synonyms = "ov optimum optimum-intel openvino-ir"


OPTIONS = OpenVINOBackend
