"""Load profiles, which decide when inputs are sent to the model: a module for each, which defines PROFILE."""
