"""Launcher adapters, one per module. Each module is named after its `hydra/launcher` option and defines LAUNCHER."""
