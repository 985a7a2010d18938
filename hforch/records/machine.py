"""Parts of record.json about the machine: what it is, its accelerators while a job was measured, and memory."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hforch.records.fields import ABSENT, Count, Finite, OpenPart, Part, Reasons
from hforch.records.measured import with_metrics


class Cpu(Part):
    name: str | None = Field(description="the CPU's own name for itself")
    logical_cores: Count | None = Field(description="of the machine")
    usable_cores: Count | None = Field(description="logical cores that the process may use")


class GitState(Part):
    commit: str = Field(description="its full hash")
    dirty: bool = Field(description="whether tracked files have uncommitted changes")


class AcceleratorInfo(Part):
    """An accelerator of the machine that the process sees."""

    device: str | None = Field(default=None, description="as torch calls it, such as `cuda:0`")
    name: str | None = Field(default=None, description="as the driver reports it")
    id: str | None = Field(default=None, description="a hash of the card's UUID")
    driver: str | None = Field(default=None, description="its version")
    cuda_driver: str | None = Field(default=None, description="the CUDA version that the driver supports")
    compute_capability: str | None = Field(default=None, description="CUDA's, such as `9.0`")
    memory_mb: Count | None = Field(default=None, description="MB of a million bytes")
    power_limit_w: Finite | None = Field(default=None, description="in W")
    persistence_mode: bool | None = Field(default=None, description="whether the driver stays loaded")
    ecc: bool | None = Field(default=None, description="whether errors in memory are corrected")
    mig: bool | None = Field(default=None, description="whether it is partitioned (MIG)")
    absent: Reasons | None = ABSENT


class Environment(Part):
    """The machine and the libraries."""

    packages: dict[str, str | None] | None = Field(default=None, description="versions by package")
    python: str | None = Field(default=None, description="its version")
    os: str | None = Field(default=None, description="system, its version, and the machine's architecture")
    cpu: Cpu | None = Field(default=None, description="the processor")
    memory_mb: Count | None = Field(default=None, description="MB of a million bytes")
    accelerators: list[AcceleratorInfo | str] | None = Field(
        default=None,
        description="of each card visible to the process: name, `id` (a hash of its UUID), driver, the CUDA version"
        " that it supports, compute capability, memory, power limit, persistence mode, ECC, MIG; names alone in older"
        " records",
    )
    git: GitState | None = Field(default=None, description="of the working directory; null outside a git repository")
    absent: Reasons | None = ABSENT


class CardState(Part):
    """An accelerator at one moment."""

    sm_mhz: Count | None = Field(default=None, description="clock of the multiprocessors, in MHz")
    memory_mhz: Count | None = Field(default=None, description="clock of the memory, in MHz")
    temperature_c: Count | None = Field(default=None, description="in degrees Celsius")
    clocks_limited_by: list[str] | None = Field(default=None, description="clock event reasons")
    absent: Reasons | None = ABSENT


class OtherProcesses(Part):
    number: Count = Field(description="how many there were")
    computing: Count = Field(description="how many of them may have been computing")
    memory_mb: Count | None = Field(default=None, description="MB of a million bytes, of all together")


class CardUse(Part):
    """An NVIDIA card in the measured phase."""

    device: str = Field(description="as torch calls it, such as `cuda:0`")
    id: str | None = Field(default=None, description="a hash of the card's UUID")
    energy_j: Finite | None = Field(default=None, description="in J")
    power_w: Finite | None = Field(default=None, description="mean, in W")
    energy_by: str | None = Field(default=None, description="`counter`, or `sampled power`")
    begin: CardState | None = Field(default=None, description="its state when the measured phase began")
    end: CardState | None = Field(default=None, description="its state when the measured phase ended")
    slowed_by: list[str] | None = Field(default=None, description="slowdowns seen at any time")
    other_processes: OtherProcesses | None = Field(
        default=None, description="processes on the card that are not this run's"
    )
    absent: Reasons | None = ABSENT


class DevicePeak(Part):
    """The peaks of one accelerator."""

    device: str = Field(description="as torch calls it, such as `cuda:0`")
    allocated_mb: Finite | None = Field(description="what tensors took, in MB of a million bytes")
    reserved_mb: Finite | None = Field(description="what torch's allocator held for them")


class MemoryBase(Part):
    """Peaks of memory while the job ran; the metrics of the section `memory` are fields too."""

    accelerators: list[DevicePeak] | None = Field(default=None, description="the peaks of each accelerator")
    absent: Reasons | None = ABSENT


if TYPE_CHECKING:

    class Memory(MemoryBase):
        pass
else:
    Memory = with_metrics("Memory", MemoryBase, "memory")


class Process(Part):
    """How the process that held the model was started."""

    start: str = Field(description="`fork`, `spawn` or `inline`")
    because: list[str] | None = Field(
        default=None, description="accelerators that were initialized where a fork would have been"
    )


class Execution(Part):
    """How a torch model generates."""

    kv_cache: str = Field(description="`dynamic` or `static`")
    compiled: bool = Field(description="whether its forward pass is compiled")
    why: str | None = Field(description="why so, where `auto` decided")


class Effective(OpenPart):
    """What the libraries report after loading; a backend may add to it."""

    device: list[str] | None = Field(default=None, description="the devices that hold the model")
    device_map: dict[str, str] | None = Field(
        default=None,
        description="of a model on several devices: its modules by device, consecutive layers as one entry"
        " (`model.layers.0-15`); missing where there is one device",
    )
    precision: dict[str, Any] | None = Field(
        default=None, description="`requested`, and those in use: `compute`, `weights`, ..."
    )
    ov_config: dict[str, Any] | None = Field(default=None, description="OpenVINO's properties, read back")
    threads: Count | None = Field(default=None, description="of the CPU that the model may use")
    decoding: dict[str, Any] | None = Field(default=None, description="the decoding settings in force")
    stop: list[str] | None = Field(default=None, description="stop sequences")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(default=None, description="also where one was drawn")
    execution: Execution | None = Field(default=None, description="KV cache, and whether the forward pass is compiled")
