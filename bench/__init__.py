"""Benchmarks: hforch against the bare libraries in the same run, interleaved, as ratios of medians. `make bench`."""
