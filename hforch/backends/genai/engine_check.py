"""Check that openvino-genai's engine computes a model like OpenVINO, which computes the scores of its jobs.

The engine is compared at full precision, where results may differ only by rounding, and with the settings of the job,
where they may differ by what these settings change in OpenVINO's results. Results are cached for each export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hforch.backends.base import Longest
from hforch.backends.ov.device import EXACT
from hforch.errors import BackendError
from hforch.machine.environment import installed
from hforch.models import cache, subprocesses
from hforch.models.architecture import attention_lengths, context_length
from hforch.utils.progress import Progress

VERSIONS = ("openvino", "openvino-genai")
FORM = 1  # version of the check
RESULT = "deviation.json"
NEW = 64  # tokens per completion, at full precision
FEW = 32  # with the settings of a job
PROMPTS = (7, 45)  # tokens of the prompts that do not depend on the model
AROUND = (-32, 16)  # tokens of the other prompts, relative to a length at which attention changes
LONGEST = 8192  # tokens of the longest prompt
FEWEST = 8  # tokens of the shortest completion

EXACT_SHARE = 0.002  # of the logits' standard deviation: larger differences at full precision are not rounding
FACTOR = 4.0  # of the rounding of a job's settings: larger differences are not explained by it


@dataclass(frozen=True)
class Deviation:
    """How an engine's log-probabilities deviate from OpenVINO's, in nats, over the tokens that the engine generated.

    Attributes:
        margin: the largest log-probability by which the engine's token is less likely than the most likely one.
        largest, mean: the absolute differences between log-probabilities of the engine and of OpenVINO.
        largest_rounding, mean_rounding: those between OpenVINO with the same settings and at full precision.
        spread: the mean standard deviation of the logits of a token.
        tokens: number of generated tokens.
        longest: tokens of the longest prompt.
    """

    margin: float
    largest: float
    mean: float
    largest_rounding: float
    mean_rounding: float
    spread: float
    tokens: int
    longest: int

    @property
    def is_explained(self) -> bool:
        """Whether rounding explains the deviation; a comparison with NaN is false, so NaN is never explained."""
        least = EXACT_SHARE * self.spread + 1e-5
        return (
            self.margin <= FACTOR * self.largest_rounding + least
            and self.largest <= 2 * FACTOR * self.largest_rounding + least
            and self.mean <= FACTOR * self.mean_rounding + least
        )


@dataclass(frozen=True)
class Engine:
    """The engine to check.

    Attributes:
        name: the model's name, for messages.
        digest: identifies the contents of the IR.
        folder, tokenizer: directories of the IR and its tokenizer.
        device, properties, scheduler: the settings of the job.
    """

    name: str
    digest: str
    folder: Path
    tokenizer: Path
    device: str
    properties: Mapping[str, str]
    scheduler: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Attributes:
        doubt: why the scores are not those of the engine; None if they are.
        record: description for the record.
    """

    doubt: str | None
    record: dict[str, Any]


def check_engine(engine: Engine, config: Mapping[str, Any], longest: Longest, progress: Progress) -> Verdict:
    """Compare the engine with OpenVINO, at full precision and with the settings of the job.

    Args:
        config: contents of config.json.
        longest: returns the maximum number of tokens of a prompt and its answer; None if unknown.

    Raises:
        BackendError: the engine computes the model wrongly, or crashes.
    """
    lengths = prompt_lengths(config, longest)
    exact = _measure(engine, "CPU", EXACT, lengths, progress)
    if isinstance(exact, str):
        return _not_compared(exact)
    if not exact.is_explained:
        raise BackendError(_wrong(engine, config, exact))
    if engine.device == "CPU" and engine.properties == EXACT:
        return Verdict(None, _recorded(exact, True))
    shorter = [(length, min(new, FEW)) for length, new in lengths]
    found = _measure(engine, engine.device, engine.properties, shorter, progress)
    if isinstance(found, str):
        return _not_compared(found)
    if found.is_explained:
        return Verdict(None, _recorded(found, True))
    doubt = (
        "scores are computed by OpenVINO, and with these settings openvino_genai's log-probabilities differ from"
        f" OpenVINO's by {found.mean:.3g} nats on average, but the settings change OpenVINO's by only"
        f" {found.mean_rounding:.3g}"
    )
    return Verdict(doubt, _recorded(found, False))


def prompt_lengths(config: Mapping[str, Any], longest: Longest) -> list[tuple[int, int]]:
    """Return the number of tokens of each prompt and of its completion.

    Prompts are shorter and longer than each length at which the model's attention changes, if texts can exceed it.
    """
    context = context_length(config) or LONGEST + NEW
    limits = [limit for limit in attention_lengths(config) if limit < min(context, LONGEST)]
    if limits and longest is not None:
        most = longest()
        limits = [limit for limit in limits if limit < most]
    around = [limit + more for limit in limits for more in AROUND]
    pairs = [(length, min(NEW, context - length)) for length in sorted({*PROMPTS, *around}) if 0 < length <= LONGEST]
    return [pair for pair in pairs if pair[1] >= FEWEST] or [(1, max(1, context - 1))]


def _measure(
    engine: Engine, device: str, properties: Mapping[str, str], lengths: list[tuple[int, int]], progress: Progress
) -> Deviation | str:
    """Return the deviation of the engine, or the reason why it cannot be measured."""
    request = {
        "device": device,
        "properties": dict(properties),
        "scheduler": dict(engine.scheduler),
        "lengths": lengths,
    }
    determined = {
        "ir": engine.digest,
        **request,
        "versions": {name: installed(name) for name in VERSIONS},
        "form": FORM,
    }
    digest = hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()
    key = cache.Key("engine_checks", digest[:16])
    request |= {"folder": str(engine.folder), "tokenizer": str(engine.tokenizer)}
    entry = cache.obtain(key, partial(_fill, engine, key, request, progress), progress)
    found = json.loads((entry.path / RESULT).read_text(encoding="utf-8"))
    return str(found["failed"]) if "failed" in found else Deviation(**found)


def _fill(engine: Engine, key: cache.Key, request: dict[str, Any], progress: Progress, folder: Path) -> dict[str, Any]:
    what = f"openvino_genai with OpenVINO: {engine.name}"
    how = "at full precision" if request["properties"] == EXACT else "with the settings of the job"
    with progress.stage("compare", f"{what}, {how} (cached for later runs)"):
        found = subprocesses.run(
            "hforch.backends.genai.engine_check_process", request, cache.log_path(key), f"Comparing {what}"
        )
    (folder / RESULT).write_text(json.dumps(found), encoding="utf-8")
    return {"what": f"comparison of {what}"}


def _not_compared(reason: str) -> Verdict:
    doubt = f"scores are computed by OpenVINO, which could not be compared with openvino_genai: {reason}"
    return Verdict(doubt, {"agrees": None, "reason": reason})


def _recorded(found: Deviation, agrees: bool) -> dict[str, Any]:
    return {
        "agrees": agrees,
        "prompt_tokens": found.longest,
        "tokens": found.tokens,
        "difference": round(found.mean, 6),
        "rounding": round(found.mean_rounding, 6),
    }


def _wrong(engine: Engine, config: Mapping[str, Any], found: Deviation) -> str:
    kind = config.get("model_type", "unknown")
    return (
        f"openvino_genai runs {engine.name} (architecture {kind!r}) incorrectly: at full precision, its"
        f" log-probabilities differ from OpenVINO's by up to {found.largest:.3g} nats ({found.tokens} generated tokens,"
        f" after prompts of up to {found.longest} tokens). Use backend=openvino."
    )
