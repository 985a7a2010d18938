"""hforch doctor --bandwidth: measure how fast this machine reads its memory, and keep it for the metric mbu."""

from __future__ import annotations

import json

from hforch.errors import EXIT_OK, HforchError
from hforch.machine import bandwidth
from hforch.machine.environment import describe_environment
from hforch.machine.processor import processor


def measure_bandwidth(as_json: bool) -> int:
    """Measure, keep and print the read bandwidth.

    Raises:
        HforchError: it cannot be kept.
    """
    machine = bandwidth.identity(describe_environment())
    if machine is None:
        raise HforchError(
            "this system does not say which CPU and how much memory it has, so nothing can be kept for it"
        )
    threads = int(processor()["usable"])
    value = bandwidth.measure(threads)
    try:
        bandwidth.store(machine, value, threads)
    except OSError as error:
        raise HforchError(f"{bandwidth.file()} cannot be written: {(error.strerror or str(error)).lower()}") from error
    found = {"machine": machine, "threads": threads, "gb_per_s": round(value, 2), "file": str(bandwidth.file())}
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(f"memory read bandwidth: {value:.1f} GB/s with {threads} threads ({machine})")
        print(f"kept in {bandwidth.file()}, for the metric mbu of jobs on this machine")
    return EXIT_OK
