"""Reads answers of the chat dialect, whole ones and streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..values.failure_reports import is_report
from .caps import Caps
from .chat_calls import Calls
from .chat_members import as_deltas, delta_of, reason_of, usage_of, why_of
from .chat_words import EMPTY, KNOWN, PLAIN, THOUGHTS, Spoken, note_strays, thought_in, words_in
from .events import (
    DONE,
    NO_USAGE,
    BrokenOff,
    Close,
    Delta,
    End,
    Event,
    Open,
    Sealed,
    Start,
    Stop,
    Stopped,
    UsageSeen,
    Why,
    settled,
)
from .form import Opaque, Refusal, Seal, Text, Thinking
from .lenient import count_of, members_of, objects_of, text_of, words_of
from .losses import Losses
from .provider_errors import Senseless, ended_without, report_in, reported, senseless, unknown
from .thoughts import Details, Tags

_WHOLE_CALLS = (Why.DONE, Why.TOOLS)


class ChatReader:
    """Reads one answer. Everything that is still open is closed at its end, not at its finish_reason, since
    some servers go on behind it."""

    __slots__ = (
        *("_calls", "_caps", "_details", "_done", "_head", "_kind", "_losses", "_mark", "_over", "_refusal"),
        *("_slot", "_slots", "_started", "_stop", "_tags", "_usage"),
    )

    def __init__(self, caps: Caps, mark: str, seed: str, losses: Losses) -> None:
        self._caps, self._mark, self._losses = caps, mark, losses
        self._head = Start("", "")
        self._started = self._done = self._over = False
        self._slots = 0
        self._slot = -1
        self._kind: Spoken | None = None
        self._calls = Calls(self._new_slot, mark, seed)
        self._details, self._refusal = Details(), list[str]()
        self._tags: Tags | None = None
        if caps.think_tags:
            self._tags = Tags()
        self._stop: Stop | None = None
        self._usage = NO_USAGE

    def feed(self, data: Mapping[str, Any]) -> list[Event]:
        """Return what a chunk means."""
        if self._over:
            return []
        if data is DONE:
            self._done = True
            return self.end()
        out: list[Event] = []
        if not isinstance(data, dict):
            return out
        try:
            self._chunk(data, out)
        except Senseless as error:
            self._over = True
            out.append(error.broken)
        return self._begun(out)

    def end(self) -> list[Event]:
        """Return what is left: the end, if the answer came to it."""
        if self._over:
            return []
        self._over = True
        out: list[Event] = []
        stop = self._stop
        if stop is None and self._done and self._calls.are_whole():
            stop = Stop(Why.TOOLS)
        if stop is None or not (self._done or not self._caps.done):
            return [ended_without("its end")]
        try:
            self._finish(stop, out)
        except Senseless as error:
            out.append(error.broken)
        return self._begun(out)

    def whole(self, body: Mapping[str, Any]) -> list[Event]:
        """Return the events of a whole answer."""
        body = members_of(body)
        choices = objects_of(body.get("choices"))
        events = self.feed({**body, "choices": as_deltas(choices)})
        if not choices and not self._over:
            self._over = True
            return [senseless("has no choices")]
        self._stop = self._stop or Stop(Why.DONE)
        return events + self.feed(DONE)

    def _chunk(self, data: Mapping[str, Any], out: list[Event]) -> None:
        choices = data.get("choices")
        reports = not choices or "error" in data or "base_resp" in data or "x_groq" in data
        if reports and is_report(data):
            raise Senseless(report_in(data))
        if not self._started:
            self._note_head(data)
        usage = data.get("usage")
        if usage:
            self._note_usage(members_of(usage))
        if data.get("citations"):
            self._losses.note("citations")
        for choice in choices if isinstance(choices, list) else objects_of(choices):
            if isinstance(choice, dict):
                self._choice(choice, out)

    def _note_head(self, data: Mapping[str, Any]) -> None:
        head = self._head
        self._head = Start(
            head.id or text_of(data.get("id")),
            head.model or text_of(data.get("model")),
            head.created or count_of(data.get("created")) or 0,
        )

    def _note_usage(self, usage: Mapping[str, Any]) -> None:
        seen = usage_of(usage)
        if any(seen) or self._usage == NO_USAGE:
            self._usage = seen

    def _choice(self, choice: dict[str, Any], out: list[Event]) -> None:
        index = choice.get("index")
        if index and isinstance(index, int):
            raise Senseless(unknown("has", "several choices"))
        if choice.get("error"):
            raise Senseless(reported(choice["error"]))
        delta = delta_of(choice, started=self._started)
        if isinstance(delta, dict):
            self._delta(delta, out)
        elif delta:
            self._content(delta, out)
        text = choice.get("text")
        if text and not (isinstance(delta, dict) and delta.get("content")):
            self._content(text, out)
        reason = reason_of(choice)
        if reason:
            self._note_reason(text_of(reason))
            self._note_usage(members_of(choice.get("usage")))

    def _delta(self, delta: dict[str, Any], out: list[Event]) -> None:
        for name, value in delta.items():
            if value and name not in PLAIN:
                return self._members(delta, out)
        if delta.get("content"):
            self._content(delta["content"], out)
        return None

    def _members(self, delta: dict[str, Any], out: list[Event]) -> None:
        """Take a piece that is more than a text."""
        if len(delta) == 1 and "tool_calls" in delta:
            return self._tool_calls(delta["tool_calls"], out)
        if not delta.keys().isdisjoint(THOUGHTS):
            self._thoughts(delta, out)
        both = "function_call" in delta and delta.get("tool_calls")
        for name, take in self._MEMBERS:
            value = delta.get(name)
            if value and not (both and name == "function_call"):
                take(self, value, out)
        if not delta.keys() <= KNOWN:
            note_strays(delta, self._losses)
        return None

    def _note_reason(self, reason: str) -> None:
        why = why_of(reason)
        if why is None:
            raise Senseless(reported({"code": reason, "message": f"the model ended with {reason[:80]!r}"}))
        if self._stop is None or self._stop.why in _WHOLE_CALLS:
            self._stop = Stop(why)

    def _thoughts(self, delta: dict[str, Any], out: list[Event]) -> None:
        text = thought_in(delta, self._losses)
        details = delta.get("reasoning_details")
        if details:
            self._switch(Thinking, out)
            detailed = self._details.feed(details if isinstance(details, list) else [details])
            text = text or detailed
        if text:
            self._say(Thinking, text, out)

    def _content(self, value: object, out: list[Event]) -> None:
        if not isinstance(value, str):
            for kind, text in words_in(value, self._losses):
                if kind is Text:
                    self._content(text, out)
                elif kind is Refusal:
                    self._refused(text, out)
                else:
                    self._say(kind, text, out)
        elif self._tags is None:
            self._say(Text, value, out)
        else:
            self._say_all(self._tags.feed(value), out)

    def _refused(self, value: object, out: list[Event]) -> None:
        text = words_of(value)
        self._say(Refusal, text, out)
        self._refusal.append(text)

    def _tool_calls(self, value: object, out: list[Event]) -> None:
        for piece in objects_of(value):
            if piece:
                self._shut(out)
                self._calls.feed(piece, out)

    def _function_call(self, value: object, out: list[Event]) -> None:
        self._tool_calls([{"index": 0, "function": value}], out)

    def _cited(self, _value: object, _out: list[Event]) -> None:
        self._losses.note("citations")

    def _no_counterpart(self, _value: object, _out: list[Event]) -> None:
        raise Senseless(unknown("has", "a sound or an image"))

    def _say_all(self, pairs: list[tuple[type[Text | Thinking], str]], out: list[Event]) -> None:
        for kind, text in pairs:
            self._say(kind, text, out)

    def _say(self, kind: Spoken, text: str, out: list[Event]) -> None:
        if text:
            if self._kind is not kind:
                self._switch(kind, out)
            out.append(Delta(self._slot, text))

    def _switch(self, kind: Spoken, out: list[Event]) -> None:
        """Let a part of this kind be the open one."""
        if self._kind is kind:
            return
        self._shut(out)
        self._calls.leave(out)
        self._slot, self._kind = self._new_slot(), kind
        out.append(Open(self._slot, EMPTY[kind]))

    def _shut(self, out: list[Event]) -> None:
        """Close the part that is open, if it is no call."""
        if self._kind is None:
            return
        if self._kind is Thinking:
            seal = self._seal()
            if seal is not None:
                out.append(Sealed(self._slot, seal))
        out.append(Close(self._slot))
        self._kind = None

    def _seal(self) -> Seal | None:
        if self._details:
            value = self._details.take()
            if value is not None:
                return Seal(Opaque.DETAILS, value, self._mark)
        if self._caps.reasoning_back:
            return Seal(Opaque.PLAIN, mark=self._mark)
        return None

    def _finish(self, stop: Stop, out: list[Event]) -> None:
        if self._tags is not None:
            self._say_all(self._tags.end(), out)
        self._shut(out)
        if self._refusal and stop.why in _WHOLE_CALLS:
            stop = Stop(Why.REFUSED, "".join(self._refusal))
        self._calls.finish(out, cut=stop.why not in _WHOLE_CALLS)
        if self._usage != NO_USAGE:
            out.append(UsageSeen(self._usage))
        out += (Stopped(settled(stop, bool(self._calls))), End())

    def _begun(self, out: list[Event]) -> list[Event]:
        """Return events with the answer's beginning before the first of them."""
        if out and not self._started and not isinstance(out[0], BrokenOff):
            self._started = True
            out.insert(0, self._head)
        return out

    def _new_slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    _MEMBERS: ClassVar = (
        ("content", _content),
        ("refusal", _refused),
        ("tool_calls", _tool_calls),
        ("function_call", _function_call),
        ("annotations", _cited),
        ("images", _no_counterpart),
        ("audio", _no_counterpart),
    )
