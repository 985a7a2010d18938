"""NVML: a missing, broken or forked library, and how its GPUs are matched to those of torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_nvml import NO_DRIVER, NO_LIBRARY, NO_PERMISSION, NOT_SUPPORTED, FakeCard, fake_torch, install

from hforch.machine import nvml

ONE, TWO = FakeCard(uuid="GPU-1", pci="00000000:17:00.0"), FakeCard(uuid="GPU-2", pci="00000000:3A:00.0")


def test_without_a_driver_pynvml_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, [ONE])
    monkeypatch.setattr(nvml, "NODES", (Path("/dev/there-is-no-such-device"),))
    with pytest.raises(nvml.Absent, match="no NVIDIA driver found"):
        nvml.library()
    assert fake.inits == 0


def test_the_error_for_a_missing_package_has_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [ONE])
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(nvml.Absent, match=r"pip install 'hforch\[cuda\]'"):
        nvml.library()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (NO_LIBRARY, "libnvidia-ml.so.1 was not found"),
        (NO_DRIVER, "not loaded"),
        (18, "different versions"),
        (999, "NVML"),
    ],
)
def test_each_call_of_a_library_that_cannot_be_initialised_has_the_reason(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [ONE], fails_to_start=code)
    for _ in range(2):
        with pytest.raises(nvml.Absent, match=said):
            nvml.ask("nvmlDeviceGetCount")


@pytest.mark.parametrize(
    ("code", "said"), [(NOT_SUPPORTED, "not supported"), (NO_PERMISSION, "no permission"), (77, "NVML error 77")]
)
def test_the_error_of_a_failed_function_has_the_reason(code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard().fails("nvmlDeviceGetName", code)
    install(monkeypatch, [card])
    with pytest.raises(nvml.Absent, match=said):
        nvml.ask("nvmlDeviceGetName", card)


def test_a_function_that_pynvml_does_not_have_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [ONE])
    with pytest.raises(nvml.Absent, match="no nvmlDeviceGetFortune"):
        nvml.ask("nvmlDeviceGetFortune", ONE)


def test_nvml_is_initialised_once_per_process_and_again_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, [ONE])
    for _ in range(3):
        assert nvml.ask("nvmlDeviceGetCount") == 1
    assert (fake.inits, fake.shutdowns) == (1, 0)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        nvml.ask("nvmlDeviceGetCount")
        nvml.ask("nvmlDeviceGetCount")
        os.write(theirs, bytes([fake.inits, fake.shutdowns]))
        os._exit(0)
    os.waitpid(child, 0)
    assert tuple(os.read(ours, 2)) == (2, 1)
    os.close(ours)
    os.close(theirs)


def test_a_fork_retries_a_failed_initialisation(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, [ONE], fails_to_start=NO_DRIVER)
    with pytest.raises(nvml.Absent):
        nvml.library()
    fake.fails_to_start = None
    monkeypatch.setattr(nvml, "_process", -1)  # as in a fork
    assert nvml.ask("nvmlDeviceGetCount") == 1
    assert fake.shutdowns == 0


def test_the_gpus_of_torch_are_found_by_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [ONE, TWO], fake_torch([TWO, ONE]))
    assert (nvml.handle_of(0), nvml.handle_of(1)) == (TWO, ONE)


def test_gpus_without_a_uuid_are_found_by_pci_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch([FakeCard(uuid="", pci=TWO.pci)])
    install(monkeypatch, [ONE, TWO], torch)
    assert nvml.handle_of(0) is TWO


def test_a_gpu_without_a_match_is_found_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch([FakeCard(uuid="GPU-0", pci="00000000:99:00.0")])
    install(monkeypatch, [ONE], torch)
    assert nvml.handle_of(0) is ONE
    install(monkeypatch, [ONE, TWO], torch)
    with pytest.raises(nvml.Absent, match="none of NVML's 2 GPUs matches cuda:0"):
        nvml.handle_of(0)


def test_a_mig_instance_and_its_gpu_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(uuid="GPU-1", mig=True)
    part = FakeCard(uuid="MIG-7", parent=card)
    install(monkeypatch, [card, part], fake_torch([part]))
    assert nvml.handle_of(0) is part
    assert nvml.card_of(part) is card and nvml.card_of(card) is card
    assert nvml.is_partitioned(part) and not nvml.is_partitioned(ONE)


def test_a_gpu_of_another_vendor_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch([ONE])
    torch.version.hip = "6.4"
    install(monkeypatch, [ONE], torch)
    with pytest.raises(nvml.Absent, match="not an NVIDIA GPU"):
        nvml.handle_of(0)


def test_a_device_that_torch_cannot_describe_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch([ONE])

    def broken(number: int) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")

    torch.cuda.get_device_properties = broken
    install(monkeypatch, [ONE], torch)
    with pytest.raises(nvml.Absent, match=r"cannot describe cuda:0: CUDA error: device-side assert triggered$"):
        nvml.handle_of(0)


@pytest.mark.parametrize(
    ("chosen", "left"),
    [("1", [TWO]), ("1,0", [TWO, ONE]), ("", []), ("0,9,1", [ONE]), ("GPU-2", [TWO]), ("-1", []), ("x", [])],
)
def test_cuda_visible_devices_is_read_without_cuda(
    chosen: str, left: list[FakeCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [ONE, TWO])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert nvml.visible() == left


def test_a_unique_uuid_prefix_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [FakeCard(uuid="GPU-aab"), FakeCard(uuid="GPU-abc")]
    install(monkeypatch, cards)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab")
    assert nvml.visible() == [cards[1]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    assert nvml.visible() == []


def test_the_real_bindings_have_all_functions_that_are_called() -> None:
    pynvml = pytest.importorskip("pynvml")
    from fake_nvml import ANSWERS, FakeNvml

    for name in (*ANSWERS, *(name for name in vars(FakeNvml) if name.startswith("nvml"))):
        assert callable(getattr(pynvml, name)), name
    assert issubclass(pynvml.NVMLError, Exception)
    assert pynvml.NVMLError(NOT_SUPPORTED).value == NOT_SUPPORTED


@pytest.mark.skipif(nvml.has_driver(), reason="there is an NVIDIA driver here")
def test_the_real_bindings_without_a_driver_have_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynvml")
    monkeypatch.setattr(nvml, "NODES", (Path("/dev/null"),))
    monkeypatch.setattr(nvml, "_process", None)
    monkeypatch.setattr(nvml, "_failed", None)
    with pytest.raises(nvml.Absent, match=r"libnvidia-ml\.so\.1 was not found"):
        nvml.library()


def test_torch_without_cuda_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [ONE], SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    with pytest.raises(nvml.Absent, match="no CUDA device"):
        nvml.handle_of(0)
