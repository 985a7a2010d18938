"""Readers of input files: a module for each family of formats."""
