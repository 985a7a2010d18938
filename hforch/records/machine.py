"""Parts of record.json about the machine: environment, accelerators in the measured phase, memory, process."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hforch.records.fields import ABSENT, Count, Finite, OpenPart, Part, Reasons
from hforch.records.measured import with_metrics


class Cpu(Part):
    name: str | None = Field(description="model name reported by the CPU")
    logical_cores: Count | None = Field(description="logical cores of the machine")
    usable_cores: Count | None = Field(description="logical cores that the process may use")


class GitState(Part):
    commit: str = Field(description="full hash of the commit")
    dirty: bool = Field(description="whether tracked files have uncommitted changes")


class AcceleratorInfo(Part):
    """An accelerator that is visible to the process."""

    device: str | None = Field(default=None, description="torch device, such as `cuda:0`")
    name: str | None = Field(default=None, description="name reported by the driver")
    id: str | None = Field(default=None, description="hash of the GPU's UUID")
    driver: str | None = Field(default=None, description="version of the driver")
    cuda_driver: str | None = Field(default=None, description="CUDA version that the driver supports")
    compute_capability: str | None = Field(default=None, description="CUDA compute capability, such as `9.0`")
    memory_mb: Count | None = Field(default=None, description="memory, in MB (10^6 bytes)")
    power_limit_w: Finite | None = Field(default=None, description="power limit, in W")
    persistence_mode: bool | None = Field(default=None, description="whether the driver stays loaded")
    ecc: bool | None = Field(default=None, description="whether ECC memory is enabled")
    mig: bool | None = Field(default=None, description="whether the GPU is partitioned (MIG)")
    absent: Reasons | None = ABSENT


class Environment(Part):
    """The machine and software."""

    packages: dict[str, str | None] | None = Field(default=None, description="package versions, by name")
    python: str | None = Field(default=None, description="version of Python")
    os: str | None = Field(default=None, description="operating system, its version, and the machine architecture")
    cpu: Cpu | None = Field(default=None, description="the CPU")
    memory_mb: Count | None = Field(default=None, description="memory, in MB (10^6 bytes)")
    accelerators: list[AcceleratorInfo | str] | None = Field(
        default=None,
        description="for each GPU visible to the process: name, `id` (hash of its UUID), driver, supported CUDA"
        " version, compute capability, memory, power limit, persistence mode, ECC, MIG; only names in older records",
    )
    git: GitState | None = Field(
        default=None, description="git state of the working directory; null outside a repository"
    )
    absent: Reasons | None = ABSENT


class CardState(Part):
    """The state of an accelerator at one moment."""

    sm_mhz: Count | None = Field(default=None, description="SM clock, in MHz")
    memory_mhz: Count | None = Field(default=None, description="memory clock, in MHz")
    temperature_c: Count | None = Field(default=None, description="temperature, in degrees Celsius")
    clocks_limited_by: list[str] | None = Field(default=None, description="active clock event reasons")
    absent: Reasons | None = ABSENT


class OtherProcesses(Part):
    number: Count = Field(description="number of processes")
    computing: Count = Field(description="number of processes that may have been computing")
    memory_mb: Count | None = Field(default=None, description="memory used by all these processes, in MB (10^6 bytes)")


class CardUse(Part):
    """An NVIDIA GPU in the measured phase."""

    device: str = Field(description="torch device, such as `cuda:0`")
    id: str | None = Field(default=None, description="hash of the GPU's UUID")
    energy_j: Finite | None = Field(default=None, description="energy, in J")
    power_w: Finite | None = Field(default=None, description="mean power, in W")
    energy_by: str | None = Field(default=None, description="source of the energy: `counter` or `sampled power`")
    begin: CardState | None = Field(default=None, description="state at the start of the measured phase")
    end: CardState | None = Field(default=None, description="state at the end of the measured phase")
    slowed_by: list[str] | None = Field(default=None, description="slowdowns at any time in the measured phase")
    other_processes: OtherProcesses | None = Field(
        default=None, description="processes on the GPU that do not belong to this run"
    )
    absent: Reasons | None = ABSENT


class DevicePeak(Part):
    """The peak memory of one accelerator."""

    device: str = Field(description="torch device, such as `cuda:0`")
    allocated_mb: Finite | None = Field(description="peak memory allocated for tensors, in MB (10^6 bytes)")
    reserved_mb: Finite | None = Field(description="peak memory reserved by torch's allocator, in MB (10^6 bytes)")


class MemoryBase(Part):
    """Peak memory of the job; the metrics of the section `memory` are fields too."""

    accelerators: list[DevicePeak] | None = Field(default=None, description="peak memory of each accelerator")
    absent: Reasons | None = ABSENT


if TYPE_CHECKING:

    class Memory(MemoryBase):
        pass
else:
    Memory = with_metrics("Memory", MemoryBase, "memory")


class Process(Part):
    """The process that held the model."""

    start: str = Field(description="how it was started: `fork`, `spawn` or `inline`")
    because: list[str] | None = Field(
        default=None, description="accelerators that were already initialized, so the process could not be forked"
    )


class Execution(Part):
    """The execution mode of a torch model."""

    kv_cache: str = Field(description="`dynamic` or `static`")
    compiled: bool = Field(description="whether its forward pass is compiled")
    why: str | None = Field(description="reason for these settings, if `auto` selected them")


class Effective(OpenPart):
    """The settings that the libraries report after loading; a backend may add keys."""

    device: list[str] | None = Field(default=None, description="devices that hold the model")
    device_map: dict[str, list[str]] | None = Field(
        default=None,
        description="modules by device, with consecutive layers as one entry (`model.layers.0-15`); missing if the"
        " model is on one device",
    )
    precision: dict[str, Any] | None = Field(
        default=None, description="the `requested` precision, and those in use: `compute`, `weights`, ..."
    )
    ov_config: dict[str, Any] | None = Field(default=None, description="OpenVINO properties, read back")
    threads: int | None = Field(default=None, description="CPU threads that the model may use")
    decoding: dict[str, Any] | None = Field(default=None, description="effective decoding settings")
    stop: list[str] | None = Field(default=None, description="stop sequences")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="seed from the configuration, or a random one"
    )
    execution: Execution | None = Field(default=None, description="KV cache, and whether the forward pass is compiled")
