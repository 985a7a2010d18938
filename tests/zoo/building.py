"""Build the tiny model of a case, and generate the reference answers with transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from .cases import SHAPE, Case
from .texts import PROMPTS
from .tokenizer_kinds import KINDS, TrainedTokenizer

NEW_TOKENS = 64
GAINS, SEEDS = (1.5, 2.5, 4.0), (0, 1, 2, 3)
VARIED, CLEAR = 8, 1e-4
"""Required of each reference answer: distinct tokens, unless it is short, and the smallest gap between the two largest
logits, in standard deviations of the logits, so that rounding cannot change an answer."""
KEPT = ("A_log", "dt_proj", "dt_bias", "conv")
"""Parts of names of parameters that keep their initial values."""


@dataclass(frozen=True)
class Reference:
    """Prompts with their token ids, and the answers to them, without EOS.

    Attributes:
        distinct: the mean number of distinct tokens in an answer.
        gap: the smallest gap between the two largest logits, in standard deviations of the logits.
    """

    prompt_ids: list[list[int]]
    output_ids: list[list[int]]
    distinct: float
    gap: float

    @property
    def remark(self) -> str:
        """What the comparison could not ensure; empty if nothing."""
        told = [] if self.distinct >= VARIED else [f"answers of only {self.distinct:.0f} distinct tokens"]
        return "; ".join(told if self.gap >= CLEAR else [*told, f"two tokens almost equally likely ({self.gap:.0e})"])


def build(case: Case, folder: Path) -> None:
    """Save the model of a case with its tokenizer and its `reference.json`."""
    import torch

    torch.set_num_threads(1)  # the process is pinned to one core
    trained = KINDS[case.tokenizer]()
    config = config_of(case, trained)
    for model in candidates(config):
        found = answers(model, trained)
        if found is not None:
            break
    else:  # none is good enough
        model = next(candidates(config))
        found = answers(model, trained, varied=0, clear=0.0)
    assert found is not None
    model.save_pretrained(folder)
    trained.save(folder)
    (folder / "reference.json").write_text(json.dumps(asdict(found)), encoding="utf-8")


def config_of(case: Case, trained: TrainedTokenizer) -> Any:
    from transformers import CONFIG_MAPPING

    tokens = {f"{role}_token_id": trained.id_of(f"{role}_token") for role in ("bos", "eos", "pad")}
    rows = trained.tokenizer.get_vocab_size() + case.extra_tokens
    values = {**SHAPE, "vocab_size": rows, **tokens, "tie_word_embeddings": False, **case.config}
    removed = {name for name, value in values.items() if value is None and name not in tokens}
    return CONFIG_MAPPING[case.model_type](**{name: values[name] for name in values.keys() - removed})


def candidates(config: Any) -> Iterator[Any]:
    """Yield models with different random weights."""
    import torch
    from transformers import AutoModelForCausalLM

    for gain, seed in product(GAINS, SEEDS):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        randomize(model, gain)
        yield model


def randomize(model: Any, gain: float) -> None:
    """Set the weights of a model to random values larger than the usual initialization, which repeats one token."""
    import torch

    embedding = 0.1 if model.config.tie_word_embeddings else 1.0  # tied ones favour the last token
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(kept in name for kept in KEPT) or not parameter.is_floating_point():
                continue
            if parameter.dim() == 1:  # biases and norms
                parameter.add_(0.1 * torch.randn_like(parameter))
            else:
                is_embedding = "emb" in name or "wte" in name or "wpe" in name
                parameter.normal_(0.0, embedding if is_embedding else gain / parameter.shape[-1] ** 0.5)


def answers(model: Any, trained: TrainedTokenizer, varied: int = VARIED, clear: float = CLEAR) -> Reference | None:
    """Return transformers' greedy answers to each prompt alone, without a KV cache.

    None if an answer is not varied or not clear enough.
    """
    import torch
    from transformers import GenerationConfig

    eos = trained.id_of("eos_token")
    prompt_ids = [trained.tokenizer.encode(prompt).ids for prompt in PROMPTS]
    outputs: list[list[int]] = []
    smallest = float("inf")
    shipped, model.generation_config = model.generation_config, GenerationConfig()  # with no forced tokens
    for ids in prompt_ids:
        asked = torch.tensor([ids])
        with torch.no_grad():
            found = model.generate(
                input_ids=asked,
                attention_mask=torch.ones_like(asked),
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                use_cache=False,
                eos_token_id=eos,
                pad_token_id=eos if eos is not None else 0,
                output_logits=True,
                return_dict_in_generate=True,
            )
        logits = torch.cat(found.logits).float()
        top = logits.topk(2).values
        smallest = min(smallest, float(((top[:, 0] - top[:, 1]) / logits.std(-1)).min()))
        new = found.sequences[0, len(ids) :].tolist()
        if smallest < clear or min(varied, len(new) // 4) > len({*new}):
            return None
        outputs.append(new[: new.index(eos)] if eos in new else new)
    model.generation_config = shipped
    distinct = sum(len({*output}) for output in outputs) / len(outputs)
    return Reference(prompt_ids, outputs, round(distinct, 1), smallest)
