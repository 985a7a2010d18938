"""One module for each kind of check, named as the kind; each names its class CHECK."""
