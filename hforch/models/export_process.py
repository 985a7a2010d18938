"""A subprocess that exports a checkpoint to an OpenVINO IR; `exports.py` starts it and caches the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.errors import BackendError, ModelError, first_line
from hforch.models import subprocesses
from hforch.models.tokenizer_process import save_converted
from hforch.models.transformers_tokenizer import load_tokenizer, refuse_other_ids

TASK = "text-generation-with-past"
OTHERS = "Use backend=pytorch, or model=local with an existing OpenVINO IR."


def export(request: dict[str, Any]) -> list[list[int]]:
    """Write an IR, its configuration and its tokenizer into the directory `output`.

    Returns:
        the token ids of the probe texts.

    Raises:
        BackendError: the exporter is not installed or cannot be imported.
        ModelError: the exporter does not support the architecture, or the group size does not divide a layer's width.
    """
    try:
        from optimum.exporters.openvino import main_export
        from optimum.intel.openvino.configuration import OVConfig
    except ImportError as error:
        raise BackendError(
            f"The OpenVINO exporter cannot be imported ({error}): pip install 'hforch[openvino]'"
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
    return _save_tokenizer(Path(request["checkpoint"]), output, request["trust_remote_code"])


def _save_tokenizer(folder: Path, output: Path, trust_remote_code: bool) -> list[list[int]]:
    """Save a checkpoint's tokenizer next to the IR, and return the token ids that it gives for the probe texts.

    Raises:
        ModelError: the saved tokenizer tokenizes differently.
    """
    loaded = load_tokenizer(folder, trust_remote_code)
    loaded.tokenizer.save_pretrained(output)
    if loaded.is_corrected and (output / "openvino_tokenizer.xml").is_file():  # made from the uncorrected one
        save_converted(loaded.tokenizer, output)
    ids = loaded.probe_ids()
    refuse_other_ids(output, load_tokenizer(output, trust_remote_code).probe_ids(), ids)
    return ids


def _check_architecture(request: dict[str, Any]) -> None:
    from optimum.exporters.tasks import TasksManager
    from packaging.version import Version
    from transformers import AutoConfig
    from transformers import __version__ as installed

    folder = request["checkpoint"]
    config = AutoConfig.from_pretrained(folder, trust_remote_code=request["trust_remote_code"])
    name = getattr(config, "export_model_type", config.model_type)
    try:
        tasks = TasksManager.get_supported_tasks_for_model_type(name, exporter="openvino", library_name="transformers")
    except KeyError:
        tasks = {}
    if TASK not in tasks:
        raise ModelError(
            f"{folder} has the architecture {name!r}, which the OpenVINO exporter (optimum-intel) does not support "
            f"for text generation. {OTHERS}"
        )
    exporter = TasksManager.get_exporter_config_constructor(
        exporter="openvino", model_type=name, task=TASK, library_name="transformers"
    )
    newest = getattr(getattr(exporter, "func", exporter), "MAX_TRANSFORMERS_VERSION", None)
    if newest is not None and Version(installed) > Version(str(newest)):
        raise ModelError(
            f"{folder} has the architecture {name!r}, which the OpenVINO exporter (optimum-intel) supports only with "
            f"transformers {str(newest).replace('.99', '.*')} and earlier; {installed} is installed. {OTHERS}"
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
    """Compress the weights of an IR in place."""
    import nncf
    from openvino import Core, save_model

    compressed = xml.with_name("compressed.xml")
    try:
        model = nncf.compress_weights(Core().read_model(xml), **quantization.to_nncf_dict())
    except nncf.InvalidGroupSizeError as error:
        raise ModelError(
            f"Some layers of {request['checkpoint']} cannot be divided into groups of {request['group_size']} weights: "
            f"{first_line(error)}\n"
            "Set precision.group_size_fallback=adjust (smaller groups in these layers) or ignore (8 bits in these "
            "layers), or a precision.group_size that divides the width of all layers.",
            "precision.group_size",
        ) from error
    save_model(model, compressed, compress_to_fp16=False)
    del model
    for suffix in (".xml", ".bin"):
        compressed.with_suffix(suffix).replace(xml.with_suffix(suffix))


if __name__ == "__main__":
    subprocesses.answer(export)
