"""How the speed of one job varies: recorded series, and the variance of repeats, loads and rounds."""
