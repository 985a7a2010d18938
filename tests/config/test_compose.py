"""Overrides are composed into a Job, and all errors in them are reported together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf
from shipped_options import needs, options

from hforch.config.as_recipe import flat
from hforch.config.backends.registry import BACKENDS
from hforch.config.compose import compose, job_from_config, job_from_overrides
from hforch.config.config_dirs import conf_dir, find_config_dirs
from hforch.config.copying import copies
from hforch.config.hydra_adapter.session import hydra_settings
from hforch.config.keys import groups, known_keys
from hforch.config.models.registry import SOURCES
from hforch.errors import ConfigError, Mistake


def mistakes(*overrides: str, **places: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, **places)
    paths = [mistake.path for mistake in caught.value.mistakes]
    assert len(paths) == len(set(paths)), f"a path is reported twice: {paths}"
    assert paths == sorted(paths)
    return {mistake.path: str(mistake) for mistake in caught.value.mistakes}


def caught(overrides: Sequence[str]) -> Sequence[Mistake]:
    with pytest.raises(ConfigError) as error:
        compose(overrides)
    return error.value.mistakes


def test_the_options_are_found() -> None:
    assert len(options()) > 35


@pytest.mark.parametrize("option", options())
def test_every_built_in_option_makes_a_valid_job(option: str) -> None:
    job_from_overrides([option, *needs(option)])


@pytest.mark.parametrize("option", options())
def test_every_key_of_an_option_is_in_the_schema(option: str) -> None:
    group, _, name = option.partition("=")
    keys = OmegaConf.load(conf_dir() / group / f"{name}.yaml")
    known = {".".join(key.split(".")[:2]) for key in known_keys()}
    assert group == "ov_config" or {f"{group}.{key}" for key in keys} <= known


def test_every_key_of_the_schema_is_in_some_option() -> None:
    written = set()
    for group, _, name in (option.partition("=") for option in options()):
        option = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
        names = [path.split(".") for path, _ in flat({group: option})]
        written |= {".".join(parts[:end]) for parts in names for end in range(2, len(parts) + 1)}
    assert {key for key in known_keys() if "." in key} <= written


def test_the_defaults_list_has_one_option_of_each_group() -> None:
    chosen = [next(iter(one)) for one in OmegaConf.load(conf_dir() / "config.yaml").defaults if one != "_self_"]
    assert [name for name in chosen if not name.startswith("override ")] == list(groups())


# ---------------------------------------------------------------- invalid overrides
WRONG = [
    ("model=gpt3", "model", ["'gpt3'", "smollm2", "did you mean model=gpt2?", "set in model=gpt3"]),
    ("stop=newlin", "stop", ["did you mean stop=newline?"]),
    ("precision=8", "precision", ["unknown option '8'; available: ", "int8"]),
    ("model=", "model", ["unknown option ''; available: "]),
    ("model=null", "model", ["unknown option 'null'; available: "]),
    ("prompt=../config", "prompt", ["unknown option '../config'; available: "]),
    ("modle=gpt2", "modle", ["unknown key", "did you mean model?"]),
    ("hydra/launcer=basic", "hydra/launcer", ["did you mean hydra/launcher?"]),
    ("hydra/launcher=nope", "hydra/launcher", ["unknown option 'nope'; available: basic"]),
    ("hydra.run.dri=x", "hydra.run.dri", ["unknown key"]),
    ("+model=gpt2", "model", ["remove the +: model=gpt2"]),
    ("++model=gpt2", "model", ["remove the +: model=gpt2"]),
    ("~model", "model", ["a job needs this group"]),
    ("model@foo=gpt2", "model", ["model@foo"]),
    ("generation.max_tokens=3", "generation.max_tokens", ["did you mean generation.max_new_tokens?"]),
    ("runtime.sead=3", "runtime.sead", ["did you mean runtime.seed?"]),
    ("batch_size=3", "batch_size", ["did you mean", "runtime.batch_size"]),
    ("scoring.text.window=3", "scoring.text.window", ["unknown key for scoring=none", "scoring=both", "scoring=text"]),
    ("+generation.max_tokens=3", "generation.max_tokens", ["unknown key", "set in +generation.max_tokens=3"]),
    ("+foo.bar=1", "foo", ["unknown group", "set in +foo.bar=1"]),
    ("generation={max_new_token: 3}", "generation.max_new_token", ["did you mean generation.max_new_tokens?"]),
    ("runtime.seed.x=1", "runtime.seed.x", ["unknown key"]),
    ("model.id=a/b", "model.id", ["unknown key for model=smollm2", "model=hub"]),
    ("ov_config.NEW=1", "ov_config.NEW", ["write +ov_config.NEW=1"]),
    ("inputs.path=a.csv", "inputs.path", ["options with this key: ", "inputs=file"]),
    ("+generation.max_new_tokens=3", "generation.max_new_tokens", ["remove the +: generation.max_new_tokens=3"]),
    ("~runtime.warmup", "runtime.warmup", ["is missing", "set in ~runtime.warmup"]),
    ("~runtime.nope", "runtime.nope", ["unknown key"]),
    ("model=hub", "model.id", ["required by model=hub", "add model.id=ORG/NAME", "conf/model/hub.yaml:3"]),
    ("inputs=file", "inputs.path", ["required by inputs=file", "add inputs.path=FILE"]),
    ("runtime.seed=1,2", "runtime.seed", ["add -m"]),
    ("runtime.seed=range(1,3)", "runtime.seed", ["add -m"]),
    ("model=gpt2,smollm2", "model", ["add -m"]),
    ("stop=glob(*)", "stop", ["add -m"]),
    ("gpt2", "", ["'gpt2' is not an override"]),
    ("prompt.template=Q: {x}", "prompt.template", ["cannot parse the value", "quote the value for Hydra"]),
    ("generation.max_new_tokens=lots", "generation.max_new_tokens", ["must be an integer; got 'lots' (string)"]),
    ("generation.max_new_tokens=1.5", "generation.max_new_tokens", ["must be an integer; got 1.5 (number)"]),
    ("generation.max_new_tokens=true", "generation.max_new_tokens", ["must be an integer; got true (boolean)"]),
    ("generation.max_new_tokens=[1]", "generation.max_new_tokens", ["got a list"]),
    ("generation.max_new_tokens={a: 1}", "generation.max_new_tokens", ["got a mapping"]),
    ("runtime.fail_fast=maybe", "runtime.fail_fast", ["must be a boolean; got 'maybe' (string)"]),
    ("runtime.batch_size=0", "runtime.batch_size", ["must be at least 1; got 0"]),
    ("runtime.seed=-1", "runtime.seed", ["must be at least 0; got -1"]),
    ("runtime.display=loud", "runtime.display", ["one of: auto, rich, plain, json, none"]),
    ("model.sha256=abc", "model.sha256", ["64 hexadecimal digits"]),
    ("model.package=''", "model.package", ["must be the name of a package"]),
    ("stop.sequences=['']", "stop.sequences.0", ["must not be empty"]),
    ("model.source=floppy", "model.source", [", ".join(SOURCES), "'floppy'"]),
    ("backend.name=jax", "backend.name", [", ".join(BACKENDS)]),
    ("inputs.items=[]", "inputs.items", ["must not be empty"]),
    ("inputs.items=[3]", "inputs.items.0", ["must be a string or a mapping; got 3 (integer)"]),
    ("generation.early_stopping=maybe", "generation.early_stopping", ["a boolean or never"]),
    ("generation.repetition_penalty=inf", "generation.repetition_penalty", ["finite"]),
    ("generation.max_length=${nope.x}", "generation.max_length", ["${nope.x} cannot be resolved", "nope.x"]),
    ("generation.max_length=${.max_length}", "generation.max_length", ["cannot be resolved"]),
    ("generation.max_length=${oc.env:HFORCH_NOT_SET}", "generation.max_length", ["HFORCH_NOT_SET"]),
    ("ov_config={A: [1]}", "ov_config.A", ["is not set yet"]),
    ("+ov_config.A=[1]", "ov_config.A", ["must be a string or an integer or a number or a boolean; got a list"]),
    ("+ov_config.A=null", "ov_config.A", ["got null"]),
]


@pytest.mark.parametrize(("override", "path", "said"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_an_invalid_override_is_reported_with_its_path_and_a_hint(override: str, path: str, said: list[str]) -> None:
    found = mistakes(override)
    assert list(found) == [path]
    for part in said:
        assert part in found[path]
    for jargon in ("Traceback", "pydantic", "type=", "Input should", "dict[", "tuple", "ConfigAttributeError"):
        assert jargon not in found[path]


def test_many_errors_are_reported_together() -> None:
    found = mistakes(
        "oops",
        "model=gpt3",
        "model.id=x",
        "generation.max_new_tokens=lots",
        "generation.max_tokens=3",
        "runtime.batch_size=0",
        "device=gpu",
        "device.device_map=auto",
        "stop=newlin",
        "ov_config.FOO=1",
        "inputs=file",
        "runtime.seed=1,2",
        "prompt.template=Q: {x}",
    )
    assert list(found) == [
        "",
        "device.index",
        "generation.max_new_tokens",
        "generation.max_tokens",
        "inputs.path",
        "model",
        "ov_config.FOO",
        "prompt.template",
        "runtime.batch_size",
        "runtime.seed",
        "stop",
    ]


def test_valid_overrides_of_every_kind_are_accepted() -> None:
    job = job_from_overrides(
        [
            "model=hub",
            "model.id=org/name",
            "+ov_config.NEW=1",
            "ov_config.NEW=2",
            "prompt=chat",
            "+prompt.chat_template_kwargs.enable_thinking=false",
            "generation={max_new_tokens: 3}",
            "++generation.min_new_tokens=1",
            "generation.temperature=0",
            "inputs.items=[hello,{question: there}]",
            "stop.sequences=['a,b']",
        ]
    )
    assert job.ov_config == {"NEW": 2}
    assert job.generation.max_new_tokens == 3
    assert job.prompt.chat_template_kwargs == {"enable_thinking": False}  # type: ignore[union-attr]
    assert job.stop.sequences == ("a,b",)


def test_a_quoted_template_is_parsed() -> None:
    job = job_from_overrides(["prompt.template='Q: {question}'"])
    assert job.prompt.template == "Q: {question}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("prompt.template=it's {x}", "cannot parse the value: unmatched quote at column 19"),
        ("inputs.items=[a,'b]", "cannot parse the value: unmatched quote at column 17"),
        ('prompt.template="{x}', "cannot parse the value: unmatched quote at column 17"),
        ("inputs.items=[a b", "cannot parse the value: no viable alternative at input '[a b'"),
        ("stop.sequences=a]", "cannot parse the value: extraneous input ']' expecting <EOF>"),
    ],
)
def test_an_unreadable_value_has_the_reason(override: str, problem: str) -> None:
    (mistake,) = caught([override])
    assert mistake.problem == problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("prompt.template", value) for value in ("Q: {question}", "it's {question}", 'say "{question}"')),
        *(("inputs.items", value) for value in ("[What's a volt?]", "[is it (a) volt?]", '[5" disk: x?]')),
    ],
)
def test_the_hint_for_an_unreadable_value_can_be_pasted_into_a_shell(key: str, value: str) -> None:
    (mistake,) = caught([f"{key}={value}"])
    assert mistake.hint is not None
    (word,) = shlex.split(mistake.hint.partition("the shell: ")[2])
    job = job_from_overrides([word, *(["prompt=raw"] if key == "inputs.items" else [])])
    plain = value.strip("[]")
    assert plain in (getattr(job.prompt, "template", None), getattr(job.inputs, "items", [None])[0])


def test_an_unclosed_quote_has_a_hint() -> None:
    (mistake,) = caught(["prompt.template='{x}"])
    assert mistake.hint == "close each quote; write \\' or \\\" for a quote inside a string"


def test_a_composed_config_gives_the_same_job() -> None:
    composed = compose(["model=gpt2", "generation=sample"])
    assert job_from_config(composed.config) == (composed.job, {})
    assert "hydra" not in composed.config


def test_a_config_with_a_missing_value_is_refused() -> None:
    cfg = compose([]).config
    cfg.model = {"source": "hub", "id": "???"}
    with pytest.raises(ConfigError, match=r"model\.id"):
        job_from_config(cfg)


def test_composing_does_not_change_the_callers_hydra(tmp_path: Path) -> None:
    from hydra import compose as users_compose
    from hydra import initialize_config_dir, version
    from hydra.core.global_hydra import GlobalHydra

    (tmp_path / "theirs.yaml").write_text("x: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2", job_name="theirs"):
        job_from_overrides(["model=gpt2"])
        assert users_compose("theirs") == {"x": 1}
        assert str(version.getbase()) == "1.2"
    assert not GlobalHydra.instance().is_initialized()
    assert job_from_overrides(["model=gpt2"]) == job_from_overrides(["model=gpt2"])


# ---------------------------------------------------------------- a user's own directory
@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my" / "model").mkdir(parents=True)
    text = "source: hub\nid: me/mine\nrevision: null\ntrust_remote_code: false\nattn_implementation: null\n"
    (tmp_path / "my" / "model" / "mine.yaml").write_text(text)
    return tmp_path / "my"


def test_a_users_option_can_be_chosen(mine: Path) -> None:
    job = job_from_overrides(["model=mine"], config_dir="my")
    assert job.model.id == "me/mine"  # type: ignore[union-attr]


def test_a_users_primary_config_extends_the_built_in_one(mine: Path) -> None:
    (mine / "exp.yaml").write_text(
        "defaults:\n  - config\n  - override model: mine\n  - _self_\ngeneration:\n  max_new_tokens: 7\n"
    )
    job = job_from_overrides([], config_dir="my", config_name="exp")
    assert (job.model.id, job.generation.max_new_tokens) == ("me/mine", 7)  # type: ignore[union-attr]


def test_a_users_group_is_added_with_a_plus(mine: Path) -> None:
    (mine / "experiment").mkdir()
    text = "# @package _global_\ndefaults:\n  - override /model: mine\nruntime:\n  seed: 5\n"
    (mine / "experiment" / "a.yaml").write_text(text)
    job = job_from_overrides(["+experiment=a"], config_dir="my")
    assert (job.model.id, job.runtime.seed) == ("me/mine", 5)  # type: ignore[union-attr]
    assert "add it with a +: +experiment=a" in mistakes("experiment=a", config_dir="my")["experiment"]


def test_suggestions_include_the_users_options(mine: Path) -> None:
    assert "did you mean model=mine?" in mistakes("model=mimes", config_dir="my")["model"]


def test_invalid_yaml_is_reported_with_file_and_line(mine: Path) -> None:
    (mine / "model" / "broken.yaml").write_text("source: hub\nid: [1\nrevision: null\n")
    found = mistakes("model=broken", "runtime.batch_size=0", config_dir="my")
    assert "invalid YAML in model/broken" in found["model"]
    assert "my/model/broken.yaml:3" in found["model"]
    assert "runtime.batch_size" in found


def test_an_unknown_group_in_a_users_defaults_list_is_reported_with_its_line(mine: Path) -> None:
    (mine / "exp.yaml").write_text("defaults:\n  - config\n  - override modle: mine\n  - override stop: newlin\n")
    found = mistakes("model=gpt3", config_dir="my", config_name="exp")
    assert "my/exp.yaml:3" in found["modle"]
    assert "did you mean model?" in found["modle"]
    assert "my/exp.yaml:4" in found["stop"]
    assert "gpt3" in found["model"]


def test_a_users_option_is_validated(mine: Path) -> None:
    (mine / "model" / "odd.yaml").write_text("source: hub\nid: 3\nrevison: null\n")
    found = mistakes("model=odd", config_dir="my")
    assert "my/model/odd.yaml:2" in found["model.id"]
    assert "did you mean model.revision?" in found["model.revison"]
    assert "is missing" in found["model.trust_remote_code"]


def test_a_missing_directory_or_config_is_an_error(mine: Path) -> None:
    assert "directory not found: nowhere" in mistakes(config_dir="nowhere")[""]
    assert "did you mean --config-name config?" in mistakes(config_name="confg")[""]


def test_a_users_file_that_a_built_in_one_hides_is_an_error(mine: Path) -> None:
    (mine / "generation").mkdir()
    ours = (conf_dir() / "generation" / "greedy.yaml").read_text()
    (mine / "generation" / "greedy.yaml").write_text(ours)
    job_from_overrides([], config_dir="my")
    (mine / "generation" / "greedy.yaml").write_text(ours.replace("64", "8"))
    assert "rename my/generation/greedy.yaml" in mistakes(config_dir="my")["generation"]


OUT_OF_RANGE = {
    "the command line": ("", ["runtime.batch_size=0"], "set in runtime.batch_size=0"),
    "a user's primary config": ("runtime:\n  batch_size: 0\n", [], "set in my/exp.yaml:5"),
    "the other end of an interpolation": (
        "runtime:\n  batch_size: ${generation.top_k}\ngeneration:\n  top_k: 0\n  do_sample: true\n",
        [],
        "set in my/exp.yaml:5, where ${generation.top_k} comes from my/exp.yaml:7",
    ),
    "a user's option": ("", ["runtime=mine"], "set in my/runtime/mine.yaml:1"),
}


@pytest.mark.parametrize(("text", "overrides", "where"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE.keys())
def test_a_value_out_of_range_is_reported_with_its_place(
    mine: Path, text: str, overrides: list[str], where: str
) -> None:
    (mine / "exp.yaml").write_text(f"defaults:\n  - config\n  - _self_\n{text}")
    (mine / "runtime").mkdir()
    default = (conf_dir() / "runtime" / "default.yaml").read_text()
    (mine / "runtime" / "mine.yaml").write_text(default.replace("batch_size: 4", "batch_size: 0"))
    found = mistakes(*overrides, config_dir="my", config_name="exp")
    assert list(found) == ["runtime.batch_size"]
    assert "must be at least 1; got 0" in found["runtime.batch_size"]
    assert where in found["runtime.batch_size"]


def test_a_reference_to_hydras_settings_needs_a_colon() -> None:
    assert "write ${hydra:job.num}" in mistakes("runtime.seed=${hydra.job.num}")["runtime.seed"]


def test_a_users_config_without_self_causes_no_warning(mine: Path) -> None:
    (mine / "exp.yaml").write_text("defaults:\n  - config\nruntime:\n  seed: 5\n")
    assert job_from_overrides([], config_dir="my", config_name="exp").runtime.seed == 5


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    option = tmp_path / "stop" / "mine.yaml"
    option.parent.mkdir()
    for text in ("a", "b", "longer"):
        option.write_text(f"sequences: [{text}]\n")
        assert job_from_overrides(["stop=mine"], config_dir=tmp_path).stop.sequences == (text,)
    option.unlink()
    with pytest.raises(ConfigError, match="unknown option 'mine'"):
        job_from_overrides(["stop=mine"], config_dir=tmp_path)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["backend=openvino", "model=gpt2", "generation.max_new_tokens=8"],
        ["generation=sample", "generation.temperature=0.3", "stop=newline", "prompt=chat"],
        ["hydra.run.dir=there", "hydra.job.env_copy=[HOME]", "hydra.job.name=mine", "hydra.mode=RUN"],
        ["~runtime.seed", "+hydra.job.env_set.A=b", "hydra/launcher=joblib", "prompt.template='{a: b}'"],
    ],
)
@pytest.mark.parametrize("mode", [RunMode.RUN, RunMode.MULTIRUN])
def test_cached_files_are_merged_like_hydra_does(overrides: list[str], mode: RunMode) -> None:
    places = find_config_dirs()
    with hydra_settings():  # the second time with other values, which must not affect the third
        loaded = [
            places.loader().load_configuration(places.config_name, words, mode)
            for words in (overrides, ["runtime.seed=9", "runtime.warmup=7", *overrides], overrides)
        ]
        hydras = ConfigLoaderImpl(places.search_path()).load_configuration(places.config_name, overrides, mode)
    for ours in (loaded[0], loaded[2]):
        assert OmegaConf.to_container(ours, resolve=False) == OmegaConf.to_container(hydras, resolve=False)
        assert list(ours) == list(hydras)
        for key in hydras:
            one, other = ours._get_node(key), hydras._get_node(key)
            assert (one._metadata.flags, one._metadata.ref_type) == (other._metadata.flags, other._metadata.ref_type)


def test_an_option_can_be_an_interpolation_of_another(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [config, {override prompt: '${backend}'}]\n")
    (tmp_path / "prompt").mkdir()
    for option in ("chat", "raw"):
        text = (conf_dir() / "prompt" / f"{option}.yaml").read_text()
        (tmp_path / "prompt" / f"{'fake' if option == 'raw' else 'pytorch'}.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text("defaults: [config, {prompt@other: '${backend}'}]\n")
    with hydra_settings():
        for name in ("mine", "other"):
            places = find_config_dirs(tmp_path, name)
            kinds = []
            for backend in ("fake", "pytorch"):
                ours, hydras = (
                    OmegaConf.to_container(loader.load_configuration(name, [f"backend={backend}"], RunMode.RUN))
                    for loader in (places.loader(), ConfigLoaderImpl(places.search_path()))
                )
                assert ours == hydras
                kinds.append(ours["other" if name == "other" else "prompt"]["kind"])
            assert kinds == ["raw", "chat"]


def test_a_mandatory_option_is_only_skipped_in_multirun_mode(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [config, {override stop: '???'}]\n")
    places = find_config_dirs(tmp_path, "mine")
    with hydra_settings():
        cfg = places.loader().load_configuration("mine", [], RunMode.MULTIRUN)
        assert "stop" not in cfg
        for _ in range(2):
            with pytest.raises(ConfigCompositionException, match="stop"):
                places.loader().load_configuration("mine", [], RunMode.RUN)


def test_threads_can_compose_concurrently() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(lambda seed: job_from_overrides([f"runtime.seed={seed}"]), range(8)))
    assert [job.runtime.seed for job in jobs] == list(range(8))


BROKEN_PRIMARIES = {
    "an override that is not last": (
        "defaults:\n  - config\n  - override stop: newline\n  - inputs: eeg\n",
        "at the end",
    ),
    "a group chosen twice": ("defaults:\n  - config\n  - model: gpt2\n", "override model: gpt2"),
    "a setting of Hydra of a wrong type": ("defaults:\n  - config\n  - _self_\nhydra:\n  run: 3\n", "RunDir"),
    "a defaults list that is a number": ("defaults: 3\n", "defaults must be a list"),
    "no defaults list at all": ("runtime:\n  seed: 3\n", f"lacks {len(groups()) - 1} groups"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN_PRIMARIES.values(), ids=BROKEN_PRIMARIES.keys())
def test_an_error_of_hydra_in_a_users_config_names_that_file(mine: Path, text: str, said: str) -> None:
    (mine / "exp.yaml").write_text(text)
    found = mistakes("backend=fake", config_dir="my", config_name="exp")
    assert said in "\n".join(found.values())
    assert "set in" in found[""]
    assert "backend=fake" not in found[""]


def test_a_mandatory_group_in_a_users_config_must_be_set(mine: Path) -> None:
    (mine / "exp.yaml").write_text("defaults:\n  - config\n  - _self_\n  - override model: ???\n")
    assert "model" in "".join(mistakes(config_dir="my", config_name="exp").values())
    assert list(mistakes("model=mine", "runtime.sead=1", config_dir="my", config_name="exp")) == ["runtime.sead"]
    job_from_overrides(["model=mine"], config_dir="my", config_name="exp")


def test_a_value_that_cannot_be_pickled_is_deep_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def refuse(value: object) -> bytes:
        raise pickle.PicklingError("not the same object")

    monkeypatch.setattr("hforch.config.copying.pickle.dumps", refuse)
    cfg = OmegaConf.create({"a": {"b": [1]}})
    make = copies(cfg)
    cfg.a.b.append(2)
    first = make()
    first.a.b.append(3)
    assert make() == {"a": {"b": [1]}}
    assert job_from_overrides(["runtime.seed=4"]).runtime.seed == 4


@pytest.mark.parametrize(
    "text", ["a b", "it's", "\\", "a\\", "\\'", "a\\\\'b\\", "$\\{x\\:y\\}", '["a"]', "", "'", "a,b=c"]
)
def test_a_quoted_value_is_parsed_unchanged(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from hforch.config.hydra_adapter.parsing import quoted

    parsed = OverridesParser.create().parse_override(f"key={quoted(text)}")
    assert str(parsed.value()) == text
