"""The options of each backend: one class a module, named as the backend. `hforch/backends/` runs them."""
