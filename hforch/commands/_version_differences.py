"""Known differences between the tested versions and others."""

from __future__ import annotations

from collections.abc import Iterator

DIFFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "torch": (
        # torchao 0.18, __init__.py: min_torch_version
        ("<2.11", "torchao 0.18 leaves out its compiled kernels (precision=int8)"),
        # transformers 5.5, integrations/moe.py: pytorch/pytorch#172440
        ("<2.11", "mixtures of experts may run without torch's grouped matrix products on the CPU"),
        # docs/architecture.md, "The processes that hold models"
        ("==2.11.*", "importing torchao initialises CUDA (measured with cu130), and forks cannot use it then"),
    ),
}
"""By package: versions and what differs with them, as found in the source named above each, or measured."""


def differences(package: str, version: str) -> Iterator[str]:
    """Yield the known differences of a package's version."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    public = Version(version).public
    for versions, what in DIFFERENCES.get(package, ()):
        if SpecifierSet(versions).contains(public, prereleases=True):
            yield what
