"""From YAML and overrides to a frozen, validated Job. Hydra and OmegaConf stop here."""
