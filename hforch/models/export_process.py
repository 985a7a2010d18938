"""The process that makes an OpenVINO IR: `exports.py` starts it and caches what it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.errors import BackendError, ModelError
from hforch.models import subprocesses

TASK = "text-generation-with-past"


def export(request: dict[str, Any]) -> None:
    """Write the IR, its configuration and its tokenizer into the folder `output`.

    Raises:
        BackendError: the exporter is not installed, or does not import.
        ModelError: it does not know the architecture, or a group size does not fit.
    """
    try:
        from optimum.exporters.openvino import main_export
        from optimum.intel.openvino.configuration import OVConfig
    except ImportError as error:
        raise BackendError(
            f"The OpenVINO exporter does not import ({error}): pip install 'hforch[openvino]'"
        ) from error
    output = Path(request["output"])
    _check_architecture(request)
    quantization = _quantization(request)
    config = OVConfig(quantization_config=quantization) if quantization else OVConfig(dtype=request["weight_format"])
    main_export(
        request["checkpoint"],
        output,
        task=TASK,
        library_name="transformers",
        trust_remote_code=request["trust_remote_code"],
        convert_tokenizer=True,
        local_files_only=True,
        ov_config=config,
    )
    if quantization:
        _compress(output / "openvino_model.xml", quantization, request)
    config.save_pretrained(output)


def _check_architecture(request: dict[str, Any]) -> None:
    from optimum.exporters.tasks import TasksManager
    from transformers import AutoConfig

    folder = request["checkpoint"]
    config = AutoConfig.from_pretrained(folder, trust_remote_code=request["trust_remote_code"])
    name = getattr(config, "export_model_type", config.model_type)
    try:
        tasks = TasksManager.get_supported_tasks_for_model_type(name, exporter="openvino", library_name="transformers")
    except KeyError:
        tasks = {}
    if TASK not in tasks:
        raise ModelError(
            f"{folder} is of the architecture {name!r}, which the OpenVINO exporter (optimum-intel) does not know "
            "for text generation. Use backend=pytorch, or model=local with an IR that was made elsewhere."
        )


def _quantization(request: dict[str, Any]) -> Any:
    from optimum.intel import OVWeightQuantizationConfig

    match request["weight_format"]:
        case "int8":
            return OVWeightQuantizationConfig(bits=8, sym=False)
        case "int4":
            return OVWeightQuantizationConfig(
                bits=4,
                sym=False,
                ratio=1.0,
                group_size=request["group_size"],
                group_size_fallback=request["group_size_fallback"],
            )
    return None


def _compress(xml: Path, quantization: Any, request: dict[str, Any]) -> None:
    """Compress the weights of the IR in its place."""
    import nncf
    from openvino import Core, save_model

    compressed = xml.with_name("compressed.xml")
    try:
        model = nncf.compress_weights(Core().read_model(xml), **quantization.to_nncf_dict())
    except nncf.InvalidGroupSizeError as error:
        raise ModelError(
            f"Not every layer of {request['checkpoint']} can be cut into groups of {request['group_size']} weights: "
            f"{str(error).splitlines()[0]}\n"
            "Choose precision.group_size_fallback=adjust (smaller groups there) or ignore (8 bits there), "
            "or a precision.group_size that divides the layers' width.",
            "precision.group_size",
        ) from error
    save_model(model, compressed, compress_to_fp16=False)
    del model
    for suffix in (".xml", ".bin"):
        compressed.with_suffix(suffix).replace(xml.with_suffix(suffix))


if __name__ == "__main__":
    subprocesses.answer(export)
