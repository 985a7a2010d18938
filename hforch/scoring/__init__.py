"""Score next-token distributions against a baseline and on a text."""
