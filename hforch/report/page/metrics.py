"""Metrics as the page names them."""

from __future__ import annotations

from typing import Any

from hforch.compare.table import HIGHER

TITLES: dict[str, tuple[str, str, int]] = {
    "tokens_per_s": ("speed", "tokens/s", 1),
    "ttft_ms": ("first token", "ms", 0),
    "tpot_ms": ("time per token", "ms", 1),
    "peak_rss_mb": ("peak memory", "MB", 0),
    "peak_accelerator_mb": ("peak accelerator memory", "MB", 0),
    "disk_mb": ("disk", "MB", 0),
    "failed": ("failed", "samples", 0),
    "checks": ("checks passed", "%", 0),
    "identical": ("identical", "%", 0),
    "kl_mean": ("KL mean", "nats", 4),
    "top1_agreement": ("top-1 agreement", "%", 1),
    "ppl": ("perplexity", "", 2),
    "bits_per_byte": ("bits per byte", "", 3),
    "latency_ms": ("latency", "ms", 0),
    "ttft_p95_ms": ("first token, p95", "ms", 0),
    "load_s": ("load", "s", 1),
    "export_s": ("export", "s", 1),
    "convert_s": ("convert", "s", 1),
    "similarity": ("edit similarity", "", 3),
    "chrf": ("chrF", "", 1),
    "divergence": ("diverges at", "", 0),
    "divergence_share": ("diverges after", "%", 0),
    "kl_p99": ("KL p99", "nats", 3),
    "kl_max": ("KL max", "nats", 2),
    "flips_early": ("early flips", "%", 0),
    "ppl_ratio": ("perplexity ratio", "", 3),
}
"""Title, unit and digits of every metric, what decides first; a share is shown in percent."""


def described(name: str) -> dict[str, Any]:
    title, unit, digits = TITLES[name]
    return {"name": name, "title": title, "unit": unit, "digits": digits, "better": 1 if name in HIGHER else -1}
