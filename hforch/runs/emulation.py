"""Find jobs whose compute precision this CPU emulates, which takes many times longer."""

from __future__ import annotations

from hforch.backends.base import capabilities
from hforch.config.schema import Job
from hforch.errors import Mistake
from hforch.machine import processor

NAMES = {"bf16": "bfloat16", "fp16": "float16"}


def emulated(job: Job) -> Mistake | None:
    """Return a warning if this CPU emulates the job's compute precision, else None."""
    precision = capabilities(job).computes_in
    if job.device.kind != "cpu" or precision is None or not processor.emulates(precision):
        return None
    problem = f"the job computes in {NAMES[precision]}, which this CPU emulates; it may take many times longer"
    same = job.precision.name == precision
    return Mistake("precision.name", problem, hint="use precision=fp32" if same else "use backend=openvino")
