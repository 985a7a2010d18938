"""Benchmarks of hforch against the bare libraries: interleaved in one run, as ratios of medians. Run: `make bench`."""
