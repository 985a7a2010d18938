"""The page that people look at: one HTML file that holds everything it shows."""
