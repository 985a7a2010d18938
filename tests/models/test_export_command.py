from __future__ import annotations

from pathlib import Path

import pytest

from hforch.commands.export import main
from hforch.errors import ConfigError
from hforch.models.exports import describe


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "hforch export -o smollm2-int8 model=smollm2 precision=int8" in capsys.readouterr().out


def test_a_nonempty_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty directory"):
        main(["-o", str(tmp_path), "model=smollm2"])


@pytest.mark.parametrize(
    "override", ["backend=fake", "backend=pytorch", "prompt=chat", "runtime.seed=1", "hydra.mode=RUN"]
)
def test_an_override_without_effect_is_an_error(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        main(["model=smollm2", override, "precision.nope=3"])
    assert [one.where for one in caught.value.mistakes if one.path != "precision.nope"] == (
        [] if override.startswith("backend") else [override]
    )
    with pytest.raises(ConfigError) as caught:
        main(["model=smollm2", override])
    assert [one.where for one in caught.value.mistakes] == [override]


def test_overrides_without_effect_are_reported_with_other_errors() -> None:
    with pytest.raises(ConfigError) as caught:
        main(["prompt=chat", "precision=int3"])
    assert [one.path for one in caught.value.mistakes] == ["prompt", "precision"]


def test_the_ir_is_copied_and_its_bit_widths_are_shown(
    tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "ir"
    words = ["model=local", f"model.path={tiny_gpt2}", "precision=int8", "backend=openvino_genai"]
    assert main(["-o", str(output), *words]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{output}\n")
    assert "int8 weights" in shown.out
    assert "per channel (10 layers)" in shown.out
    assert "export: " in shown.err
    assert describe(output)["weight_format"] == "int8"
    assert not (output / "entry.json").exists()
