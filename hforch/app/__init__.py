"""The Hydra app: its flags, its shell completion, and what it does for each job."""
