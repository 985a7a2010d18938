"""hforch doctor --bandwidth: measure the memory read bandwidth and store it for the metric mbu."""

from __future__ import annotations

import json

from hforch.errors import EXIT_OK, HforchError
from hforch.machine import bandwidth
from hforch.machine.environment import describe_environment
from hforch.machine.processor import processor


def measure_bandwidth(as_json: bool) -> int:
    """Measure, store and print the memory read bandwidth.

    Raises:
        HforchError: the result cannot be stored.
    """
    machine = bandwidth.identity(describe_environment())
    if machine is None:
        raise HforchError("cannot store the bandwidth: the CPU model or the memory size of this machine is unknown")
    threads = int(processor()["usable"])
    value = bandwidth.measure(threads)
    try:
        bandwidth.store(machine, value, threads)
    except OSError as error:
        raise HforchError(f"cannot write {bandwidth.file()}: {(error.strerror or str(error)).lower()}") from error
    found = {"machine": machine, "threads": threads, "gb_per_s": round(value, 2), "file": str(bandwidth.file())}
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(f"memory read bandwidth: {value:.1f} GB/s with {threads} threads ({machine})")
        print(f"saved to {bandwidth.file()}; used for the metric mbu of jobs on this machine")
    return EXIT_OK
