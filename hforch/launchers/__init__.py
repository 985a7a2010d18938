"""Adapters of Hydra's launchers: a module for each, named as its `hydra/launcher` option, which defines LAUNCHER."""
