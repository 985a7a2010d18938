"""The load of the machine during a measurement: with made-up /proc and /sys, and with real busy processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from hforch.config.compose import job_from_overrides
from hforch.machine import load_meter, own_processes, throttling
from hforch.machine.load_meter import LoadMeter
from hforch.machine.own_processes import cpu_ticks, descendants
from hforch.records.record_files import read_record
from hforch.records.rounds import MachineLoad
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

ME, CHILD, GONE, OTHER = 100, 101, 102, 200
CPUS = (0, 3)
WORDS = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline", "backend.token_s=0.01")


class System:
    """Made-up /proc and /sys of a machine with four CPUs, of which this process may use two."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/cgroup", "0::/pod/container\n")
        self.cpus({0: 0, 1: 0, 2: 0, 3: 0})
        self.process(ME, 1, 0)
        self.process(OTHER, 1, 0)
        self.swap(0, 0)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def cpus(self, busy: dict[int, int], steal: int = 0, total: int = 1000) -> None:
        """Write the times since boot, in ticks, of each CPU; half of the busy time is user time."""
        lines = [
            f"cpu{cpu} {ticks // 2} 0 {ticks - ticks // 2} {total - ticks - steal - 7} 7 0 0 {steal} 0 0"
            for cpu, ticks in busy.items()
        ]
        self.write("proc/stat", "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "intr 5 0", "btime 1", ""]))

    def process(self, pid: int, parent: int, ticks: int, of_children: int = 0, name: str = "python") -> None:
        before = " ".join(["0"] * 9)
        self.write(
            f"proc/{pid}/stat", f"{pid} ({name}) S {parent} {before} {ticks} 0 {of_children} 0 20 0 1 0 5 4096\n"
        )

    def swap(self, pages_in: int, pages_out: int) -> None:
        self.write("proc/vmstat", f"nr_free_pages 5\npswpin {pages_in}\npswpout {pages_out}\npswpin_extra 7\n")

    def quota(self, group: str, periods: int, usec: int) -> None:
        text = f"usage_usec 9\nnr_periods 50\nnr_throttled {periods}\nthrottled_usec {usec}\n"
        self.write(f"sys/fs/cgroup/{group}cpu.stat", text)

    def heat(self, cpu: int, core: int, package: int) -> None:
        folder = f"{throttling.CPUS}/cpu{cpu}/thermal_throttle"
        self.write(f"{folder}/core_throttle_count", f"{core}\n")
        self.write(f"{folder}/package_throttle_count", f"{package}\n")
        self.write(f"{folder}/core_throttle_total_time_ms", "999\n")

    def clock(self, cpu: int, khz: str) -> Path:
        return self.write(f"{throttling.CPUS}/cpu{cpu}/cpufreq/scaling_cur_freq", khz)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setattr(own_processes, "_command", ME)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(CPUS))
    return System(tmp_path)


def ended(meter: LoadMeter) -> dict[str, Any]:
    """Return the result of a meter, after checking that it fits into a record and that nothing is left out."""
    found = meter.end()
    named = MachineLoad(**found).dump().keys() | found.get("absent", {}).keys()
    assert named | {"cpus"} >= MachineLoad.model_fields.keys() - {"absent"}
    return found


# ---------------------------------------------------------------- made-up systems
def test_busy_time_of_the_usable_cpus_is_divided_between_own_and_other_processes(system: System) -> None:
    system.process(CHILD, ME, 50, name="a (strange) name")
    meter = LoadMeter(system.root).begin()
    system.cpus({0: 900, 1: 1000, 2: 1000, 3: 500}, steal=40, total=2000)
    system.process(ME, 1, 300)
    system.process(CHILD, ME, 350, name="a (strange) name")
    system.process(OTHER, 1, 800)
    found = ended(meter)
    assert (found["cpus"], found["own_cpu"], found["others_cpu"], found["steal"]) == (2, 0.3, 0.4, 0.04)


def test_the_time_of_own_processes_that_exit_stays_own(system: System) -> None:
    system.process(GONE, ME, 100)
    meter = LoadMeter(system.root).begin()
    system.cpus({0: 600, 1: 0, 2: 0, 3: 0}, total=2000)
    (system.root / "proc" / str(GONE) / "stat").unlink()
    system.process(ME, 1, 100, of_children=600)  # it has waited for the process
    found = ended(meter)
    assert (found["own_cpu"], found["others_cpu"]) == (0.3, 0.0)


def test_a_container_that_renumbers_its_cpus_is_counted_as_a_whole(system: System) -> None:
    system.cpus({0: 0, 1: 0})
    meter = LoadMeter(system.root).begin()
    system.cpus({0: 500, 1: 1000}, total=2000)
    assert ended(meter)["others_cpu"] == 0.75


@pytest.mark.parametrize(
    ("stat", "reason"),
    [
        ("cpu0 0 0 0 0 0 0 0 0\ncpu3 0 0 0 0 0 0 0 0\n", "/proc/stat counts no time"),
        ("intr 5\n", "/proc/stat has no times of CPUs"),
        ("cpu0 1 2\ncpu3 1 2\n", "/proc/stat has no times of CPUs"),
        ("cpu0 many\n", "invalid literal"),
        ("\N{SNOWMAN}", "ascii"),
    ],
)
def test_cpu_times_that_cannot_be_understood_are_absent(stat: str, reason: str, system: System) -> None:
    system.write("proc/stat", stat)
    found = ended(LoadMeter(system.root).begin())
    assert {name: reason in found["absent"][name] for name in ("own_cpu", "others_cpu", "steal")} == dict.fromkeys(
        ("own_cpu", "others_cpu", "steal"), True
    )


def test_a_short_measurement_has_no_shares(system: System) -> None:
    meter = LoadMeter(system.root).begin()
    system.cpus(dict.fromkeys(range(4), 4), total=1009)
    assert "the measured phase is too short" in ended(meter)["absent"]["others_cpu"]


def test_shares_are_absent_if_the_usable_cpus_change(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = LoadMeter(system.root).begin()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    system.cpus(dict.fromkeys(range(4), 500), total=5000)
    assert "have changed" in ended(meter)["absent"]["others_cpu"]


def test_swapped_pages_are_in_megabytes(system: System) -> None:
    system.swap(10, 20)
    meter = LoadMeter(system.root).begin()
    system.swap(1010, 20)
    found = ended(meter)
    assert found["swapped_in_mb"] == pytest.approx(1000 * os.sysconf("SC_PAGE_SIZE") / 1e6, abs=0.001)
    assert found["swapped_out_mb"] == 0


def test_throttling_by_heat_is_the_largest_increase_of_a_counter(system: System) -> None:
    for cpu in range(4):
        system.heat(cpu, 5, 100)
    meter = LoadMeter(system.root).begin()
    for cpu in range(4):
        system.heat(cpu, 5 + cpu, 107)
    assert ended(meter)["thermal_throttles"] == 7


def test_quotas_of_a_cgroup_and_of_those_that_contain_it_are_added(system: System) -> None:
    system.write("sys/fs/cgroup/cpu.stat", "usage_usec 9\n")  # the root has no quota
    system.quota("pod/", 1, 1_000_000)
    system.quota("pod/container/", 10, 500)
    meter = LoadMeter(system.root).begin()
    system.quota("pod/", 3, 2_500_000)
    system.quota("pod/container/", 14, 250_500)
    found = ended(meter)
    assert (found["quota_throttles"], found["quota_throttled_s"]) == (6, 1.75)


@pytest.mark.parametrize("cgroup", ["0::/pod/container\n", "1:cpu:/\n", ""])
def test_without_a_quota_the_reason_is_recorded(cgroup: str, system: System) -> None:
    system.write("proc/self/cgroup", cgroup)
    assert ended(LoadMeter(system.root).begin())["absent"]["quota_throttles"] == throttling.NO_CGROUP


def test_the_frequency_is_that_of_the_fastest_usable_cpu(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_meter, "SAMPLE_S", 0.001)
    samples = []
    original = throttling.fastest_mhz

    def fastest_mhz(files: list[Path]) -> float:
        samples.append(original(files))
        system.clock(0, "2000000" if len(samples) == 1 else "3000000\n")
        return samples[-1]

    monkeypatch.setattr(load_meter, "fastest_mhz", fastest_mhz)
    system.clock(0, "1000000\n")
    system.clock(1, "9000000\n")  # not usable
    system.clock(3, "1500000\n")
    meter = LoadMeter(system.root).begin()
    while len(samples) < 3:
        pass
    found = ended(meter)
    assert samples[:2] == [1500.0, 2000.0]
    assert found["cpu_mhz_min"] == 1500
    assert found["cpu_mhz_mean"] == pytest.approx(sum(samples) / len(samples), abs=0.1)


def test_a_frequency_that_becomes_unreadable_is_absent(system: System) -> None:
    system.clock(0, "unknown")
    found = ended(LoadMeter(system.root).begin())
    assert "unknown" in found["absent"]["cpu_mhz_mean"] and "cpu_mhz_min" not in found


def test_many_cpus_are_sampled_in_part(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(100)))
    for cpu in range(100):
        system.clock(cpu, "1000000")
    assert 16 <= len(throttling.frequency_files(system.root)) <= throttling.MOST_CPUS


def test_a_system_without_these_files_has_reasons_for_everything(tmp_path: Path) -> None:
    found = ended(LoadMeter(tmp_path).begin())
    assert found.keys() == {"seconds", "absent"}
    assert f"cannot read {tmp_path}/proc" in found["absent"]["others_cpu"]


def test_files_that_vanish_have_a_reason(system: System) -> None:
    meter = LoadMeter(system.root).begin()
    (system.root / "proc/vmstat").unlink()
    assert "proc/vmstat: No such file" in ended(meter)["absent"]["swapped_in_mb"]


def test_descendants_are_found_in_any_order_and_despite_a_cycle() -> None:
    assert descendants(5, {9: 5, 3: 9, 7: 3, 8: 1, 1: 0, 5: 7}) == {5, 9, 3, 7}


# ---------------------------------------------------------------- real processes
BUSY = "while True: pass"
DETACHED = f"""
import os, subprocess, sys
if not os.fork():
    os.setsid()
    busy = subprocess.Popen([sys.executable, "-c", {BUSY!r}], stdout=subprocess.DEVNULL)
    print(busy.pid, flush=True)
"""


@pytest.fixture
def other() -> Iterator[psutil.Process]:
    """A busy process that is not a descendant of this one, on the same CPUs."""
    done = subprocess.run([sys.executable, "-c", DETACHED], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    busy = psutil.Process(int(done.stdout))
    yield busy
    with suppress(psutil.NoSuchProcess):
        busy.send_signal(signal.SIGKILL)


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def used_while_measured(process: psutil.Process) -> tuple[dict[str, Any], float]:
    """Measure until a process has used 0.4 s of CPU time; return the result, and its share of the usable CPUs."""
    meter, before = LoadMeter().begin(), cpu_seconds(process)
    while cpu_seconds(process) - before < 0.4:
        pass
    used = cpu_seconds(process) - before
    found = meter.end()
    return found, used / (found["seconds"] * found["cpus"])


def test_a_busy_process_of_another_session_counts_as_other(other: psutil.Process) -> None:
    assert other.pid not in {one.pid for one in psutil.Process().children(recursive=True)}
    found, share = used_while_measured(other)
    assert found["others_cpu"] >= 0.7 * share  # other tests may add to it
    assert found["others_cpu"] + found["own_cpu"] <= 1.1


def test_a_busy_child_counts_as_own() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as child:
        found, share = used_while_measured(psutil.Process(child.pid))
        child.kill()
    assert found["own_cpu"] >= 0.7 * share
    assert found["others_cpu"] <= 1.1 - found["own_cpu"]


WORKER = """
import os, sys
from pathlib import Path
from hforch.machine import own_processes
command, pipe = os.getpid(), os.pipe()
server = os.fork()
if not server:
    if not os.fork():
        own_processes.belong_to(own_processes.parent_of(os.getppid()))
        before = own_processes.cpu_ticks(Path("/proc"), own_processes.command())
        os.write(pipe[1], b"x")
        while own_processes.cpu_ticks(Path("/proc"), own_processes.command()) < before + 20:
            os.sched_yield()
        print(own_processes.command() == command)
        os._exit(0)
    os.wait()
    os._exit(0)
os.read(pipe[0], 1)
while not os.waitpid(server, os.WNOHANG)[0]:
    pass
"""


def test_a_worker_counts_the_command_that_started_its_fork_server_as_own() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert done.stdout == "True\n"


def test_a_process_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not list process"):
        cpu_ticks(Path("/proc"), 2**31)


# ---------------------------------------------------------------- in records
def test_the_record_of_a_job_has_the_load_during_its_measured_phase(tmp_path: Path) -> None:
    assert run(job_from_overrides(WORDS), tmp_path, JobContext(WORDS), NullWatcher()) == 0
    first = read_record(tmp_path)
    load = first["rounds"][0]["machine"]
    assert load["seconds"] >= first["metrics"]["measured_s"]
    assert ("others_cpu" in load) != ("others_cpu" in load.get("absent", {}))

    samples = tmp_path / "samples.jsonl"
    resumed = JobContext(WORDS, resume=True)
    (tmp_path / "record.json").write_text(
        (tmp_path / "record.json").read_text().replace('"status": "ok"', '"status": "partial"')
    )
    assert run(job_from_overrides(WORDS), tmp_path, resumed, NullWatcher()) == 0
    assert read_record(tmp_path)["rounds"][0]["machine"] == load  # nothing was measured again

    samples.write_bytes(b"".join(samples.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(job_from_overrides(WORDS), tmp_path, resumed, NullWatcher()) == 0
    assert read_record(tmp_path)["rounds"][0]["machine"]["seconds"] != load["seconds"]


def test_a_failing_meter_of_the_system_does_not_fail_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_meter.LoadMeter.__init__, "__defaults__", (tmp_path / "no-system",))
    assert run(job_from_overrides(WORDS), tmp_path / "run", JobContext(WORDS), NullWatcher()) == 0
    load = read_record(tmp_path / "run")["rounds"][0]["machine"]
    assert "cannot read" in load["absent"]["others_cpu"]


def test_a_failed_job_keeps_its_load(tmp_path: Path) -> None:
    words = (*WORDS, "backend.failures=[{match: '', error: broken, after: 2}]")
    assert run(job_from_overrides(words), tmp_path, JobContext(words), NullWatcher()) == 1
    assert read_record(tmp_path)["rounds"][0]["machine"]["seconds"] > 0
