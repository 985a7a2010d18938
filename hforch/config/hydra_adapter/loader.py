"""A config loader for Hydra that reads and merges files once, since the jobs of a sweep share most of them.

Building the defaults list and merging its files is most of the work and depends only on the selected options. The
result is cached, and value overrides are applied to a copy of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import omegaconf.base
from hydra import __version__, version
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.defaults_list import Overrides, create_defaults_list
from hydra.conf import ConfigSourceInfo
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import InputDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from hforch.config import shorthand
from hforch.config.copying import copies
from hforch.config.credentials import for_name, remember_settings, watch_environment
from hforch.config.hydra_adapter.repository import Merged, RememberingRepository

MOST_MERGED = 64
MOST_PARSED = 256
_merged: dict[Any, Merged] = {}  # key: directories, primary config and options


@contextmanager
def _skipping_unused_maps() -> Iterator[None]:
    """Do not build Hydra's map of all choices for files whose defaults lists contain no `${}`.

    Building it takes a third of composition time.
    """
    make = defaults_list._create_interpolation_map

    def where_needed(overrides: Overrides, defaults: list[InputDefault], self_added: bool) -> DictConfig:
        needed = any(default.is_interpolation() for default in defaults)
        return make(overrides, defaults, self_added) if needed else DictConfig({})

    defaults_list._create_interpolation_map = where_needed
    try:
        yield
    finally:
        defaults_list._create_interpolation_map = make


@contextmanager
def parsing_once() -> Iterator[None]:
    """Parse each override and each string with `${}` once; parsing is slow, and jobs of a sweep share most of them."""
    parse, parse_rule = omegaconf.base.parse, OverridesParser.parse_rule
    known: dict[tuple[str, str], Any] = {}

    def parse_rule_once(parser: OverridesParser, text: str, rule: str) -> Any:
        if (text, rule) not in known:
            if len(known) >= MOST_PARSED:
                known.clear()
            known[text, rule] = parse_rule(parser, text, rule)
        return known[text, rule]  # never modified

    omegaconf.base.parse = lru_cache(MOST_PARSED)(parse)
    OverridesParser.parse_rule = parse_rule_once
    try:
        yield
    finally:
        omegaconf.base.parse = parse
        OverridesParser.parse_rule = parse_rule


class Loader(ConfigLoaderImpl):
    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        watch_environment()
        self.repository = RememberingRepository(config_search_path)

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        if config_name is None and not overrides:
            return list(self.repository.get_group_options(group_name, results_filter))
        return list(super().get_group_options(group_name, results_filter, config_name, overrides))

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Any], CachingConfigRepository]:
        written = [shorthand.as_written(one) for one in overrides]
        parsed, repo = super()._parse_overrides_and_create_caching_repo(config_name, written)
        return [shorthand.as_option(one) for one in parsed], repo

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a configuration like Hydra's own loader, but merge files only once."""
        try:
            return self._composed(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        except (AttributeError, TypeError, KeyError) as error:  # for example, a mapping in place of null
            raise ConfigCompositionException("the value is incompatible with the existing value") from error

    def _composed(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool,
        validate_sweep_overrides: bool,
    ) -> DictConfig:
        self.ensure_main_config_source_available()
        parsed, repo = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        if validate_sweep_overrides:
            self.validate_sweep_overrides_legal(overrides=parsed, run_mode=run_mode, from_shell=from_shell)
        values = Overrides(repo=repo, overrides_list=parsed).config_overrides
        options = [one for one in parsed if not one.is_sweep_override() and one not in values]
        merged = self._merge(config_name, options, repo, skip_missing=run_mode == RunMode.MULTIRUN)
        cfg = merged.config()
        self._apply_overrides_to_config(values, cfg)
        self._fill_in(cfg.hydra, config_name, parsed, merged, repo)
        return cfg

    def _fill_in(
        self, settings: Any, config_name: str | None, parsed: list[Any], merged: Merged, repo: CachingConfigRepository
    ) -> None:
        """Set the values in the `hydra` node that depend on the overrides and the environment."""
        for one in parsed:
            said = settings.overrides.hydra if one.is_hydra_override() else settings.overrides.task
            said.append(one.input_line)
        with open_dict(settings):
            for name in settings.job.env_copy:
                if name in os.environ:  # hydra_settings.py reports the others
                    settings.job.env_set[name] = os.environ[name]
            remember_settings(settings.job)
        if any(one.is_hydra_override() for one in parsed):
            self._set_runtime(settings, merged.choices, repo)  # set them again, since overrides must not change them
        settings.runtime.cwd = str(Path.cwd())
        if "name" not in settings.job:
            settings.job.name = JobRuntime.instance().get("name")
        dirname = get_overrides_dirname(
            [one for one in parsed if not one.is_hydra_override()], **settings.job.config.override_dirname
        )
        settings.job.override_dirname = for_name(dirname)
        settings.job.config_name = config_name

    @staticmethod
    def _set_runtime(settings: DictConfig, choices: Mapping[str, Any], repo: CachingConfigRepository) -> None:
        """Set the values in `hydra.runtime` that depend only on the options."""
        with open_dict(settings):
            settings.runtime.choices.update(choices)
        settings.runtime.version = __version__
        settings.runtime.version_base = version.getbase()
        settings.runtime.config_sources = [
            ConfigSourceInfo(path=source.path, schema=source.scheme(), provider=source.provider)
            for source in repo.get_sources()
        ]

    def _merge(
        self, config_name: str | None, options: list[Any], repo: CachingConfigRepository, skip_missing: bool
    ) -> Merged:
        """Return the merged files of these options, cached until one of the files changes."""
        files: RememberingRepository = repo.delegate
        where = tuple((source.scheme(), source.path) for source in files.sources)
        key = (where, config_name, tuple(one.input_line for one in options))
        # A result without skipped mandatory options is also valid if skipping is allowed.
        for skipping in (False, True) if skip_missing else (False,):
            merged = _merged.pop((*key, skipping), None)
            if merged is not None and all(files.states(path) == states for path, states in merged.states.items()):
                break
        else:
            skipping = skip_missing
            with _skipping_unused_maps():
                defaults = create_defaults_list(repo, config_name, options, prepend_hydra=True, skip_missing=skipping)
            config = self._compose_config_from_defaults_list(defaults.defaults, repo)
            OmegaConf.set_struct(config, True)
            OmegaConf.set_readonly(config.hydra, False)
            choices = dict(defaults.overrides.known_choices)
            self._set_runtime(config.hydra, choices, repo)
            merged = Merged(copies(config), choices, dict(files.used))
        while len(_merged) >= MOST_MERGED:
            del _merged[next(iter(_merged))]
        _merged[*key, skipping] = merged  # the most recently used one is evicted last
        return merged
