"""Keeps keys out of what outlives their use: frames of tracebacks, core dumps, answers, logs and the like."""
