"""Worker processes that hold models: fork server, workers, and the messages between them."""
