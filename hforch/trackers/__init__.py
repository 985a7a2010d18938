"""Trackers, which receive results, one per module. Each module is named after its option and defines TRACKER."""
