"""The private parts of Hydra and OmegaConf that hforch relies on: an incompatible version fails here first.

Only `hforch/config/hydra_adapter/` uses them. PARTS lists each with its reason; the tests check how they behave.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import hydra
import omegaconf
import pytest
from omegaconf import DictConfig, OmegaConf

import hforch
from hforch.config.config_dirs import find_config_dirs
from hforch.config.hydra_adapter import jobs, nodes, parsing, session
from hforch.config.hydra_adapter.loader import Loader, parsing_once
from hforch.launchers.registry import all_launchers, launcher_of

ROOT = Path(hforch.__file__).parent
ADAPTER = ROOT / "config" / "hydra_adapter"

PARTS = {
    "hydra.__version__": "a job's hydra.runtime.version",
    "hydra.version": "the version base, which is global",
    "hydra.version.VersionBase": "the caller's version base is restored",
    "hydra.version.setbase": "jobs are composed with version base 1.3",
    "hydra.version.getbase": "a job's hydra.runtime.version_base",
    "hydra.conf.ConfigSourceInfo": "a job's hydra.runtime.config_sources",
    "hydra.main._get_rerun_conf": "--experimental-rerun",
    "hydra.plugins.config_source.ConfigSource": "possible places of a config",
    "hydra._internal.callbacks.Callbacks": "callbacks of jobs that hforch runs itself",
    "hydra._internal.config_loader_impl.ConfigLoaderImpl": "the base class of our loader, which merges files once",
    "hydra._internal.config_loader_impl.get_overrides_dirname": "hydra.job.override_dirname, without credentials",
    "hydra._internal.config_repository.CachingConfigRepository": "wraps our repository, its delegate",
    "hydra._internal.config_repository.ConfigRepository": "the base class of our repository, which reads files once",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": "the sweeper whose jobs are known before the run",
    "hydra._internal.defaults_list": "its map of choices is created only where needed",
    "hydra._internal.defaults_list.Overrides": "distinguishes value overrides from option overrides",
    "hydra._internal.defaults_list.create_defaults_list": "which files are merged",
    "hydra._internal.defaults_list._create_interpolation_map": "takes a third of the composing time",
    "hydra._internal.hydra": "has a reference to configure_log, which is replaced",
    "hydra._internal.hydra.Hydra": "composes, runs jobs, shows help",
    "hydra._internal.utils._locate": "whether a callback's class can be imported",
    "hydra._internal.utils.create_config_search_path": "the search path of options",
    "hydra._internal.utils.get_args_parser": "Hydra's flags",
    "hydra.core.config_search_path.ConfigSearchPath": "the search path of options",
    "hydra.core.config_search_path.SearchPathQuery": "a user's directory precedes Hydra's own configs",
    "hydra.core.default_element.GroupDefault": "distinguishes entries of a defaults list",
    "hydra.core.default_element.InputDefault": "whether an entry holds an interpolation",
    "hydra.core.global_hydra.GlobalHydra": "plugins expect an instance",
    "hydra.core.hydra_config.HydraConfig": "the settings of the running job, which ${hydra:...} reads",
    "hydra.core.object_type.ObjectType": "the options of a group",
    "hydra.core.override_parser.overrides_parser.OverridesParser": "parses overrides, each string once",
    "hydra.core.override_parser.types.ChoiceSweep": "the size of a sweep is known before its jobs are created",
    "hydra.core.override_parser.types.Glob": "the size of a sweep is known before its jobs are created",
    "hydra.core.override_parser.types.QuotedString": "the values of a sweep, without their quotes",
    "hydra.core.override_parser.types.RangeSweep": "the size of a sweep is known before its jobs are created",
    "hydra.core.plugins.Plugins": "which launchers and sweepers are installed",
    "hydra.plugins.completion_plugin.CompletionPlugin": "the shells whose completion can be installed",
    "hydra.core.singleton.Singleton": "the caller's global state is saved and restored",
    "hydra.core.utils": "its functions that write configurations and set up logging are replaced",
    "hydra.core.utils.JobRuntime": "the name of the job",
    "hydra.core.utils.configure_log": "sets up logging; credentials are redacted after it",
    "hydra.core.utils.run_job": "creates a job's directory, files and environment",
    "hydra.core.utils.setup_globals": "registers ${hydra:...} and ${now:...}",
    "hydra.core.utils._save_config": "writes .hydra/, without credentials",
    "omegaconf.base": "its interpolation parser is called once per string",
    "omegaconf.base.parse": "its interpolation parser is called once per string",
    "omegaconf._utils.get_yaml_loader": "YAML is read as in Hydra's files",
    "omegaconf._utils.get_omega_conf_dumper": "strings that look like numbers are quoted",
    "omegaconf.resolvers.oc": "oc.env is replaced by one that reports what it reads",
}
"""The reason for each private part, by its name."""

METHODS = {
    "hydra._internal.config_loader_impl.ConfigLoaderImpl": {
        "_load_configuration_impl": ["config_name", "overrides", "run_mode", "from_shell", "validate_sweep_overrides"],
        "_parse_overrides_and_create_caching_repo": ["config_name", "overrides"],
        "_apply_overrides_to_config": ["overrides", "cfg"],
        "_compose_config_from_defaults_list": ["defaults", "repo"],
        "validate_sweep_overrides_legal": ["overrides", "run_mode", "from_shell"],
        "ensure_main_config_source_available": [],
        "get_group_options": ["group_name", "results_filter", "config_name", "overrides"],
        "compute_defaults_list": ["config_name", "overrides", "run_mode"],
    },
    "hydra._internal.config_repository.ConfigRepository": {
        "config_exists": ["config_path"],
        "group_exists": ["config_path"],
        "load_config": ["config_path"],
        "_create_defaults_list": ["config_path", "defaults"],
    },
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": {"split_arguments": ["overrides", "max_batch_size"]},
    "hydra.core.override_parser.overrides_parser.OverridesParser": {
        "parse_rule": ["s", "rule_name"],
        "parse_overrides": ["overrides"],
        "create": ["config_loader"],
    },
    "hydra.core.plugins.Plugins": {
        "discover": ["plugin_type"],
        "instantiate_launcher": ["hydra_context", "task_function", "config"],
    },
    "hydra._internal.hydra.Hydra": {
        "multirun": ["config_name", "task_function", "overrides"],
        "compose_config": ["config_name", "overrides", "run_mode", "with_log_configuration"],
        "app_help": ["config_name", "args_parser", "args"],
        "hydra_help": ["config_name", "args_parser", "args"],
        "show_cfg": ["config_name", "overrides", "cfg_type", "package", "resolve"],
        "show_info": ["info", "config_name", "overrides"],
        "shell_completion": ["config_name", "overrides"],
    },
    "hydra._internal.callbacks.Callbacks": {
        name: ["config"] for name in ("on_run_start", "on_run_end", "on_multirun_start", "on_multirun_end")
    },
    "omegaconf.base.Container": {"_get_node": ["key"], "_set_flag": ["flags", "values"]},
    "omegaconf.base.Node": {"_value": [], "_is_none": [], "_is_missing": [], "_is_interpolation": []},
}
"""The methods that hforch calls or replaces, with their arguments, by the name of the class."""

FUNCTIONS = {
    "hydra._internal.defaults_list.create_defaults_list": [
        *("repo", "config_name", "overrides_list", "prepend_hydra", "skip_missing"),
    ],
    "hydra._internal.defaults_list._create_interpolation_map": ["overrides", "defaults_list", "self_added"],
    "hydra.core.utils.run_job": [
        *("task_function", "config", "job_dir_key", "job_subdir_key", "hydra_context"),
    ],
    "hydra.core.utils.configure_log": ["log_config", "verbose_config"],
    "hydra.core.utils._save_config": ["cfg", "filename", "output_dir"],
    "hydra.main._get_rerun_conf": ["file_path", "overrides"],
}

PUBLIC = {
    *("hydra.errors", "hydra.types", "hydra.plugins.launcher", "hydra.plugins.sweeper"),
    *("omegaconf", "omegaconf.errors"),
}
"""Public modules that all modules of `config` and `app` may import."""

PRIVATE = {
    "_get_node",
    "_value",
    "_is_interpolation",
    "_is_missing",
    "_is_none",
    "_set_flag",
    "_instances",
    "_metadata",
}
"""Attributes that only the adapter may use."""

VERSIONS = f"hydra-core {hydra.__version__} with omegaconf {omegaconf.__version__}"


def found(name: str) -> Any:
    """Return a part by its dotted name.

    Raises:
        AssertionError: it does not exist or cannot be imported.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            part: Any = import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for attribute in parts[length:]:
            assert hasattr(part, attribute), f"{VERSIONS} has no {name}: {PARTS.get(name, 'hforch calls it')}"
            part = getattr(part, attribute)
        return part
    raise AssertionError(f"{VERSIONS} has no {name}")


def imported(file: Path) -> Iterator[str]:
    """Yield the names that a module imports from Hydra and OmegaConf."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("hydra", "omegaconf"):
            for one in node.names:
                yield node.module if node.module in PUBLIC else f"{node.module}.{one.name}"
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in ("hydra", "omegaconf"))


# ---------------------------------------------------------------- the parts exist
@pytest.mark.parametrize("name", PARTS)
def test_each_part_exists(name: str) -> None:
    found(name)


@pytest.mark.parametrize(("name", "method"), [(name, method) for name, some in METHODS.items() for method in some])
def test_each_method_accepts_the_arguments(name: str, method: str) -> None:
    taken = inspect.signature(found(f"{name}.{method}")).parameters
    lacking = [argument for argument in METHODS[name][method] if argument not in taken and "kwargs" not in taken]
    assert not lacking, f"{name}.{method} of {VERSIONS} takes {list(taken)}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_accepts_the_arguments(name: str) -> None:
    taken = list(inspect.signature(found(name)).parameters)
    assert taken[: len(FUNCTIONS[name])] == FUNCTIONS[name], f"{name} of {VERSIONS} takes {taken}"


def test_the_adapter_imports_only_the_listed_parts() -> None:
    used = {name for file in ADAPTER.glob("*.py") for name in imported(file) if name not in PUBLIC}
    assert len(used) > 20
    assert used <= PARTS.keys()
    text = "".join(file.read_text(encoding="utf-8") for file in ADAPTER.glob("*.py"))
    assert not [name for name in PARTS if name.rpartition(".")[2] not in text]


def test_no_other_module_uses_private_parts() -> None:
    files = [file for file in ROOT.rglob("*.py") if ADAPTER not in file.parents]
    assert len(files) > 150
    for file in files:
        assert {*imported(file)} <= PUBLIC, file
        text = file.read_text(encoding="utf-8")
        assert "hydra._internal" not in text and "hydra.core" not in text, file
        if file.relative_to(ROOT).parts[0] in ("config", "app"):
            attributes = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
            assert not attributes & PRIVATE, file


# ---------------------------------------------------------------- their behavior
def counted(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> list[Any]:
    """Replace a function by one that records its calls, and return the list of calls."""
    calls: list[Any] = []
    function = getattr(place, name)

    def counting(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return function(*arguments, **named)

    monkeypatch.setattr(place, name, counting)
    return calls


def test_a_defaults_list_uses_the_global_map_of_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal import defaults_list
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.types import RunMode

    calls = counted(monkeypatch, defaults_list, "_create_interpolation_map")
    with session.hydra_settings():
        ConfigLoaderImpl(find_config_dirs().search_path()).load_configuration("config", [], RunMode.RUN)
    assert calls, f"{VERSIONS} creates no such map: replacing it saves no time"


def test_the_replaced_parsers_parse_interpolations_and_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    of_texts = counted(monkeypatch, omegaconf.base, "parse")
    of_overrides = counted(monkeypatch, OverridesParser, "parse_rule")
    config = OmegaConf.create({"a": 1, "b": "${a} of it", "c": "${a} of it"})
    with parsing_once():
        assert (config.b, config.c) == ("1 of it", "1 of it")
        parser = parsing.parser_of(None)
        assert [parsing.value_of(parser.parse_overrides(["a=b"])[0]) for _ in range(2)] == ["b", "b"]
    assert len(of_texts) == len(of_overrides) == 1


def test_singletons_are_stored_by_class() -> None:
    from hydra import version
    from hydra.core.singleton import Singleton

    version.setbase("1.2")
    before = Singleton._instances[version.VersionBase]
    with session.hydra_settings():
        assert str(version.getbase()) == session.VERSION_BASE
    assert Singleton._instances[version.VersionBase] is before
    assert str(version.getbase()) == "1.2"
    version.setbase(session.VERSION_BASE)


def test_the_replaced_functions_run_for_a_job_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal import hydra as entry
    from hydra.core import utils
    from hydra.types import RunMode

    told: list[str] = []
    for place in (entry, utils):  # restored at the end
        monkeypatch.setattr(place, "configure_log", lambda log, verbose: told.append("logging"))
    monkeypatch.setattr(utils, "_save_config", utils._save_config)
    jobs.replace_writers(lambda cfg, name, folder: told.append(name), lambda: told.append("set up"))
    words = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=one", "+hydra.job.env_set.CONTRACT=kept"]
    with session.hydra_settings():
        loader = find_config_dirs().loader()
        config = loader.load_configuration("config", words, RunMode.MULTIRUN)
        context = jobs.context_of(loader, config)

        def task(cfg: DictConfig) -> tuple[bool, str | None, str]:
            return "hydra" in cfg, os.environ.get("CONTRACT"), session.settings_of_job().runtime.output_dir

        assert jobs.as_job_of_sweep(task, config, context) == (False, "kept", str(tmp_path / "one"))
    assert (tmp_path / "one").is_dir() and "CONTRACT" not in os.environ
    assert told == ["logging", "set up", "config.yaml", "hydra.yaml", "overrides.yaml"]


class Remembers:
    """A Hydra callback that records its events."""

    told: ClassVar[list[tuple[str, Any]]] = []

    def on_run_start(self, config: DictConfig, config_name: str) -> None:
        self.told.append(("run", config_name))

    def on_job_start(self, config: DictConfig, **more: Any) -> None:
        self.told.append(("job", config.hydra.runtime.output_dir))

    def on_job_end(self, config: DictConfig, job_return: Any) -> None:
        self.told.append(("job ended", job_return.return_value))

    def on_run_end(self, config: DictConfig, config_name: str, job_return: Any) -> None:
        self.told.append(("run ended", job_return.return_value))


def test_a_single_run_is_the_same_as_in_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal import hydra as entry
    from hydra.core import utils
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    for place in (entry, utils):
        monkeypatch.setattr(place, "configure_log", lambda log, verbose: None)
    callback = f"+hydra.callbacks.told._target_={Remembers.__module__}.{Remembers.__qualname__}"
    found = []
    with session.hydra_settings(), session.global_hydra(find_config_dirs().loader) as hydra_itself:

        def task(cfg: DictConfig) -> int:
            found.append((OmegaConf.to_container(cfg), HydraConfig.get().runtime.output_dir))
            return 3

        for folder in ("theirs", "ours"):
            words = [callback, f"hydra.run.dir={tmp_path}/{folder}", "hydra.mode=RUN"]
            if folder == "theirs":
                hydra_itself.run("config", task, words)
            else:
                config = hydra_itself.compose_config("config", words, RunMode.RUN, with_log_configuration=True)
                context = jobs.context_of(hydra_itself.config_loader, config)
                assert jobs.as_single_run(task, config, context, "config") == 3
            told, Remembers.told[:] = list(Remembers.told), []
            directory = str(tmp_path / folder)
            assert told == [("run", "config"), ("job", directory), ("job ended", 3), ("run ended", 3)]
    assert [directory for _, directory in found] == [str(tmp_path / "theirs"), str(tmp_path / "ours")]
    assert found[0][0] == found[1][0]
    theirs, ours = (
        {one.name: one.read_text().replace(f"{tmp_path}/{name}", "") for one in (tmp_path / name / ".hydra").iterdir()}
        for name in ("theirs", "ours")
    )
    assert theirs == ours and len(ours) == 3


def test_the_exception_of_a_failed_job_is_returned_without_raising_it() -> None:
    from hydra.core.utils import JobReturn, JobStatus

    failed, done = JobReturn(), JobReturn()
    failed.status, failed.return_value = JobStatus.FAILED, ValueError("no")
    done.status, done.return_value = JobStatus.COMPLETED, 3
    assert str(jobs.returned_by(failed)) == "no"
    assert jobs.returned_by(done) == 3


def test_the_leftmost_override_varies_slowest_in_hydras_basic_sweeper() -> None:
    parser = parsing.parser_of(None)
    split = parsing.split_into_jobs(parser.parse_overrides(["a=1,2", "b=x,y", "c=z"]))
    assert split == [["a=1", "b=x", "c=z"], ["a=1", "b=y", "c=z"], ["a=2", "b=x", "c=z"], ["a=2", "b=y", "c=z"]]


@pytest.mark.parametrize(
    ("text", "size"),
    [("a=1,2,3", 3), ("a=range(0,10,3)", 4), ("a=range(0,1e9)", 1e9), ("a=1", None), ("a=glob(c*)", 2)],
)
def test_the_size_of_a_sweep_is_known_before_its_jobs_are_created(text: str, size: float | None) -> None:
    class Options:
        def get_group_options(self, group: str) -> list[str]:
            return ["cpu", "cuda", "gpu"]

    parsed = parsing.parser_of(None).parse_overrides([text])[0]
    assert parsing.size_of_sweep(parsed, Options()) == size
    assert parsing.value_of(parsing.with_value(parsed, "new")) == "new"


def test_the_basic_plugins_are_found_by_name() -> None:
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper

    assert any(launcher_of(name) is all_launchers()["basic"] for name in jobs.installed(Launcher))
    assert parsing.BASIC_SWEEPER in jobs.installed(Sweeper)


def test_completion_plugins_name_their_shells() -> None:
    assert jobs.shells() == ["bash", "fish", "zsh"]


def test_nodes_return_unresolved_values() -> None:
    config = OmegaConf.create({"a": "${b}", "b": 1, "c": "???", "d": None, "e": {"f": 1}})
    assert nodes.text_of(config, "a") == "${b}"
    assert nodes.is_interpolation(nodes.node_of(config, "a")) and not nodes.is_interpolation(nodes.node_of(config, "b"))
    assert nodes.is_missing(nodes.node_of(config, "c")) and not nodes.is_missing(nodes.node_of(config, "a"))
    assert [nodes.is_special(nodes.node_of(config, key)) for key in "abcde"] == [True, False, True, True, False]
    assert nodes.node_of(config, "nowhere") is None
    OmegaConf.set_struct(config, True)
    nodes.open_up(config)
    config.new = 1
    assert config.new == 1


def test_yaml_is_read_and_written_like_hydra_does() -> None:
    import yaml

    assert yaml.load("a: 1e3\nb: on\nc: 1_000\n", Loader=nodes.yaml_loader()) == {"a": 1000.0, "b": True, "c": 1000}
    with pytest.raises(yaml.YAMLError, match="duplicate key a"):
        yaml.load("a: 1\na: 2\n", Loader=nodes.yaml_loader())
    assert yaml.dump({"a": "1e3"}, Dumper=nodes.yaml_dumper()) == "a: '1e3'\n"


def test_the_replaced_resolver_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACT", "kept")
    told: list[tuple[str, Any]] = []
    from omegaconf.basecontainer import BaseContainer

    resolvers = dict(BaseContainer._resolvers)
    try:
        nodes.replace_env(lambda name, value: told.append((name, value)))
        config = OmegaConf.create({"a": "${oc.env:CONTRACT}", "b": "${oc.env:NO_SUCH_VARIABLE,other}"})
        assert (config.a, config.b) == ("kept", "other")
    finally:
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(resolvers)
    assert told == [("CONTRACT", "kept"), ("NO_SUCH_VARIABLE", "other")]


def test_our_loader_uses_our_repository() -> None:
    from hydra.types import RunMode

    with session.hydra_settings():
        loader = find_config_dirs().loader()
        assert isinstance(loader, Loader)
        config = loader.load_configuration("config", ["device=cuda:1"], RunMode.RUN)
    assert (config.device.kind, config.device.index) == ("gpu", 1)  # no file has this name


def test_all_flags_of_hydra_are_handled() -> None:
    flags = {form for forms in jobs.forms_of(jobs.flags_parser()) for form in forms if form.startswith("--")}
    assert flags == {
        *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run", "--multirun"),
        *("--shell-completion", "--config-path", "--config-name", "--config-dir", "--experimental-rerun", "--info"),
    }
