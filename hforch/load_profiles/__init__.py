"""Load profiles, one per module, which decide when inputs are sent to the model. Each module defines PROFILE."""
