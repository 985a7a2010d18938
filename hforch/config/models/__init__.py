"""The sources of weights, one module and class per value of `model.source`. `hforch/models/` loads the weights."""
