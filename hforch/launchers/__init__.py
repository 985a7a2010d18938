"""Hydra's launchers: one module for each, named as its option of `hydra/launcher`; each names its adapter LAUNCHER."""
