"""The processes that hold models: fork server, workers, and what they tell each other."""
