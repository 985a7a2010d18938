"""hforch doctor: NVIDIA GPUs, why torch cannot use them, and packages of several extras."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_nvml import NO_PERMISSION, FakeCard, install

from hforch.cli import main
from hforch.commands import _doctor_report
from hforch.commands._nvidia import nvidia, remarks, rows
from hforch.commands._version_differences import DIFFERENCES, differences
from hforch.commands.doctor import _packages, sections
from hforch.machine import nvml
from hforch.utils.tested_versions import versions

CUDA = {"version": "2.13.0+cu130", "cuda": "13.0", "hip": None}
CPU = {"version": "2.13.0+cpu", "cuda": None, "hip": None}


def torch(build: dict[str, Any] | None, *devices: str, error: str | None = None) -> dict[str, Any]:
    return {"build": build, "error": error, "devices": [{"device": name} for name in ("cpu", *devices)]}


def said(found: dict[str, Any], about: dict[str, Any]) -> str:
    return "\n".join(text for _, text in remarks(found, about))


def test_a_gpu_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard(processes={os.getpid(): 1500.0, 7: 500.0}), FakeCard(name="B200", uuid="GPU-2")])
    assert dict(rows(nvidia())) == {
        "nvidia 0": "NVIDIA H200, 150.0 GB, compute capability 9.0, driver 580.95.05 (CUDA 13.0), 700 W power limit,"
        " 2 compute processes with 2.0 GB",
        "nvidia 1": "B200, 150.0 GB, compute capability 9.0, driver 580.95.05 (CUDA 13.0), 700 W power limit,"
        " 0 compute processes",
    }


def test_a_partitioned_gpu_lists_its_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(mig=True)
    parts = [FakeCard(name=f"NVIDIA H200 MIG {size}", uuid=f"MIG-{size}", parent=card) for size in ("1g", "2g")]
    fake = install(monkeypatch, [card, *parts])
    assert "MIG: NVIDIA H200 MIG 1g, NVIDIA H200 MIG 2g" in dict(rows(nvidia()))["nvidia 0"]
    fake.cards = [card]
    assert "MIG: no instances" in dict(rows(nvidia()))["nvidia 0"]


def test_a_throttled_gpu_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard(events=[0x4 | 0x20])])
    assert ", throttled: thermal slowdown (driver)," in dict(rows(nvidia()))["nvidia 0"]


def test_unknown_data_of_a_gpu_is_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(processes={1: None})
    for name in ("EnforcedPowerLimit", "CudaComputeCapability", "MemoryInfo", "Name"):
        card.fails(f"nvmlDeviceGet{name}", NO_PERMISSION)
    install(monkeypatch, [card])
    found = nvidia()
    assert dict(rows(found))["nvidia 0"] == "unknown GPU, driver 580.95.05 (CUDA 13.0), 1 compute process"
    assert found["cards"][0]["absent"]["name"] == "no permission"


def test_the_json_output_contains_no_uuid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    card = FakeCard(events=[0x40])
    install(monkeypatch, [card])
    monkeypatch.setattr(_doctor_report, "_torch_devices", list)
    monkeypatch.setattr(_doctor_report, "_openvino_devices", list)
    assert main(["doctor", "--json"]) == 0
    told = capsys.readouterr().out
    (found,) = json.loads(told)["nvidia"]["cards"]
    assert (found["temperature_c"], found["sm_mhz"]) == (45, 1980)
    assert found["clocks_limited_by"] == ["thermal slowdown (hardware)"]
    assert card.uuid.partition("-")[2] not in told


def test_an_unusable_driver_library_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()], fails_to_start=18)
    assert "different versions" in dict(rows(nvidia()))["nvidia"]


def test_without_a_driver_there_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    monkeypatch.setattr(nvml, "NODES", (Path("/dev/there-is-no-such-device"),))
    found = nvidia()
    assert list(rows(found)) == [] and said(found, torch(CPU)) == ""


# ---------------------------------------------------------------- torch and the GPU
def test_a_torch_without_cuda_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    told = said(nvidia(), torch(CPU))
    assert "2.13.0+cpu is a build without CUDA" in told and "https://pytorch.org/get-started/locally" in told
    install(monkeypatch, [FakeCard()], fails_to_start=12)  # the device file suffices
    assert "is a build without CUDA" in said(nvidia(), torch(CPU))


def test_a_torch_that_finds_the_gpu_gets_no_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    assert said(nvidia(), torch(CUDA, "cuda:0")) == ""


@pytest.mark.parametrize(
    "about", [torch(None), torch(CUDA, error="does not load"), torch({"version": "2.13", "cuda": None, "hip": "6.4"})]
)
def test_a_missing_or_rocm_torch_gets_no_remark(about: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    assert said(nvidia(), about) == ""


def test_hidden_gpus_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert said(nvidia(), torch(CUDA)) == "CUDA_VISIBLE_DEVICES='' hides all GPUs"


def test_a_driver_that_is_too_old_for_torch_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, [FakeCard()])
    monkeypatch.setattr(fake, "nvmlSystemGetCudaDriverVersion_v2", lambda: 12080)
    told = said(nvidia(), torch(CUDA))
    assert "requires CUDA 13.0, but driver 580.95.05 only supports CUDA 12.8" in told
    assert "newer driver" in told


def test_for_other_reasons_torch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    assert "torch.cuda.init()" in said(nvidia(), torch(CUDA))


def test_remarks_are_listed_among_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    about = SimpleNamespace(version=SimpleNamespace(cuda=None, hip=None), __version__="2.13.0+cpu")
    install(monkeypatch, [FakeCard()], about)
    monkeypatch.setattr(_doctor_report, "_torch_devices", list)
    monkeypatch.setattr(_doctor_report, "_openvino_devices", list)
    told = sections(_doctor_report.inspect_machine())["devices"]
    assert [title for title, _ in told] == ["nvidia 0", "torch", "workers"]


# ---------------------------------------------------------------- packages
def test_a_package_of_several_extras_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted_by(extra: str, *names: str) -> list[str]:
        return [f'{name}>=1; extra == "{extra}"' for name in names]

    declared = [
        *("torch>=2", "hforch[openvino]>=0; extra == 'genai'"),
        *wanted_by("genai", "openvino", "nncf", "openvino-genai"),
        *wanted_by("openvino", "openvino", "nncf"),
        *wanted_by("quant", "torch", "torchao"),
        *wanted_by("dev", "pytest"),
    ]
    monkeypatch.setattr(_doctor_report, "declared", lambda: declared)
    found = list(_doctor_report.packages())
    assert {row["name"]: row["extra"] for row in found} == {
        "torch": None,
        "openvino": "openvino",
        "nncf": "openvino",
        "openvino-genai": "genai",
        "torchao": "quant",
    }
    assert len(found) == 5


def test_each_package_of_this_project_is_listed_once_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib.metadata import PackageNotFoundError

    def not_installed(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_doctor_report, "requires", not_installed)  # so that pyproject.toml is read
    found = {row["name"]: row["extra"] for row in _doctor_report.packages()}
    assert found["openvino"] == "openvino" and found["openvino-genai"] == "genai"
    assert found["nvidia-ml-py"] == "cuda" and found["torch"] is None
    assert "hforch" not in found
    assert len(found) == len(list(_doctor_report.packages()))
    assert versions("tested")["nvidia-ml-py"]


def test_a_missing_nvidia_package_is_a_row_if_there_is_a_driver() -> None:
    missing = {"name": "nvidia-ml-py", "version": None, "extra": "cuda", "differs": []}
    missing["install"] = "pip install 'hforch[cuda]'"
    assert _packages([missing], has_nvidia=False) == []
    assert _packages([missing], has_nvidia=True) == [("nvidia-ml-py", "not installed: pip install 'hforch[cuda]'")]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.10.0+cu128", ["torchao 0.18", "mixture-of-experts"]),
        ("2.11.0+cu130", ["importing torchao initializes CUDA"]),
        ("2.13.0", []),
        ("2.13.0+cpu", []),
    ],
)
def test_known_differences_of_other_torch_versions(version: str, said: list[str]) -> None:
    found = list(differences("torch", version))
    assert len(found) == len(said)
    assert all(part in whole for part, whole in zip(said, found, strict=True))
    assert list(differences("numpy", "1.0")) == []


def test_the_tested_versions_have_no_differences() -> None:
    for package in DIFFERENCES:
        assert list(differences(package, versions("tested")[package])) == []


def test_torchao_requires_the_listed_torch_for_its_kernels() -> None:
    from importlib.util import find_spec

    spec = find_spec("torchao")
    if spec is None or spec.origin is None:
        pytest.skip("torchao is not installed")
    assert '_parse_version("2.11.0")' in Path(spec.origin).read_text(encoding="utf-8")


def test_another_torch_is_listed_with_its_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version

    monkeypatch.setattr(_doctor_report, "version", lambda name: "2.11.0+cu130" if name == "torch" else version(name))
    told = _packages(list(_doctor_report.packages()))
    at = told.index(("torch", f"2.11.0+cu130, tested with {versions('tested')['torch']}"))
    assert told[at + 1][0] == "" and told[at + 1][1].startswith(
        "torch 2.11.0+cu130: importing torchao initializes CUDA"
    )
