"""What all rooms use: files, paths, processes, streams, redaction."""
