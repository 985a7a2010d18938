"""User-facing output: terminal views, comparison tables, exports, and the HTML report."""
