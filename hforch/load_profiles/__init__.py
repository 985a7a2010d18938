"""Load profiles, which decide when inputs are sent to the model, one per module. Each module defines PROFILE."""
