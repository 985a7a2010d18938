"""Read the actual bit widths of an OpenVINO IR from openvino_model.xml.

They may differ from the requested ones: a layer that the group size does not divide may silently get 8 bits. A
compressed weight is a chain `Const -> Convert [-> Subtract zero point] -> Multiply scale [-> Reshape]`. Its group size
is the number of weights per element of the scale; without a Reshape, the group is the whole channel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import prod
from pathlib import Path
from typing import Any

from hforch.errors import ModelError
from hforch.models.ir import Graph, Layer, read_graph

COMPRESSED = {"u4": 4, "i4": 4, "nf4": 4, "f4e2m1": 4, "u8": 8, "i8": 8}
FLOATS = ("f32", "f16", "bf16", "f64")
PER_CHANNEL = "per channel"


def describe(ir: Path) -> dict[str, Any]:
    """Describe the weights of the IR in a directory.

    Returns:
        `weight_format`: int4 if any weight matrix has 4 bits, else int8 if any has 8 bits, else the type of most
        parameters, fp16 (which includes bf16) or fp32; `bits`: for each element type, `layers`, `parameters`, and, for
        4 and 8 bits, `group_sizes` (the number of layers by group size).

    Raises:
        ModelError: there is no IR, or it cannot be read.
    """
    return describe_graph(ir, read_graph(ir / "openvino_model.xml"))


def describe_graph(ir: Path, graph: Graph) -> dict[str, Any]:
    """Describe the weights of an IR that has been read; see `describe`."""
    try:
        bits = _table(graph)
    except RecursionError:
        raise ModelError(f"{ir / 'openvino_model.xml'} is damaged: too many consecutive conversions.") from None
    return {"weight_format": _weight_format(bits), "bits": bits}


def _table(graph: Graph) -> dict[str, Any]:
    counts, parameters = Counter[str](), Counter[str]()
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for name, layer in graph.layers.items():
        if layer.kind != "Const" or sum(size > 1 for size in layer.shape) < 2:
            continue  # norms and biases are small and not compressed
        if layer.element in COMPRESSED:
            scale = _scale(graph, name)
            if scale is None:
                continue  # not a weight, but a zero point or another constant
            groups[layer.element][scale] += 1
        elif layer.element not in FLOATS or _is_scale(graph, name):
            continue
        counts[layer.element] += 1
        parameters[layer.element] += prod(layer.shape)
    return {
        element: {
            "layers": count,
            "parameters": parameters[element],
            **({"group_sizes": dict(groups[element].most_common())} if element in groups else {}),
        }
        for element, count in counts.most_common()
    }


def _scale(graph: Graph, weight: str) -> str | None:
    """Return the number of weights per scale as a key of the table, or None if this is not a compressed weight."""
    name, multiplied = weight, None
    while multiplied is None:
        following = [
            reader
            for reader, index in graph.readers[name]
            if index == 0 and graph.layers[reader].kind in ("Convert", "Subtract", "Multiply")
        ]
        if not following:
            return None
        name = following[0]
        multiplied = name if graph.layers[name].kind == "Multiply" else None
    scale = _constant(graph, graph.inputs[multiplied].get(1))
    if scale is None:
        return None
    after = [graph.layers[reader].kind for reader, _ in graph.readers[multiplied]]
    return str(prod(graph.layers[weight].shape) // max(1, prod(scale.shape))) if "Reshape" in after else PER_CHANNEL


def _constant(graph: Graph, name: str | None) -> Layer | None:
    while name is not None and graph.layers[name].kind == "Convert":
        name = graph.inputs[name].get(0)
    return graph.layers[name] if name is not None and graph.layers[name].kind == "Const" else None


def _is_scale(graph: Graph, name: str) -> bool:
    """Return whether a float constant is the scale of a compressed weight instead of a weight."""
    for reader, index in graph.readers[name]:
        kind = graph.layers[reader].kind
        if kind == "Convert" and _is_scale(graph, reader):
            return True
        if kind == "Multiply" and index == 1:
            other = graph.inputs[reader].get(0)
            while other is not None and graph.layers[other].kind in ("Convert", "Subtract"):
                other = graph.inputs[other].get(0)
            if other is not None and graph.layers[other].element in COMPRESSED:
                return True
    return False


def _weight_format(bits: dict[str, Any]) -> str:
    widths = {COMPRESSED.get(element) for element in bits}
    if 4 in widths:
        return "int4"
    if 8 in widths:
        return "int8"
    floats = {element: bits[element]["parameters"] for element in bits}
    return "fp16" if max(floats, key=lambda element: floats[element], default="f32") in ("f16", "bf16") else "fp32"
