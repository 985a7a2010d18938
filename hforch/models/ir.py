"""Read the layers of an OpenVINO IR from its XML file, and check that its .bin file has all weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hforch.errors import ModelError, shown

LARGEST = 500_000_000  # bytes of an XML file; the largest known one is a hundredth of this


CACHE_INPUTS = ("past_key_values", "cache_params")


@dataclass(frozen=True)
class Layer:
    """A layer of an IR.

    Attributes:
        names: the names of its output, if it is an input of the model.
    """

    kind: str
    element: str
    shape: tuple[int, ...]
    names: str = ""


@dataclass(frozen=True)
class Graph:
    """The layers of an IR and their connections.

    Attributes:
        layers: the layers by id.
        readers: for each layer, the ids of the layers that read it, with the index of their input.
        inputs: for each layer, the ids of the layers that it reads, by input index.
    """

    layers: dict[str, Layer]
    readers: dict[str, list[tuple[str, int]]]
    inputs: dict[str, dict[int, str]]

    @property
    def is_stateful(self) -> bool:
        """Whether the model has a state, which holds its KV cache."""
        return any(layer.kind == "Assign" for layer in self.layers.values())

    @property
    def has_cache_inputs(self) -> bool:
        """Whether the KV cache is an input of the model, as in exports with stateful=False."""
        return any(name in layer.names for layer in self.layers.values() for name in CACHE_INPUTS)


def read_graph(xml: Path) -> Graph:
    """Return the graph of the IR in `xml`.

    Raises:
        ModelError: the XML file is invalid, or the .bin file next to it is too short.
    """
    try:
        size = xml.stat().st_size
        weights = xml.with_suffix(".bin")
        data = weights.stat().st_size if weights.is_file() else 0
    except OSError as error:
        raise ModelError(f"No OpenVINO IR in {xml.parent}: {xml.name} cannot be read ({error.strerror}).") from error
    if size > LARGEST:
        raise ModelError(f"{xml} is not a valid OpenVINO IR: it has {size:,} bytes (maximum {LARGEST:,}).")
    try:
        graph, end = _read(xml)
        _check_edges(graph)
    except OSError as error:
        raise ModelError(f"No OpenVINO IR in {xml.parent}: {xml.name} cannot be read ({error.strerror}).") from error
    except KeyError as error:
        raise ModelError(f"{xml} is not a valid OpenVINO IR: {shown(str(error), 80)} is missing.") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise ModelError(f"{xml} is not a valid OpenVINO IR: {shown(str(error))}.") from error
    if not graph.layers:
        raise ModelError(f"{xml} is not a valid OpenVINO IR: it has no layers.")
    if end > data:
        raise ModelError(
            f"{weights} is damaged or truncated: it has {data:,} bytes, but {xml.name} describes {end:,} bytes of "
            "weights."
        )
    return graph


def _read(xml: Path) -> tuple[Graph, int]:
    """Return the graph, and the number of bytes that its .bin file must have."""
    layers: dict[str, Layer] = {}
    readers: dict[str, list[tuple[str, int]]] = defaultdict(list)
    inputs: dict[str, dict[int, str]] = defaultdict(dict)
    ports: dict[tuple[str, str], int] = {}
    depth = end = 0  # the bodies of loops and branches contain nested layers with the same ids
    for event, node in ElementTree.iterparse(xml, events=("start", "end")):
        if node.tag == "layers":
            depth += 1 if event == "start" else -1
        elif event == "end" and node.tag == "layer":
            data = node.find("data")
            given = data.attrib if data is not None else {}
            if node.attrib["type"] == "Const":
                end = max(end, _end(given))
            if depth != 1:
                continue
            shape = tuple(int(size) for size in given.get("shape", "").replace(" ", "").split(",") if size.isdigit())
            names = ""
            if node.attrib["type"] == "Parameter" and (output := node.find("output/port")) is not None:
                names = output.attrib.get("names", "")
            layers[node.attrib["id"]] = Layer(node.attrib["type"], given.get("element_type", ""), shape, names)
            for index, port in enumerate(node.findall("input/port")):
                ports[node.attrib["id"], port.attrib["id"]] = index
            node.clear()
        elif event == "end" and node.tag == "edge" and depth == 0:
            reader = node.attrib["to-layer"]
            index = ports.get((reader, node.attrib["to-port"]), 0)
            readers[node.attrib["from-layer"]].append((reader, index))
            inputs[reader][index] = node.attrib["from-layer"]
    return Graph(layers, readers, inputs), end


def _end(given: Mapping[str, str]) -> int:
    offset, size = int(given.get("offset", "0")), int(given.get("size", "0"))
    if offset < 0 or size < 0:
        raise ValueError(f"a constant of {size} bytes at byte {offset}")
    return offset + size


def _check_edges(graph: Graph) -> None:
    """Raise ValueError if an edge refers to an unknown layer, or if the layers form a cycle."""
    names = graph.layers.keys()
    if foreign := (graph.readers.keys() | graph.inputs.keys()) - names:
        raise ValueError(f"an edge refers to layer {min(foreign)}, which does not exist")
    unread = Counter(reader for readers in graph.readers.values() for reader, _ in readers)
    ready = [name for name in names if not unread[name]]
    for name in ready:  # grows during the iteration
        for reader, _ in graph.readers.get(name, ()):
            unread[reader] -= 1
            if not unread[reader]:
                ready.append(reader)
    if len(ready) < len(names):
        raise ValueError("its layers form a cycle")
