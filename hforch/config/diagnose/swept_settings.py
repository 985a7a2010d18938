"""Find the settings of Hydra that a swept option sets without effect, and errors in those that it sets for its jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hforch.config.diagnose.hydra_plugins import KINDS, target_mistakes
from hforch.config.diagnose.hydra_settings import (
    READ_IN_JOBS,
    READ_ONCE_IN_SWEEPS,
    job_mistakes,
    structure_mistakes,
    unresolved_setting,
)
from hforch.config.hydra_adapter.session import visible_to_resolvers
from hforch.errors import Mistake

TIME = re.compile(r"\$\{now:[^}]*\}")
OF_ANY_JOB = re.compile(r"\$\{(now:[^}]*|hydra[.:][\w.]+)\}")
"""Interpolations that can be resolved in every job if they can be resolved in one."""
HINT = "set it for all jobs, on the command line or in the primary config"
HINT_FOR_DIR = "set it for all jobs; hydra.sweep.subdir sets the directory of each job"


class SweptSettings:
    """Compares the settings of Hydra in each job of a sweep with those of the sweep.

    Args:
        base: the configuration of the sweep, without its swept values.
    """

    def __init__(self, base: DictConfig) -> None:
        self._base = base
        self._once = {path: unresolved_setting(base, path) for path in READ_ONCE_IN_SWEEPS}
        self._checked: set[str] = set()

    def mistakes(self, cfg: DictConfig, number: int) -> list[Mistake]:
        """Return the errors in the settings of Hydra of one job."""
        return list(structure_mistakes(cfg)) or [*self._without_effect(cfg), *self._of_the_job(cfg, number)]

    def _without_effect(self, cfg: DictConfig) -> Iterator[Mistake]:
        for path, before in self._once.items():
            now = unresolved_setting(cfg, path)
            if path == "mode" and getattr(now, "name", None) in (None, "MULTIRUN"):
                continue
            if now != before:
                unusable = list(target_mistakes(cfg.hydra, path)) if path in KINDS else []
                yield from unusable or _told(path, before, now, "a swept option sets it")
            elif "${" in TIME.sub("", repr(now)) and (values := self._resolved(path, cfg)):
                yield from _told(path, *values, "its value depends on swept values")

    def _resolved(self, path: str, cfg: DictConfig) -> tuple[Any, Any] | None:
        """Return the values of a setting for the sweep and for a job, or None if one cannot be resolved."""
        try:
            before = _select(self._base, path)
            OmegaConf.copy_cache(from_config=self._base, to_config=cfg)  # ${now:} is the same in all jobs
            return before, _select(cfg, path)
        except OmegaConfBaseException:
            return None

    def _of_the_job(self, cfg: DictConfig, number: int) -> list[Mistake]:
        """Check the settings that Hydra reads for each job, unless an earlier job had the same ones."""
        settings = {
            path: unresolved_setting(cfg, path) for path in (*READ_IN_JOBS, "job_logging", "sweep.subdir", "job.chdir")
        }
        if "${" not in OF_ANY_JOB.sub("", repr(settings)):
            if repr(settings) in self._checked:
                return []
            self._checked.add(repr(settings))
        return job_mistakes(cfg, number)


def _select(cfg: DictConfig, path: str) -> Any:
    with visible_to_resolvers(cfg):
        value = OmegaConf.select(cfg, f"hydra.{path}")
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _told(path: str, before: Any, now: Any, why: str) -> Iterator[Mistake]:
    """Yield an error for each setting that differs between the sweep (`before`) and a job."""
    if before != now:
        for place in _differences(f"hydra.{path}", before, now):
            problem = f"{why}, but Hydra reads it once for the whole sweep"
            yield Mistake(place, problem, hint=HINT_FOR_DIR if place == "hydra.sweep.dir" else HINT)


def _differences(path: str, one: Any, other: Any) -> Iterator[str]:
    """Yield the paths of the settings that differ; for objects of different classes, the path of the object."""
    both = isinstance(one, Mapping) and isinstance(other, Mapping)
    if not both or one.get("_target_") != other.get("_target_"):
        yield path
        return
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            yield from _differences(f"{path}.{key}", one.get(key), other.get(key))
