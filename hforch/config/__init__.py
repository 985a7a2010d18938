"""Compose YAML files and overrides into a frozen, validated Job, which does not depend on Hydra or OmegaConf."""
