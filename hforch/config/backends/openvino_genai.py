"""The options of `backend=openvino_genai`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hforch.config.backends.base import BackendOptions, Refusal
from hforch.errors import Mistake
from hforch.utils.strict_model import Positive

LOOKUP_PROBLEM = "beams cannot be combined with backend.prompt_lookup=true"
LOOKUP_HINT = "set generation.num_beams=1, or backend.prompt_lookup=false"


class OpenVINOGenAIBackend(BackendOptions):
    name: Literal["openvino_genai"]
    max_num_seqs: Positive
    max_num_batched_tokens: Positive
    cache_size: Positive | None
    enable_prefix_caching: bool
    prompt_lookup: bool
    num_assistant_tokens: Positive
    max_ngram_size: Positive
    window: Positive

    library = "openvino"
    synonyms = "genai ov-genai openvino-gen-ai continuous-batching"
    refuses = (
        Refusal(
            "device.kind",
            ("npu", "auto"),
            "is not supported by backend=openvino_genai, whose continuous batching runs on one CPU or GPU",
            "use device=cpu, device=gpu, or backend=openvino",
        ),
    )

    @classmethod
    def mistakes(cls, group: str, tree: Mapping[str, Any]) -> Iterator[Mistake]:
        if group == "device" and str(tree["device"]["name"]).startswith("NPU"):
            (refusal,) = cls.refuses
            yield Mistake("device.name", f"'{tree['device']['name']}' {refusal.problem}", hint=refusal.hint)
        beams = tree["generation"]["num_beams"] or 1
        if group == "generation" and beams > 1 and tree["backend"]["prompt_lookup"]:
            yield Mistake("generation.num_beams", f"{beams} {LOOKUP_PROBLEM}", hint=LOOKUP_HINT)


OPTIONS = OpenVINOGenAIBackend
