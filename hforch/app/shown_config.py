"""Print the composed configuration, or a part of it: --cfg, --package and --resolve."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.config.diagnose.library_errors import explain
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.hydra_adapter.nodes import is_missing, node_of
from hforch.config.hydra_adapter.session import visible_to_resolvers
from hforch.config.resolving import unresolvable
from hforch.errors import ConfigError, Mistake

WHOLE = "_global_"
COPIES = ("hydra.overrides.", "hydra.job.override_dirname")  # settings that repeat the overrides


def show_config(hydra: Any, name: str, args: argparse.Namespace) -> None:
    """Print the configuration as Hydra does.

    Raises:
        ConfigError: the package does not exist, or a value cannot be resolved; contains all errors.
    """
    from hydra.types import RunMode

    config = hydra.compose_config(name, args.overrides, RunMode.RUN, with_log_configuration=False)
    package = None if args.package in (None, WHOLE) else args.package
    path = tuple(re.sub(r"\[(.*?)\]", r".\1", package).lstrip(".").split(".")) if package else ()
    if args.cfg == "job" and path[:1] == ("hydra",):
        raise ConfigError([_refused(package, "--cfg job does not contain it", "use --cfg hydra or --cfg all")])
    with visible_to_resolvers(config):
        if path:
            _check_package(config, path, args.cfg)
        if args.resolve and (mistakes := list(_unresolvable(config, path, args.cfg))):
            raise ConfigError([one for one in mistakes if not one.path.startswith(COPIES)] or mistakes)
        if path and OmegaConf.select(config, str(package)) is None:
            print("null")
            return
    hydra.show_cfg(name, args.overrides, args.cfg, package, args.resolve)


def _refused(package: str | None, problem: str, hint: str | None) -> Mistake:
    return Mistake("", f"package '{package}' not found: {problem}", f"--package {package}", hint)


def _check_package(config: DictConfig, path: tuple[str, ...], kind: str) -> None:
    """Check that a part of the configuration exists and can be resolved."""
    package = ".".join(path)
    node: Any = config
    for at, step in enumerate(path):
        parent = ".".join(path[:at]) or "the configuration"
        known = _keys(node) if at or kind != "hydra" else ["hydra"]
        if step not in known:
            hint = did_you_mean(step, known, ".".join((*path[:at], "{}")))
            raise ConfigError([_refused(package, f"{parent} has no key '{step}'", hint)])
        key = int(step) if isinstance(node, ListConfig) else step
        if is_missing(node_of(node, key)):
            raise ConfigError([Mistake(package, "has no value (???)", f"--package {package}")])
        try:
            node = node[key]
        except OmegaConfBaseException as error:
            raise ConfigError([Mistake(package, f"cannot be resolved: {explain(error)}")]) from error


def _keys(node: Any) -> list[str]:
    if isinstance(node, ListConfig):
        return [str(index) for index in range(len(node))]
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def _unresolvable(config: DictConfig, path: tuple[str, ...], kind: str) -> Iterator[Mistake]:
    """Yield an error for each value that --resolve would have to resolve and cannot."""
    groups = [(str(key),) for key in config if kind == "all" or (key == "hydra") == (kind == "hydra")]
    for top in [path] if path else groups:
        for place, error in unresolvable(config, tuple(int(step) if step.isdigit() else step for step in top)):
            if "Missing mandatory value" not in str(error):  # Hydra prints ??? for it
                yield Mistake(".".join(map(str, place)), f"cannot be resolved: {explain(error)}")
