"""Hydra's own files and log lines, without credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.config.credentials import has_names_that_count
from hforch.errors import ConfigError, Mistake
from hforch.redaction import allow_in_path, redact_logging, redacted_override, redacted_tree


def redact_what_hydra_writes() -> None:
    """Let Hydra's functions that save configurations and set up logging write no credentials, in this process."""
    from hydra._internal import hydra as entry
    from hydra.core import utils

    utils._save_config = save_config
    if getattr(utils.configure_log, "redacts", False):
        return
    configure = utils.configure_log

    def configure_log(*arguments: Any, **named: Any) -> None:
        configure(*arguments, **named)
        redact_logging()

    configure_log.redacts = True  # type: ignore[attr-defined]
    utils.configure_log = entry.configure_log = configure_log


def refuse_in_path(path: Path, key: str) -> None:
    """Refuse a directory whose name holds a credential.

    Raises:
        ConfigError: it does; `key` is what named it.
    """
    if not allow_in_path(str(path)):
        raise ConfigError([Mistake(key, "the name of a directory would hold a credential", None, "give another name")])


def save_config(cfg: Any, filename: str, directory: Path) -> None:
    """Save a configuration as Hydra does, with interpolations as they are written, and without credentials."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / filename).write_text(_to_yaml(cfg), encoding="utf-8")


def _to_yaml(cfg: Any) -> str:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf._utils import get_omega_conf_dumper

    tree: Any = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    if isinstance(tree, list):
        found: Any = [redacted_override(str(one)) for one in tree]
    else:
        found = redacted_tree(tree, by_name=has_names_that_count)
        typed = tree["hydra"].get("overrides") if isinstance(tree.get("hydra"), dict) else None
        if typed:
            found["hydra"]["overrides"] = {
                kind: [redacted_override(str(one)) for one in texts] for kind, texts in typed.items()
            }
    text: str = yaml.dump(
        found, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=get_omega_conf_dumper()
    )
    return text
