"""The options of the backends, one module and class per backend. `hforch/backends/` implements the backends."""
