"""What new users type, from habit or from other tools, gets one hint; bash and hforch accept what it suggests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from command_line import hforch, run

from hforch.backends.huggingface.from_model_id import job_of
from hforch.config.compose import compose
from hforch.config.diagnose.synonyms import CLOSEST, FLAGS, KEYS, OPTIONS
from hforch.config.keys import groups, known_keys
from hforch.config.options import option_names
from hforch.errors import ConfigError, UnknownArgument
from hforch.utils import gpu_files

SUGGESTED = re.compile(
    r"^(?:did you mean|write|use) (?P<command>.*?)(?:\?|, and inputs.*)?$|the closest is (?P<closest>\S+)$"
)
FAKE = ("backend=fake", "runtime.warmup=0")


def in_bash(command: str) -> list[str]:
    """Return the words that bash passes to a program."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def hint_of(*words: str) -> str:
    """Return the only hint of a command line with one mistake."""
    done = run(*words, "--cfg", "job")
    assert done.returncode == 2, done.stdout
    return done.stderr.splitlines()[-1].strip()


def suggested(hint: str) -> list[str]:
    found = SUGGESTED.search(hint)
    assert found, hint
    return in_bash(found["command"] or found["closest"])


def needed_too(hint: str) -> list[str]:
    """Return the inputs that a hint adds to a template with other columns than the usual one."""
    return in_bash(hint.partition(", such as ")[2]) if ", such as " in hint else []


OPTION_WORDS = {
    "backend=ov": "backend=openvino",
    "backend=openvino-genai": "backend=openvino_genai",
    "backend=genai": "backend=openvino_genai",
    "backend=ov_genai": "backend=openvino_genai",
    "backend=torch": "backend=pytorch",
    "backend=pt": "backend=pytorch",
    "backend=hf": "backend=pytorch",
    "backend=transformers": "backend=pytorch",
    "backend=optimum": "backend=openvino",
    "precision=q4": "precision=int4",
    "precision=4bit": "precision=int4",
    "precision=int4_sym": "precision=int4",
    "precision=Q4_K_M": "precision=int4",
    "precision=q8_0": "precision=int8",
    "precision=float16": "precision=fp16",
    "precision=half": "precision=fp16",
    "precision=torch.bfloat16": "precision=bf16",
    "precision=fp8": "precision=int8",
    "prompt=instruct": "prompt=chat",
}


@pytest.mark.parametrize("typed", OPTION_WORDS)
def test_a_name_of_another_tool_is_translated(typed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([typed])
    (mistake,) = caught.value.mistakes
    assert suggested(str(mistake.hint)) == [OPTION_WORDS[typed]]
    compose([OPTION_WORDS[typed]])


def test_every_synonym_leads_to_an_option_that_composes() -> None:
    for table in (OPTIONS, CLOSEST):
        for group, options in table.items():
            for option, synonyms in options.items():
                assert option in option_names(group)
                for word in synonyms.split():
                    with pytest.raises(ConfigError) as caught:
                        compose([f"{group}='{word}'"])
                    hints = [one.hint for one in caught.value.mistakes]
                    assert any(f"{group}={option}" in str(hint) for hint in hints), (group, word, hints)


def test_synonyms_are_unambiguous_and_name_what_exists() -> None:
    words = [word for synonyms in KEYS.values() for word in synonyms.split()]
    assert len(words) == len({*words})
    assert {*KEYS} <= {*known_keys(), *groups(), "hydra.run.dir", "hydra.sweep.dir", "hydra/launcher"}
    accepted = "".join(run(*command, "--help").stdout for command in [(), ("compare",)])
    assert all(flag in accepted for flag in FLAGS)


TEXTS = {
    "prompt=Hello {x}": ["prompt=step_by_step", 'prompt.template="Hello {x}"'],
    'prompt="Hello {x}"': ["prompt=step_by_step", 'prompt.template="Hello {x}"'],
    "prompt=it's {x}": ["prompt=step_by_step", r"prompt.template='it\'s {x}'"],
    'prompt=Say "{x}" for $5!': ["prompt=step_by_step", r'prompt.template="Say \"{x}\" for $5!"'],
    "prompt=What is it?": ['inputs.items=["What is it?"]'],
    "inputs=data/q.csv": ["inputs=file", "inputs.path=data/q.csv"],
    "stop=###": ['stop.sequences=["###"]'],
}


@pytest.mark.parametrize("typed", TEXTS)
def test_a_text_in_place_of_an_option_gets_the_override_quoted_for_bash(typed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([typed])
    (mistake,) = caught.value.mistakes
    assert suggested(str(mistake.hint)) == TEXTS[typed]
    compose([*TEXTS[typed], *needed_too(str(mistake.hint))])


def test_the_suggested_template_runs(tmp_path: Path) -> None:
    hint = hint_of("prompt=Hello {x}")
    hforch(*FAKE, *suggested(hint), *needed_too(hint), f"hydra.run.dir={tmp_path / 'run'}")
    assert '"prompt":"Hello ..."' in (tmp_path / "run/samples.jsonl").read_text().replace('": "', '":"')


FLAG_WORDS = {
    ("--model", "gpt2"): ["model=gpt2"],
    ("--model=gpt2",): ["model=gpt2"],
    ("--model", "org/name"): ["model=hub", "model.id=org/name"],
    ("--backend", "openvino"): ["backend=openvino"],
    ("--backend", "ov"): ["backend=openvino"],
    ("--device", "cpu"): ["device=cpu"],
    ("--precision", "4bit"): ["precision=int4"],
    ("--dtype", "float16"): ["precision=fp16"],
    ("--weight-format", "int8"): ["precision=int8"],
    ("--load-in-4bit",): ["precision=int4"],
    ("--max-new-tokens", "5"): ["generation.max_new_tokens=5"],
    ("--max_tokens", "5"): ["generation.max_new_tokens=5"],
    ("--temperature", "0.7"): ["generation=sample", "generation.temperature=0.7"],
    ("--do-sample",): ["generation.do_sample=true"],
    ("--batch-size", "4"): ["runtime.batch_size=4"],
    ("--seed", "7"): ["runtime.seed=7"],
    ("--trust-remote-code",): ["model.trust_remote_code=true"],
    ("--prompt", "Hi {question}"): ["prompt=step_by_step", 'prompt.template="Hi {question}"'],
    ("--prompt", "What is it?"): ['inputs.items=["What is it?"]'],
    ("--output-dir", "results"): ["hydra.run.dir=results"],
    ("--json",): ["runtime.display=json"],
}


@pytest.mark.parametrize("typed", FLAG_WORDS, ids=" ".join)
def test_an_unknown_flag_gets_the_override_that_does_the_same(typed: tuple[str, ...]) -> None:
    hint = hint_of(*typed)
    assert suggested(hint) == FLAG_WORDS[typed]
    compose(FLAG_WORDS[typed])


FLAGS_MEANT = {
    ("--multi", "prompt=raw,chat"): "--multirun (-m)",
    ("--sweep", "prompt=raw,chat"): "--multirun (-m)",
    ("prompt=raw,chat", "--multi"): "--multirun (-m)",
    ("--dryrun",): "--dry-run",
    ("--config_dir", "conf"): "--config-dir (-cd)",
    ("--overwrite",): "--force",
}


@pytest.mark.parametrize("typed", FLAGS_MEANT, ids=" ".join)
def test_an_unknown_flag_gets_the_flag_that_it_means(typed: tuple[str, ...]) -> None:
    flag = next(word for word in typed if word.startswith("--"))
    done = hforch(*typed, *FAKE, code=2)
    assert done.stderr == f"unknown flag {flag}\n    did you mean {FLAGS_MEANT[typed]}?\n"


def test_each_unknown_flag_has_its_own_hint_and_its_value_none() -> None:
    done = hforch("--backend", "openvino", "--max-new-tokens", "5", "--baseline", "x", code=2)
    assert done.stderr.count("unknown flag") == 3 and "openvino'" not in done.stderr
    assert "did you mean backend=openvino?" in done.stderr
    assert "did you mean generation.max_new_tokens=5?" in done.stderr
    assert "--baseline is a flag of hforch compare" in done.stderr


def test_unknown_flags_of_commands_get_the_closest_or_a_synonym(tmp_path: Path) -> None:
    for typed, meant in {"--sort": "--optimize", "--junitxml": "--junit", "--req": "--require"}.items():
        done = hforch("compare", str(tmp_path), typed, "x", code=2)
        assert f"unknown flag {typed}\n    did you mean {meant}?" in done.stderr


@pytest.mark.parametrize(
    ("files", "meant"),
    [
        ([], ["device=cpu"]),
        (["dev/nvidiactl"], ["backend=pytorch,", "or", "device=cpu"]),
        (["dev/dri/renderD128"], ["device=gpu", "device.index=1", "for", "an", "OpenVINO", "GPU,", "or", "device=cpu"]),
    ],
)
def test_the_hint_for_a_cuda_device_on_openvino_depends_on_the_gpus_of_this_machine(
    files: list[str], meant: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(gpu_files, "ROOT", tmp_path)
    with pytest.raises(ConfigError) as caught:
        compose(["device=cuda:1", "backend=openvino"])
    (mistake,) = caught.value.mistakes
    assert suggested(str(mistake.hint).partition(":")[0]) == meant
    compose(["backend=openvino", "device=cpu"])


def test_python_callers_get_the_same_translation() -> None:
    with pytest.raises(UnknownArgument, match="did you mean openvino"):
        job_of("org/name", backend="ov")


def test_a_check_of_a_missing_column_of_a_file_suggests_an_existing_column(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question,answer\nWhat is 2 + 2?,4\n")
    words = [*FAKE, "inputs=file", "inputs.path=q.csv", "hydra.run.dir=out"]
    told = hforch(*words, "checks=contains_expected", code=2, cwd=tmp_path).stderr
    assert "has no column 'expected'; available: question, answer" in told
    typed = in_bash(told.rpartition("write ")[2])
    assert typed == ["checks.items=[{icontains: {column: answer}}]"]
    hforch(*words, *typed, cwd=tmp_path)
