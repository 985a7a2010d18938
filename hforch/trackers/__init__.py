"""Trackers, which receive copies of results: a module for each, named as its option, which defines TRACKER."""
