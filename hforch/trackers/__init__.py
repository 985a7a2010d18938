"""Trackers, one per module, which receive results. Each module is named after its option and defines TRACKER."""
