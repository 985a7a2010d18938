"""Remove credentials from the files and log lines that Hydra writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hforch.config.credentials import may_be_named_secret
from hforch.config.hydra_adapter.jobs import replace_writers
from hforch.config.hydra_adapter.nodes import yaml_dumper
from hforch.errors import ConfigError, Mistake
from hforch.utils.redacted_output import redact_logging
from hforch.utils.redaction import allow_in_path, redacted_override, redacted_tree


def redact_what_hydra_writes() -> None:
    """Replace Hydra's functions that save configs and set up logging with functions that redact credentials."""
    replace_writers(save_config, redact_logging)


def refuse_credentials_in_path(path: Path, key: str) -> None:
    """Raise ConfigError if the path of a directory contains a credential.

    Args:
        key: the config key that set the path.
    """
    if not allow_in_path(str(path)):
        raise ConfigError([Mistake(key, "the directory name contains a credential", None, "use another name")])


def save_config(cfg: Any, filename: str, directory: Path) -> None:
    """Save a configuration as Hydra does, with interpolations unresolved and credentials redacted."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / filename).write_text(_to_yaml(cfg), encoding="utf-8")


def _to_yaml(cfg: Any) -> str:
    import yaml
    from omegaconf import OmegaConf

    tree: Any = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    if isinstance(tree, list):
        found: Any = [redacted_override(str(one)) for one in tree]
    else:
        found = redacted_tree(tree, by_name=may_be_named_secret)
        typed = tree["hydra"].get("overrides") if isinstance(tree.get("hydra"), dict) else None
        if typed:
            found["hydra"]["overrides"] = {
                kind: [redacted_override(str(one)) for one in texts] for kind, texts in typed.items()
            }
    text: str = yaml.dump(found, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=yaml_dumper())
    return text
