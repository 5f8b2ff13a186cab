"""Reads answers of the chat dialect, whole ones and streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .caps import Caps
from .chat_calls import Calls, Senseless
from .chat_members import as_deltas, reason_of, usage_of, why_of
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
from .lenient import count_of, members_of, objects_of, text_of
from .losses import Losses
from .provider_errors import ended_without, reported, senseless, unknown
from .thoughts import Details, Tags

_Spoken = type[Text | Thinking | Refusal]
_EMPTY: dict[_Spoken, Text | Thinking | Refusal] = {
    Text: Text(""),
    Thinking: Thinking(),
    Refusal: Refusal(""),
}
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
        self._kind: _Spoken | None = None
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
        if data.get("error") or data.get("object") == "error":
            raise Senseless(reported(data.get("error") or data))
        if not self._started:
            self._note_head(data)
        usage = data.get("usage")
        if usage:
            self._note_usage(members_of(usage))
        if data.get("citations"):
            self._losses.note("citations")
        choices = data.get("choices")
        if isinstance(choices, list):
            for choice in choices:
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
        delta = self._words(choice)
        if isinstance(delta, dict):
            self._thoughts(delta, out)
            for name, take in self._MEMBERS:
                value = delta.get(name)
                if value:
                    take(self, value, out)
        reason = reason_of(choice)
        if reason:
            self._note_reason(text_of(reason))
            self._note_usage(members_of(choice.get("usage")))

    def _words(self, choice: dict[str, Any]) -> object:
        """Return what a choice says: some servers send the whole message in place of a piece of it. After
        pieces, that is what they said already."""
        message = choice.get("message")
        if "delta" in choice or self._started or not isinstance(message, dict):
            return choice.get("delta")
        return as_deltas([choice])[0]["delta"]

    def _note_reason(self, reason: str) -> None:
        why = why_of(reason)
        if why is None:
            raise Senseless(reported({"code": reason, "message": f"the model ended with {reason[:80]!r}"}))
        if self._stop is None or self._stop.why in _WHOLE_CALLS:
            self._stop = Stop(why)

    def _thoughts(self, delta: dict[str, Any], out: list[Event]) -> None:
        text = delta.get("reasoning_content") or delta.get("reasoning") or delta.get("reasoning_text")
        details = delta.get("reasoning_details")
        if details and isinstance(details, list):
            self._switch(Thinking, out)
            detailed = self._details.feed(details)
            text = text or detailed
        if text and isinstance(text, str):
            self._say(Thinking, text, out)

    def _content(self, value: object, out: list[Event]) -> None:
        if not isinstance(value, str):
            for part in objects_of(value):
                self._part(part, out)
        elif self._tags is None:
            self._say(Text, value, out)
        else:
            self._say_all(self._tags.feed(value), out)

    def _part(self, part: Mapping[str, Any], out: list[Event]) -> None:
        """Take a part of a content that is a list."""
        kind = text_of(part.get("type"))
        if kind == "thinking":
            thoughts = part.get("thinking")
            texts = [text_of(thought.get("text")) for thought in objects_of(thoughts)]
            self._say(Thinking, text_of(thoughts) + "".join(texts), out)
        elif kind in ("text", "output_text"):
            self._say(Text, text_of(part.get("text")), out)
        elif kind == "reference":
            self._losses.note("citations")
        else:
            raise Senseless(unknown("has a part of the type", kind))

    def _refused(self, value: object, out: list[Event]) -> None:
        text = text_of(value)
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

    def _say(self, kind: _Spoken, text: str, out: list[Event]) -> None:
        if text:
            if self._kind is not kind:
                self._switch(kind, out)
            out.append(Delta(self._slot, text))

    def _switch(self, kind: _Spoken, out: list[Event]) -> None:
        """Let a part of this kind be the open one."""
        if self._kind is kind:
            return
        self._shut(out)
        self._calls.leave(out)
        self._slot, self._kind = self._new_slot(), kind
        out.append(Open(self._slot, _EMPTY[kind]))

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
