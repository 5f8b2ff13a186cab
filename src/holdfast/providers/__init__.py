"""Data about known providers: presets, and profiles of the errors of each."""
