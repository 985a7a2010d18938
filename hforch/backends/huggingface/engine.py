"""The engine that generates with transformers, for torch and OpenVINO models."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from typing import Any
from uuid import uuid4

from hforch.backends.huggingface.batch_rows import together
from hforch.backends.huggingface.generation_config import effective, generation_config, neutral_config
from hforch.backends.huggingface.kv_cache import KVCaches, cache_argument
from hforch.backends.huggingface.longrope import recomputing
from hforch.backends.huggingface.pipeline_settings import PromptHandling
from hforch.backends.huggingface.recurrent_scan import longest_prompt, refuse_longer
from hforch.config.schema import Generation
from hforch.errors import Mistake, UnknownArgument, first_line
from hforch.generation.chat import apply_chat_template
from hforch.generation.completion import Completion, Vocabulary, eos_ids
from hforch.generation.detokenizer import Decode
from hforch.generation.engine import FixedCache, RenderedChat, Request, SerialEngine, Work
from hforch.generation.grammar import Guide, require_eos, required_schema
from hforch.generation.infer_request import fit_batch
from hforch.generation.padding import padding_counts
from hforch.generation.request_queue import RequestQueue
from hforch.models.architecture import CONTEXT_NAMES, longrope_switch
from hforch.models.tokenizers import check_ids, tokenizing
from hforch.models.transformers_tokenizer import PROBES

log = logging.getLogger("hforch")


class PipelineEngine(SerialEngine):
    """An engine that generates with the torch or OpenVINO model of a transformers `text-generation` pipeline.

    Args:
        pipeline: the pipeline; only its model and its tokenizer are used.
        identity: everything that determines the answers of the model; None for a model that hforch did not load.
        queue: the request queue of the model, if it already has one.
        kv_caches: KV caches of a torch model; None for a new dynamic cache in each call.
        shipped: the GenerationConfig to use instead of the model's own.
        prompts: how to convert a prompt to tokens.
    """

    def __init__(
        self,
        pipeline: Any,
        identity: Mapping[str, Any] | None = None,
        queue: RequestQueue | None = None,
        kv_caches: KVCaches | None = None,
        shipped: Any = None,
        prompts: PromptHandling | None = None,
    ) -> None:
        super().__init__(queue)
        self.kv_caches, self.prompts = kv_caches, prompts or PromptHandling()
        self.model, self.tokenizer = pipeline.model, pipeline.tokenizer
        self.identity = identity if identity is not None else _identity_of(self.model)
        self.shipped = shipped if shipped is not None else self.model.generation_config
        config = self.model.config.get_text_config()
        self.context_length = next((n for name in CONTEXT_NAMES if (n := getattr(config, name, None))), None)
        self.rows = _rows(self.model)
        self.longest_prompt = longest_prompt(self.model)
        self.longrope_switch = longrope_switch(config.to_dict())
        self.eos = eos_ids(self.shipped.eos_token_id, self.model.config.eos_token_id, self.tokenizer.eos_token_id)
        self.pad = next((i for i in (self.tokenizer.pad_token_id, *self.eos) if i is not None), 0)
        self._vocabulary = _vocabulary(self.tokenizer, self.eos)

    def encode(self, prompt: str) -> list[int]:
        rendered = isinstance(prompt, RenderedChat)
        text = str(prompt) if rendered else self.prompts.prefix + prompt
        adds = self.prompts.adds_special_tokens and not rendered
        with tokenizing():
            ids = list(self.tokenizer(text, add_special_tokens=adds, truncation=False)["input_ids"])
        check_ids(ids, self.rows)
        bos = self.tokenizer.bos_token_id
        # Remove a second BOS: the prompt may start with one, for example if another tool applied the chat template.
        return ids[1:] if bos is not None and ids[:2] == [bos, bos] and not rendered else ids

    def room(self, prompt_tokens: int | None, generation: Generation) -> int:
        refuse_longer(prompt_tokens or 0, self.longest_prompt)
        if generation.max_length is not None and self.prompts.prefix_tokens:
            longer = generation.max_length + self.prompts.prefix_tokens
            generation = generation.model_copy(update={"max_length": longer})
        return super().room(prompt_tokens, generation)

    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        return apply_chat_template(self.tokenizer, messages, kwargs)

    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def draws(self, generation: Generation) -> bool:
        return bool(self._config(generation, limit=1).do_sample)

    def decoding(self, generation: Generation) -> dict[str, Any]:
        return effective(self._config(generation, generation.max_new_tokens or 1)) | {
            "max_new_tokens": generation.max_new_tokens,
            "max_length": generation.max_length,
            "context_length": self.context_length,
        }

    def expect(self, work: Work) -> dict[str, Any]:
        if self.kv_caches is None:
            return {}
        caches = self.kv_caches
        self.queue.submit(lambda: caches.expect(work), cancelled=threading.Event()).result()
        return caches.chosen.record()

    def fixed_cache(self, rows: int, prompt_tokens: int | None, generation: Generation) -> FixedCache | None:
        if self.kv_caches is None or prompt_tokens is None or (self._config(generation, limit=1).num_beams or 1) > 1:
            return None
        shape = self.kv_caches.shape(rows, prompt_tokens + self.room(prompt_tokens, generation))
        return FixedCache(*shape, self.kv_caches.dropped) if shape else None

    def parts(self, completions: Sequence[Completion]) -> list[list[int]]:
        lengths = [len(completion.prompt_ids) for completion in completions]
        if len({*lengths}) < 2:
            return super().parts(completions)
        limits = [completion.max_tokens for completion in completions]
        return together(lengths, limits, self.padding_counts, self.longrope_switch)

    @cached_property
    def padding_counts(self) -> bool:
        """Whether the model treats padding as tokens before the prompt, found by comparing logits for two texts."""
        most = self.context_length and self.context_length - 1
        try:
            short, long = (self.encode(text)[:most] for text in PROBES)
            return padding_counts(self._next_logits, short, long)
        except Exception as error:  # the model cannot run a batch of two, so there will be none
            log.info("cannot answer two texts together: %s", first_line(error, with_type=True))
            return False

    def batch_remarks(self, batch_size: int) -> tuple[Mistake, ...]:
        """Return a warning if prompts of different lengths cannot share a batch."""
        if batch_size == 1 or not self.padding_counts:
            return ()
        problem = "this model treats padding as tokens, so only prompts with the same number of tokens share a batch"
        return (Mistake("runtime.batch_size", problem),)

    def _next_logits(self, prompts: Sequence[Sequence[int]]) -> Any:
        """Return the logits of the token after each prompt, of shape (prompts, vocabulary)."""
        import torch

        ids, mask = _left_padded(prompts, self.pad, self.model.device)
        self._fit_batch(len(prompts))
        with self._neutral(), torch.no_grad():
            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=1,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
        return found.logits[0].float().cpu().numpy()

    def generate(self, completions: Sequence[Completion], request: Request) -> None:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        from hforch.backends.huggingface.finite_logits import FiniteLogits  # imports transformers
        from hforch.backends.huggingface.token_tap import token_tap

        limit = max(completion.max_tokens for completion in completions)
        config = self._config(request.generation, limit)
        beams = (config.num_beams or 1) > 1
        prompts = [completion.prompt_ids for completion in completions]
        cache, rows = (None, len(prompts)) if beams else self._static_cache(prompts, request.generation, config)
        ids, mask = _left_padded([*prompts, *prompts[:1] * (rows - len(prompts))], self.pad, self.model.device)
        self._fit_batch(rows)
        finite = FiniteLogits(config.num_beams or 1)
        tap = token_tap(completions, request, rows, beams, finite, self._finite_remedy)
        processors = [finite, *self._logits_processors(request.generation, ids.shape[1])]
        seeded = self._seeded(request.seed) if config.do_sample else nullcontext()
        with seeded, self._neutral(), recomputing(self.model, self.longrope_switch), torch.no_grad():
            sequences = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([tap]),
                logits_processor=LogitsProcessorList(processors),
                **({} if cache is None else {cache_argument(): cache}),
            )
        if beams:
            for completion, sequence in zip(completions, sequences[:, ids.shape[1] :].tolist(), strict=True):
                completion.take(sequence)
        for completion in completions:
            completion.finish()

    def free(self) -> None:
        super().free()
        self.model = self.kv_caches = None

    def drop_caches(self) -> None:
        if self.kv_caches is not None:
            self.kv_caches.make_room()

    def recovers(self, error: Exception) -> bool:
        return self.kv_caches is not None and self.kv_caches.disable_compiling_after(error)

    def _fit_batch(self, rows: int) -> None:
        """Prepare the infer request of an OpenVINO model for a batch of this many rows."""
        if hasattr(request := getattr(self.model, "request", None), "query_state"):
            fit_batch(request, rows)

    @property
    def _finite_remedy(self) -> str:
        """What to try if the logits are not finite."""
        return "precision=fp32 ov_config=accuracy" if hasattr(self.model, "ov_config") else "precision=fp32"

    def _static_cache(self, prompts: Sequence[Sequence[int]], generation: Generation, config: Any) -> tuple[Any, int]:
        """Return the static KV cache of a batch and its number of rows; for a dynamic one, None and the batch size."""
        if self.kv_caches is None:
            return None, len(prompts)
        lengths = [len(prompt) for prompt in prompts]
        most = max(lengths) + max(self.room(length, generation) for length in lengths)
        shape = self.kv_caches.shape(len(prompts), most)
        cache = self.kv_caches.take(shape) if shape else None
        if shape is None or cache is None:
            return None, len(prompts)
        self.kv_caches.configure(config)
        return cache, shape[0]

    def _logits_processors(self, generation: Generation, prompt_tokens: int) -> list[Any]:
        """Return the logits processors that enforce a JSON Schema; none if no schema is set."""
        schema = required_schema(generation)
        return [] if schema is None else [self._guide.processor(schema, prompt_tokens)]

    @cached_property
    def _guide(self) -> Guide:
        fast = getattr(self.tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise UnknownArgument("json_schema requires a fast tokenizer, which this model does not have")
        require_eos(self.eos)
        return Guide(fast.to_str(), self.eos)

    def _config(self, generation: Generation, limit: int) -> Any:
        return generation_config(generation, self.shipped, self.eos, self.pad, limit)

    @contextmanager
    def _neutral(self) -> Iterator[None]:
        """Hide the checkpoint's generation config, from which transformers would fill unset fields."""
        own, self.model.generation_config = self.model.generation_config, neutral_config(self.pad)
        try:
            yield
        finally:
            self.model.generation_config = own

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Seed torch's random generator for this call, and restore its state afterwards."""
        import torch

        device = self.model.device
        cuda = device.type == "cuda"
        with torch.random.fork_rng(devices=[device] if cuda else []):
            torch.manual_seed(seed)
            yield


def _left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """Return input ids and attention mask, both of shape (prompts, length of the longest prompt)."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask


def _rows(model: Any) -> int | None:
    """Return the number of rows of the embedding matrix, or the configured vocabulary size; None if unknown."""
    try:
        weight = model.get_input_embeddings().weight
    except (AttributeError, NotImplementedError):
        rows = getattr(model.config.get_text_config(), "vocab_size", None)
    else:
        rows = weight.shape[0] if weight.dim() == 2 else None
    return rows if isinstance(rows, int) and rows > 0 else None


def _vocabulary(tokenizer: Any, eos: Sequence[int]) -> Vocabulary:
    special = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if token.special} | dict(
        zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    )
    return Vocabulary(_decode_of(tokenizer), special, tuple(eos))


def _decode_of(tokenizer: Any) -> Decode:
    """Return a function from token ids to text that calls the Rust tokenizer directly where possible.

    The function is called for each token. The Rust tokenizer is three times as fast as transformers' `decode`, which is
    used only for tokenizer classes that override it.
    """
    from transformers import TokenizersBackend

    kind = type(tokenizer)
    if isinstance(tokenizer, TokenizersBackend) and all(
        getattr(kind, name) is getattr(TokenizersBackend, name) for name in ("decode", "_decode")
    ):
        return partial(tokenizer.backend_tokenizer.decode, skip_special_tokens=False)

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    return decode


def _identity_of(model: Any) -> dict[str, Any]:
    """Return a unique identity for a model that hforch did not load, since its weights may have been modified."""
    return {"name": getattr(model, "name_or_path", ""), "class": type(model).__name__, "object": uuid4().hex}
