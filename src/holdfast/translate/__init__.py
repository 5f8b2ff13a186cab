"""One dialect into another: a request is read into the values of `form`, then written for the endpoint; its
answer is read into the events of `events`, then written for the caller. Pure: no I/O, no clock, no dice."""

from __future__ import annotations

SEALED = "hf1~"
"""How each value begins that was sealed for a caller (`envelope`). Its rare byte is found quickly."""
