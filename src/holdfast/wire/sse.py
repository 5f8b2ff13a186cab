"""Watches a stream of server-sent events as its bytes pass: when output begins, whether it ended as its
dialect requires, which error it reported. Does no I/O, changes no byte, and holds at most one unfinished
event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.identity import Dialect

EVENT_LIMIT = 8 * 1024 * 1024
"""Bytes: a longer event is passed on without being read."""

_BOM = b"\xef\xbb\xbf"

# Once output has begun, only an event with one of these marks is parsed. A quote inside a JSON string is
# escaped, so a mark never matches what the model wrote.
_MARKS: dict[Dialect, tuple[bytes, ...]] = {
    Dialect.OPENAI_CHAT: (
        b'"finish_reason":"',
        b'"finish_reason": "',
        b"[DONE]",
        b'"error"',
        b'"usage":{',
        b'"usage": {',
        b"event:",
    ),
    Dialect.OPENAI_RESPONSES: (
        b'"response.completed"',
        b'"response.failed"',
        b'"response.incomplete"',
        b'"error"',
        b"event: error",
    ),
    Dialect.ANTHROPIC_MESSAGES: (b'"message_stop"', b'"message_delta"', b'"error"', b"event: error"),
}
_PREAMBLE = frozenset(
    {"message_start", "ping", "response.created", "response.in_progress", "response.queued"}
)
_TERMINAL = frozenset({"message_stop", "response.completed", "response.failed", "response.incomplete"})
_FAILED = frozenset({"error", "response.failed"})


class StreamWatch:
    """Watch over one stream. Feed it every chunk in order, then `close()`.

    started  output has begun: an event that is more than a preamble was seen
    ended    the terminal event of the dialect was seen
    error    the data of the first error event
    model    the model that answers, as the provider names it; "" until it does
    usage    token counts under the provider's names
    """

    __slots__ = (
        "_after_cr",
        "_chat",
        "_data",
        "_lost",
        "_marks",
        "_name",
        "_parts",
        "_size",
        "ended",
        "error",
        "model",
        "started",
        "usage",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.started = self.ended = False
        self.error: bytes | None = None
        self.model = ""
        self.usage: dict[str, int] = {}
        self._chat, self._marks = dialect is Dialect.OPENAI_CHAT, _MARKS[dialect]
        self._parts: list[bytes] = []
        self._data: list[bytes] = []
        self._name, self._size = b"", 0
        self._lost = self._after_cr = False

    @property
    def whole(self) -> bool:
        """Return whether everything fed so far is whole events, so that another may follow."""
        return not (self._data or self._name or self._parts or self._lost)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream, wherever they were cut."""
        # Most chunks are whole events of output without a mark, and pass here. This runs for every chunk, so
        # `whole` is written out: the call would cost more than the test.
        if (
            self.started
            and chunk.endswith(b"\n\n")
            and not (self._data or self._name or self._parts or self._lost)
        ):
            for mark in self._marks:
                if mark in chunk:
                    break
            else:
                self._after_cr = False
                return
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines()
        complete = self._after_cr or chunk.endswith(b"\n")
        if not complete and len(lines) == 1:
            self._hold(chunk)
            return
        rest = b"" if complete else lines.pop()
        if self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
        for line in lines:
            self._line(line)
        if rest:
            self._hold(rest)

    def close(self) -> None:
        """End the stream. An event that lacks only its blank line still counts."""
        if self._parts:
            self._line(b"".join(self._parts))
            self._parts.clear()
        self._line(b"")

    def _hold(self, part: bytes) -> None:
        if self._too_long(part):
            self._parts = [b""]
        else:
            self._parts.append(part)

    def _too_long(self, more: bytes) -> bool:
        """Count the bytes of the unfinished event; past the limit, drop it. Return whether it was dropped."""
        self._size += len(more)
        if self._size > EVENT_LIMIT:
            self._lost = True
            self._data.clear()
        return self._lost

    def _line(self, line: bytes) -> None:
        if not line:
            if self._data:
                self._event(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
            self._name, self._size, self._lost = b"", 0, False
        elif line.startswith(b"data:"):
            if not (self._data or self._lost) or not self._too_long(line):
                self._data.append(line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line.startswith(_BOM) and not self.started:
            self._line(line.removeprefix(_BOM))

    def _event(self, data: bytes) -> None:
        if self.started and self._name != b"error" and not any(map(data.__contains__, self._marks)):
            return
        data = data.strip()
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            event = {}
        kind = event.get("type") or self._name.decode("latin-1")
        if kind in _FAILED or event.get("error") or event.get("object") == "error":
            self.error = self.error or data
            self.ended = self.ended or kind in _TERMINAL
            return
        self._note(event)
        if self._chat:
            self._choices(event.get("choices"))
        elif kind in _TERMINAL:
            self.started = self.ended = True
        elif event and kind not in _PREAMBLE:
            self.started = True

    def _choices(self, choices: Any) -> None:
        if not isinstance(choices, list):
            return
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            if choice.get("finish_reason"):
                self.started = self.ended = True
            elif choice.get("text") or _has_output(choice.get("delta") or choice.get("message")):
                self.started = True

    def _note(self, event: Mapping[str, Any]) -> None:
        """Keep model and usage, which are in the event itself or in the message or response in it."""
        for holder in (event, event.get("message"), event.get("response")):
            if isinstance(holder, dict):
                model, usage = holder.get("model"), holder.get("usage")
                if isinstance(model, str) and not self.model:
                    self.model = model
                if isinstance(usage, dict):
                    self.usage |= {name: count for name, count in usage.items() if isinstance(count, int)}


def _has_output(delta: Any) -> bool:
    """Return whether a delta of a choice holds more than a role."""
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
