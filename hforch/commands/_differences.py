"""What is known to differ with versions other than the tested ones."""

from __future__ import annotations

from collections.abc import Iterator

DIFFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "torch": (
        # torchao 0.18, __init__.py: min_torch_version
        ("<2.11", "torchao 0.18 leaves out its compiled kernels (precision=int8)"),
        # transformers 5.5, integrations/moe.py: pytorch/pytorch#172440
        ("<2.11", "mixtures of experts may run without torch's grouped matrix products on the CPU"),
        # docs/architecture.md, "The processes that hold models"
        ("==2.11.*", "on CUDA (cu130), importing torchao initialises CUDA, so that workers cannot be forked"),
    ),
}
"""By package: versions, and what is so with them. Each is read off the code that is named, or was measured."""


def differences(package: str, version: str) -> Iterator[str]:
    """Iterate over what is known to be different with a version of a package."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    public = Version(version).public
    for versions, what in DIFFERENCES.get(package, ()):
        if SpecifierSet(versions).contains(public, prereleases=True):
            yield what
