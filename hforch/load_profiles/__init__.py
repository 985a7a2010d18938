"""Load profiles, which decide who asks when: one module for each; each names it PROFILE."""
