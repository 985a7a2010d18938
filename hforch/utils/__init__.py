"""Helpers that all packages use: files, paths, processes, streams, redaction."""
