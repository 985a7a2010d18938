"""The architectures that transformers and optimum-intel have in common."""

from __future__ import annotations


def common_architectures() -> set[str]:
    """Return the `model_type` of each causal language model of transformers that optimum-intel can export."""
    import optimum.exporters.openvino  # noqa: F401  # registers its architectures
    from optimum.exporters.tasks import TasksManager
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    exported: set[str] = set()
    for task in ("text-generation", "text-generation-with-past"):
        exported |= {*TasksManager.get_supported_model_type_for_task(task, exporter="openvino")}
    return exported & MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() & {*CONFIG_MAPPING.keys()}
