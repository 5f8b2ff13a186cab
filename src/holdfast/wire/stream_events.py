"""The meaning of the events of a stream before its output has begun, by dialect: output, a failure, or the
stream of another API. `answer_shape` says what an answer is."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from ..core.identity import Dialect
from ..values.failure_reports import is_report
from .answer_shape import (
    UNEXPLAINED,
    Document,
    counts_output,
    dicts,
    has_failed,
    response_flaw,
    says_something,
)

_PREAMBLE = frozenset({"response.created", "response.in_progress", "response.queued"})
_MESSAGE_EVENTS = frozenset({"message_start", "message_delta", "message_stop"})
_GOES_ON = (None, "", "null")
"""Reasons for its end that a choice gives while it goes on."""
FAILED = frozenset({"error", "response.failed"})


class EventSign(Enum):
    """The meaning of an event before the output; NOTHING is a preamble, or an event that is not known."""

    NOTHING = auto()
    OUTPUT = auto()
    FAILURE = auto()
    FOREIGN = auto()


class ChoiceEnds:
    """Knows which choices of a chat answer have begun and not ended. `several`: another than the first was
    seen, so every event counts from then on."""

    __slots__ = ("_open", "several")

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.several = False

    def ended(self, choices: list[Document], before: bool) -> bool:
        """Return whether the answer has ended, after an event with these choices; `before` it was so."""
        for choice in choices:
            index = choice.get("index")
            if not isinstance(index, int):
                index = 0
            self.several = self.several or index > 0
            if choice.get("finish_reason") not in _GOES_ON:
                self._open.discard(index)
                before = not self._open
            elif says_something([choice]):
                self._open.add(index)
                before = False
        return before


def type_of(name: str, event: Document) -> str:
    """Return the type of an event that its stream calls `name`; "" where neither says it. Of `response.done`,
    with which some servers end a response, it is the one of the response's status."""
    if name in FAILED:
        return name
    kind = str(event.get("type") or name)
    if kind != "response.done":
        return kind
    response = event.get("response")
    status = response.get("status") if isinstance(response, dict) else None
    return f"response.{status or 'completed'}"


def judge_event(dialect: Dialect, name: str, event: Document) -> EventSign:
    """Return what an event of a stream says. `name` is its type, else the name that the stream gives it."""
    if name in FAILED or is_report(event):
        return EventSign.FAILURE
    sign = _EVENTS[dialect](name, event)
    if sign is EventSign.NOTHING and _owner_of(name, event) not in (None, dialect):
        return EventSign.FOREIGN
    return sign


def _owner_of(name: str, event: Document) -> Dialect | None:
    """Return the dialect that an event certainly belongs to."""
    if name.startswith("response."):
        return Dialect.OPENAI_RESPONSES
    if name in _MESSAGE_EVENTS or name.startswith("content_block_"):
        return Dialect.ANTHROPIC_MESSAGES
    if dicts(event.get("choices")):
        return Dialect.OPENAI_CHAT
    return None


def _chat_event(_name: str, event: Document) -> EventSign:
    choices = dicts(event.get("choices"))
    if has_failed(choices):
        return EventSign.FAILURE
    at_end = not choices or bool(choices[0].get("finish_reason"))
    if says_something(choices) or (at_end and counts_output(event)):
        return EventSign.OUTPUT
    return EventSign.NOTHING


def _message_event(name: str, event: Document) -> EventSign:
    if name.startswith("content_block_"):
        return EventSign.OUTPUT
    if name != "message_delta":
        return EventSign.NOTHING
    delta = event.get("delta")
    explained = isinstance(delta, dict) and delta.get("stop_reason") not in UNEXPLAINED
    if explained or counts_output(event):
        return EventSign.OUTPUT
    return EventSign.NOTHING


def _response_event(name: str, event: Document) -> EventSign:
    if name in _PREAMBLE or not name.startswith("response."):
        return EventSign.NOTHING
    response = event.get("response")
    if name != "response.completed" or (isinstance(response, dict) and response_flaw(response) is None):
        return EventSign.OUTPUT
    return EventSign.NOTHING


_EVENTS: dict[Dialect, Callable[[str, Document], EventSign]] = {
    Dialect.OPENAI_CHAT: _chat_event,
    Dialect.ANTHROPIC_MESSAGES: _message_event,
    Dialect.OPENAI_RESPONSES: _response_event,
}
