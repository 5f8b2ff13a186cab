"""Watches a stream of server-sent events as its bytes pass: when output begins, whether it ended as its
dialect requires, which error it reported. Does no I/O, changes no byte, and holds at most one unfinished
event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..core.faults import Flaw
from ..core.identity import Dialect
from .account_objects import is_stored, objects_made
from .answer_shape import Form, dicts, form_of, has_failed
from .event_splitter import stands_alone
from .json_end import BOM, JsonEnd
from .stream_events import FAILED, ChoiceEnds, EventSign, judge_event, type_of
from .usage import usage_in

EVENT_LIMIT = 8 * 1024 * 1024
"""Bytes: of a longer event only its end and its terminal sign are read."""

_LONGEST_SIGN = 64
_COLON = 0x3A
"""What a comment begins with. White space is below it, the names of fields are above it."""


class Signs(NamedTuple):
    """The signs of a dialect in a stream. Once output has begun, only an event with one of them is parsed.

    marks     texts of which one is enough
    search    looks for more of them; what a provider writes in every event, such as a reason that is null, is
              no sign, and white space or a new line between name and value does not matter
    terminal  the sign in an event that is too long to be parsed
    """

    marks: tuple[bytes, ...]
    search: Callable[[bytes], object]
    terminal: re.Pattern[bytes]


_VALUED = rb'"(?:\s|data:)*:(?:\s|data:)*[^\sn]'
"""What follows the name of a member with a value that is not null."""

# A quote inside a JSON string is escaped, so nothing with a quote matches what the model wrote. Expressions
# begin with a literal text, so that they are quick.
_SIGNS: dict[Dialect, Signs] = {
    Dialect.OPENAI_CHAT: Signs(
        marks=(b"[DONE]", b'"error"', b"event:", b"error: {"),
        search=re.compile(rb'"(?:finish_reason%b|usage%b|index"\s*:\s*[1-9])' % (_VALUED, _VALUED)).search,
        terminal=re.compile(rb'"finish_reason"\s*:\s*"'),
    ),
    Dialect.OPENAI_RESPONSES: Signs(
        marks=(b'"error"', b"event: error"),
        search=re.compile(rb"response\.(?:completed|failed|incomplete|done)").search,
        terminal=re.compile(rb'"response\.(?:completed|failed|incomplete|done)"'),
    ),
    Dialect.ANTHROPIC_MESSAGES: Signs(
        marks=(b'"error"', b"event: error"),
        search=re.compile(rb"message_(?:stop|delta)").search,
        terminal=re.compile(rb'"message_stop"'),
    ),
}
_BLANK_LINE = b"\n\n"
_TERMINAL = frozenset({"message_stop", "response.completed", "response.failed", "response.incomplete"})
_NAMES = frozenset(name.encode() for name in _TERMINAL | FAILED | {"response.done"})


class StreamWatch:
    """Watch over one stream. Feed it every chunk in order, then `close()`.

    started  output has begun: an event that is more than a preamble was seen
    ended    the terminal event of the dialect was seen, and no other choice of the answer goes on
    moved    an event has come; set back by who asks
    owed     what the last event lacks to be read by clients, after `close()`: its blank line
    error    the data of the first error event, or of an event of another API before the output
    unread   it came in a field `error` of llama.cpp, or in words of one provider, which callers skip
    form     whether it is a stream at all, by its first bytes
    model    the model that answers, as the provider names it; "" until it does
    objects  what the answer made that only its account knows
    usage    token counts under the provider's names
    """

    cut = "stream ended without its terminal event"
    takes_events = True

    __slots__ = (
        "_after_cr",
        "_chat",
        "_choices",
        "_data",
        "_dialect",
        "_foreign",
        "_long",
        "_marks",
        "_name",
        "_parts",
        "_search",
        "_signs",
        "_size",
        "_skims",
        "_start",
        "_stored",
        "ended",
        "error",
        "form",
        "model",
        "moved",
        "objects",
        "owed",
        "started",
        "unread",
        "usage",
    )

    def __init__(self, dialect: Dialect, asked: bytes | None = None) -> None:
        """Watch the answer to a request with the body `asked`."""
        self.started = self.ended = self.unread = self.moved = self._skims = False
        self.error: bytes | None = None
        self.owed = b""
        self.model = ""
        self.usage: dict[str, int] = {}
        self.objects: list[str] = []
        self.form, self._start = Form.UNKNOWN, b""
        self._dialect, self._foreign = dialect, False
        self._chat, self._signs = dialect is Dialect.OPENAI_CHAT, _SIGNS[dialect]
        self._marks, self._search = self._signs.marks, self._signs.search
        self._choices, self._stored = ChoiceEnds(), self._chat and is_stored(asked)
        self._parts: list[bytes] = []
        self._data: list[bytes] = []
        self._name, self._size = b"", 0
        self._after_cr = False
        self._long: _LongEvent | None = None

    @property
    def whole(self) -> bool:
        """Return whether everything fed so far is whole events, so that another may follow."""
        return not (self._data or self._name or self._parts or self._long)

    @property
    def flaw(self) -> Flaw | None:
        """Return why a stream without output is no answer, where its events alone say so."""
        if self._foreign:
            return Flaw.FOREIGN
        return Flaw.EMPTY if self.ended and self.error is None else None

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream, wherever they were cut."""
        # Most chunks are whole events of output without a sign, and pass here. This runs for every chunk, so
        # `whole` is written out: the call would cost more than the test.
        if (
            self._skims
            and chunk.endswith(b"\n\n")
            and not (self._data or self._name or self._parts or self._long)
        ):
            for mark in self._marks:
                # `in` takes a number, too: it first tries the mark as one, and forgets the error.
                if chunk.find(mark) >= 0:
                    break
            else:
                if not self._search(chunk):
                    self._after_cr = False
                    self.moved = self.moved or chunk[0] > _COLON
                    return
        self._read(self._without_output(chunk))

    def _without_output(self, chunk: bytes) -> bytes:
        """Return the end of a chunk that has to be read: what is behind its whole events, if they are output
        without a sign. An event that was begun before is read to its end."""
        if self._skims and not self.whole:
            end = chunk.find(_BLANK_LINE) + len(_BLANK_LINE)
            if end < len(_BLANK_LINE):
                return chunk
            self._read(chunk[:end])
            chunk = chunk[end:]
        end = chunk.rfind(_BLANK_LINE) + len(_BLANK_LINE)
        skims = self._skims and end >= len(_BLANK_LINE) and chunk[0] > _COLON
        if not skims or self._has_sign(chunk[:end]):
            return chunk
        self._after_cr, self.moved = False, True
        return chunk[end:]

    def _read(self, chunk: bytes) -> None:
        """Take the lines of a chunk one by one."""
        if not self.started and self.form is Form.UNKNOWN:
            self._start = (self._start + chunk).lstrip()
            self.form = form_of(self._start)
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
            if self._long is not None:
                self._long.feed(lines.pop(0))
            else:
                lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
        for line in lines:
            self._line(line)
        self._skims = self._may_skim
        if rest:
            self._hold(rest)

    def close(self) -> None:
        """End the stream. An event that lacks only its blank line still counts; half an event does not."""
        if self._parts:
            self._line(b"".join(self._parts))
            self._parts.clear()
        if not _is_complete(b"\n".join(self._data)):
            self._data.clear()
        if self._data or (self._long is not None and self._long.ends_stream):
            self.owed = b"\n\n"
        self._line(b"")

    def _hold(self, part: bytes) -> None:
        if self._is_long(part):
            self._parts = [b""]
        else:
            self._parts.append(part)

    def _is_long(self, more: bytes) -> bool:
        """Count the bytes of the unfinished event; past the limit, hold it no longer. Return whether it is
        past."""
        self._size += len(more)
        if self._long is not None:
            self._long.feed(more)
        elif self._size > EVENT_LIMIT:
            self._long = _LongEvent(self._signs.terminal)
            for part in (*self._data, *self._parts, more):
                self._long.feed(part)
            self._data.clear()
        return self._long is not None

    def _line(self, line: bytes) -> None:
        if not line:
            if self._data:
                self._event(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
            if self._long is not None and self._long.ends_stream:
                self.started = self.ended = True
            self._name, self._size, self._long = b"", 0, None
        elif line.startswith(b"data:"):
            if self._data:
                self._part()
            if not (self._data or self._long) or not self._is_long(line):
                self._data.append(line[5:])
        elif line.startswith(b"event:"):
            if self._name:
                self._part()
            self._name = line[6:].strip()
        elif line.startswith(b"error:"):
            self._part()
            self._name, self.unread = b"error", True
            self._data.append(line[6:])
        elif line.startswith(BOM) and not self.started:
            self._line(line.removeprefix(BOM))

    def _part(self) -> None:
        """End an event that no blank line ends, if its data stand alone: another begins."""
        if len(self._data) == 1 and stands_alone(self._data[0]):
            self._line(b"")

    def _event(self, data: bytes) -> None:
        self.moved = True
        if self._may_skim and self._name not in _NAMES and not self._has_sign(data):
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
        kind = type_of(self._name.decode("latin-1"), event)
        sign = judge_event(self._dialect, kind, event)
        self._foreign = sign is EventSign.FOREIGN and not self.started
        if sign is EventSign.FAILURE or self._foreign:
            self.error = self.error or data
            known = kind in FAILED or event.get("error") or has_failed(dicts(event.get("choices")))
            self.unread = self.unread or not known
            self.ended = self.ended or kind in _TERMINAL
            return
        self._note(event)
        self.started = self.started or sign is EventSign.OUTPUT
        self._note_end(kind, event)

    @property
    def _may_skim(self) -> bool:
        """Return whether only events with a sign count now."""
        return self.started and not (self.ended or self._choices.several)

    def _has_sign(self, data: bytes) -> bool:
        for mark in self._marks:
            if data.find(mark) >= 0:
                return True
        return self._search(data) is not None

    def _note_end(self, kind: str, event: Mapping[str, Any]) -> None:
        """Note the terminal event. The end of a choice is one, unless another goes on."""
        if not self._chat:
            self.ended = self.ended or kind in _TERMINAL
            return
        self.ended = self._choices.ended(dicts(event.get("choices")), self.ended)

    def _note(self, event: Mapping[str, Any]) -> None:
        """Keep model, usage and objects, which are in the event or in its message, delta or response."""
        for holder in (event, event.get("message"), event.get("response"), event.get("delta")):
            if isinstance(holder, dict):
                if not self._chat or (self._stored and not self.objects):
                    self.objects += objects_made(holder, stored=self._stored)
                model = holder.get("model")
                if isinstance(model, str) and not self.model:
                    self.model = model
                self.usage |= usage_in(holder)


def _is_complete(data: bytes) -> bool:
    """Return whether the data of a last event, which has no blank line, came to its end."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return data.strip() == b"[DONE]"
    return True


class _LongEvent:
    """An event that is too long to be held: it passes by, and is searched for its dialect's terminal sign."""

    __slots__ = ("_end", "_last", "_seen", "_terminal")

    def __init__(self, terminal: re.Pattern[bytes]) -> None:
        self._terminal, self._end = terminal, JsonEnd()
        self._seen, self._last = False, b""

    @property
    def ends_stream(self) -> bool:
        """Return whether the event is whole and says that the stream ends."""
        return self._seen and self._end.whole

    def feed(self, part: bytes) -> None:
        """Take the next bytes of the event."""
        self._end.feed(part)
        self._seen = self._seen or self._terminal.search(self._last + part) is not None
        self._last = (self._last + part)[-_LONGEST_SIGN:]
