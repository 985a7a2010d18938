"""Known effects of package versions other than the tested ones."""

from __future__ import annotations

from collections.abc import Iterator

DIFFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "torch": (
        # torchao 0.18, __init__.py: min_torch_version
        ("<2.11", "torchao 0.18 does not use its compiled kernels (precision=int8)"),
        # transformers 5.5, integrations/moe.py: pytorch/pytorch#172440
        ("<2.11", "mixture-of-experts models may run without torch's grouped matrix multiplication on the CPU"),
        # docs/architecture.md, "Processes"
        ("==2.11.*", "importing torchao initializes CUDA (measured with cu130), so forked workers cannot use it"),
    ),
}
"""Version specifiers and differences, by package. The comment above each states the source."""


def differences(package: str, version: str) -> Iterator[str]:
    """Yield the known differences of a version of a package."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    public = Version(version).public
    for versions, what in DIFFERENCES.get(package, ()):
        if SpecifierSet(versions).contains(public, prereleases=True):
            yield what
