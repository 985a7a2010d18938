"""Metrics as the page names them, and what they mean in a few words; docs/metrics.md defines them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hforch.compare.table import HIGHER


@dataclass(frozen=True)
class Told:
    """How a metric is told.

    Attributes:
        unit: % for a share, which is shown in percent.
        against: whether it says how far a job is from its baseline.
    """

    title: str
    unit: str
    digits: int
    says: str
    against: bool = False


TOLD = {
    "tokens_per_s": Told("speed", "tokens/s", 1, "output tokens of all samples per second, batching included"),
    "ttft_ms": Told("first token", "ms", 0, "from the start of work on a prompt to its first token, median"),
    "tpot_ms": Told("time per token", "ms", 1, "time for each further token of an answer, median"),
    "peak_rss_mb": Told("peak memory", "MB", 0, "the most memory that the process with the model took"),
    "peak_accelerator_mb": Told("peak accelerator memory", "MB", 0, "the most memory taken on GPUs"),
    "energy_j": Told("energy", "J", 1, "energy that the GPUs used while the answers were measured"),
    "joules_per_token": Told("energy per token", "J", 3, "that energy divided by the output tokens"),
    "power_w": Told("power", "W", 0, "mean power of the GPUs"),
    "disk_mb": Told("disk", "MB", 0, "the weights as they lie on disk"),
    "failed": Told("failed", "samples", 0, "samples without an answer"),
    "checks": Told("checks passed", "%", 0, "share of the checks that the answers passed"),
    "identical": Told("identical", "%", 0, "share of answers that are those of the baseline, letter for letter", True),
    "kl_mean": Told("KL mean", "nats", 4, "how far the next-token distributions are from the baseline's, mean", True),
    "top1_agreement": Told("top-1 agreement", "%", 1, "share of tokens where both find the same one likeliest", True),
    "ppl": Told("perplexity", "", 2, "of a text: how surprised the model is by its tokens"),
    "bits_per_byte": Told("bits per byte", "", 3, "of a text: the same for models with different tokenizers"),
    "latency_ms": Told("latency", "ms", 0, "from handing over a prompt to its whole answer, median"),
    "ttft_p95_ms": Told("first token, p95", "ms", 0, "95 of 100 prompts have their first token sooner"),
    "load_s": Told("load", "s", 1, "loading the model"),
    "export_s": Told("export", "s", 1, "exporting the model to OpenVINO, the first time only"),
    "convert_s": Told("convert", "s", 1, "converting the checkpoint, the first time only"),
    "similarity": Told("edit similarity", "", 3, "1 - edits / length between both answers, mean", True),
    "chrf": Told("chrF", "", 1, "overlap of letter sequences between both answers, 0 to 100", True),
    "divergence": Told("diverges at", "", 0, "first token that differs from the baseline's, median", True),
    "divergence_share": Told("diverges after", "%", 0, "the same as a share of the answer", True),
    "kl_p99": Told("KL p99", "nats", 3, "99 of 100 tokens have a smaller divergence", True),
    "kl_max": Told("KL max", "nats", 2, "the largest divergence at a token", True),
    "flips_early": Told("early flips", "%", 0, "share of answers with another likeliest token in the first 16", True),
    "ppl_ratio": Told("perplexity ratio", "", 3, "perplexity over the baseline's", True),
}
"""Every metric, first what decides first."""


def described(name: str) -> dict[str, Any]:
    return {"name": name, "better": 1 if name in HIGHER else -1, **asdict(TOLD[name])}


def ordered(asked: Iterable[str]) -> list[str]:
    """The names of all metrics, those that a decision asked for before the others."""
    return list(dict.fromkeys([*asked, *TOLD]))
