"""Find all errors in a command line and its config files, each with the place where the value was set."""
