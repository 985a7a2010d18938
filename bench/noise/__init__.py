"""How the speed of one job varies: recorded series, and what they say about repeats, loads and rounds."""
