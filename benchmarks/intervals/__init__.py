"""Intervals measured on pages, against the same measurement on the recordings that were printed."""
