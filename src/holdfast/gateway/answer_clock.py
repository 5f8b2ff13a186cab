"""The time that a provider has for its answer, which what it drips cannot extend."""

from __future__ import annotations

from .limits import Bounds


class AnswerClock:
    """When a provider was asked, and when its answer last came on. Times are in seconds of the loop's clock.

    `heard`: the time of the last bytes. `came`: the bytes of its body so far.
    """

    __slots__ = ("_moved", "came", "heard")

    def __init__(self, now: float) -> None:
        self.heard = self._moved = now
        self.came = 0

    def start(self, now: float) -> None:
        """Take note that the request is sent, or that the head of its answer has come."""
        self.heard = self._moved = now
        self.came = 0

    def note(self, now: float, *, heard: bool, moved: bool) -> None:
        """Take note whether bytes came since the last call, and whether they brought the answer on."""
        if heard:
            self.heard = now
        if moved:
            self._moved = now

    def head_overdue(self, now: float, bounds: Bounds) -> str:
        """Return why the head is given up, "" while it may still come: interim heads do not put it off."""
        if now - self._moved > bounds.answer:
            return f"the provider sent no answer within {bounds.answer:g} s"
        return ""

    def body_overdue(self, now: float, bounds: Bounds) -> str:
        """Return why the body is given up, "" while it may still come.

        Comments do not put off an event, nor do a few bytes now and then put off the end of another body.
        """
        if now - self.heard > bounds.stall:
            return f"the provider was silent for {bounds.stall:g} s"
        most = max(bounds.stall, bounds.answer)
        if now - self._moved > most + self.came / bounds.slowest:
            return f"the provider made no progress with its answer within {most:g} s"
        return ""
