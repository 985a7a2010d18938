"""Output for users: terminal views, comparison tables, exports, and the HTML report."""
