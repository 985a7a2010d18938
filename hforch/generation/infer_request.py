"""Reuse an OpenVINO infer request for batches of different sizes."""

from __future__ import annotations

from typing import Any


def fit_batch(request: Any, rows: int) -> None:
    """Free the KV cache of an infer request if the batch that it reads next has another size than the last one.

    Resetting a request keeps the buffers of its KV cache. If they are large enough for a batch with more rows, and are
    enlarged while this batch is read, OpenVINO 2026.4 copies the scales of a quantized cache (u8, u4) only for the rows
    of the batch for which the buffers were allocated: the logits of the other rows become NaN or wrong. New buffers
    have scales for all rows. Assigning an empty state frees the old ones, in about a millisecond. Only the CPU plugin
    has this fault.

    Args:
        request: the infer request of a stateful causal language model, which is reset if the sizes differ.
        rows: number of rows of the next batch.
    """
    if request.get_tensor("input_ids").shape[0] in (0, rows):  # 0: it has not run
        return
    if not any("CPU" in device for device in request.get_compiled_model().get_property("EXECUTION_DEVICES")):
        return
    request.reset_state()
    for state in request.query_state():
        empty = state.state
        if 0 in empty.shape:  # recurrent states keep their shape
            state.state = empty
    request.reset_state()
