"""The Hydra app: flags, shell completion, and planning and running jobs."""
