"""The sources of weights: one class a module, named as in `model.source`. `hforch/models/` gets the weights."""
