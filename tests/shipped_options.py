"""The options in conf/, each with the overrides that it needs for a valid job."""

from __future__ import annotations

from omegaconf import OmegaConf

from hforch.config.backends.registry import BACKENDS
from hforch.config.config_dirs import conf_dir
from hforch.config.keys import groups

VALUES = {"model.id": "ORG/NAME", "inputs.path": "x.csv", "device.name": "GPU.1"}
"""Values for required keys (`???`) that do not accept any string."""
DEFAULT_BACKEND = "pytorch"


def options() -> list[str]:
    files = [file.relative_to(conf_dir()) for file in conf_dir().rglob("*.yaml")]
    return sorted(f"{file.parent}={file.stem}" for file in files if file.parts[0] in groups())


def needs(option: str) -> list[str]:
    """Return the overrides that a shipped option requires: its required keys, and a backend that supports it."""
    group, _, name = option.partition("=")
    values = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
    assert isinstance(values, dict)
    found = [f"{group}.{key}={VALUES.get(f'{group}.{key}', 'x')}" for key, value in values.items() if value == "???"]
    if group == "checks":  # some use a column
        found.append("inputs.items=[{question: a, expected: b}]")
    takes = [
        backend
        for backend, own in BACKENDS.items()
        if not any(str(values.get(one.path.removeprefix(f"{group}."))) in one.values for one in own.refuses)
    ]
    if group != "backend" and DEFAULT_BACKEND not in takes:
        found.append(f"backend={takes[0]}")
    return found
