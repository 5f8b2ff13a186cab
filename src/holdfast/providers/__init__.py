"""Data about known providers: presets, profiles of the errors of each, and what their endpoints take."""
