"""Add to each error the place where the value was set. OmegaConf is imported only if there is an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hforch.config.config_dirs import ConfigDirs
from hforch.errors import Mistake


@dataclass(frozen=True)
class Locator:
    """Adds to each error in a job's values the place where the value was set.

    Worker processes get one with each job and rarely call it, so OmegaConf is imported only in the call.
    """

    overrides: tuple[str, ...]
    config_dirs: ConfigDirs

    def __call__(self, mistakes: Sequence[Mistake]) -> list[Mistake]:
        if not mistakes:
            return []
        from hforch.config.diagnose.origins import Sources
        from hforch.config.diagnose.overrides import parse_override
        from hforch.config.hydra_adapter.session import hydra_settings

        with hydra_settings():
            loader = self.config_dirs.same_loader()
            typed, _ = parse_override(self.overrides, loader)
        sources = Sources(self.config_dirs, typed, loader)
        return [replace(one, where=one.where or (sources.where(one.path) if one.path else None)) for one in mistakes]
