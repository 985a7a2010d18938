"""Where results also go: one module for each tracker, named as its option in `conf/tracker/`; each names it TRACKER."""
