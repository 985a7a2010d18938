"""Find every mistake of a command line and its files, and say where it was written."""
