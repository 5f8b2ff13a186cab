"""Metrics and logs of a gateway."""
