"""Records and samples: their types, files, and reading them again."""
