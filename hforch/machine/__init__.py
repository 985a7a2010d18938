"""Describe this machine (processor, accelerators, memory) and measure its energy use and memory bandwidth."""
