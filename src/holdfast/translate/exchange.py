"""A translated exchange: the request as it is sent, and its answer as the caller gets it. The one object that
the faces use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..core.identity import Dialect
from . import abilities, read_chat, read_messages, read_responses, write_chat, write_messages, write_responses
from .caps import Caps
from .context import Caller, Target
from .envelope import Sealer
from .events import DONE, LAST, AnswerReader, AnswerWriter, BrokenOff, End, Event, fold
from .form import Request
from .from_chat import ChatReader
from .from_messages import MessagesReader
from .from_responses import ResponsesReader
from .losses import Losses, Untranslatable
from .names import ToolNames
from .to_chat import ChatWriter
from .to_messages import MessagesWriter
from .to_responses import ResponsesWriter

_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES


class Forms(NamedTuple):
    """The readers and writers of one dialect, and the path of its requests."""

    path: str
    read: Callable[[Mapping[str, Any], Sealer, Losses], Request]
    write: Callable[[Request, Target], dict[str, Any]]
    reader: Callable[[Caps, str, str, Losses], AnswerReader]
    writer: Callable[[Caller], AnswerWriter]


FORMS: dict[Dialect, Forms] = {
    _CHAT: Forms(
        "/v1/chat/completions",
        read=read_chat.read,
        write=write_chat.write,
        reader=ChatReader,
        writer=ChatWriter,
    ),
    _MESSAGES: Forms(
        "/v1/messages",
        read=read_messages.read,
        write=write_messages.write,
        reader=MessagesReader,
        writer=MessagesWriter,
    ),
    _RESPONSES: Forms(
        "/v1/responses",
        read=read_responses.read,
        write=write_responses.write,
        reader=ResponsesReader,
        writer=ResponsesWriter,
    ),
}


class BrokenAnswer(Exception):
    """A whole answer is none, or cannot be given to the caller. Its text says why."""


class Destination(NamedTuple):
    """The place where a request goes: the endpoint's dialect, origin and abilities, and its name of the
    model. `exact`: nothing may be lost."""

    dialect: Dialect
    origin: str
    model: str
    caps: Caps
    exact: bool = False
    cache_key: str = ""


class CallerRequest:
    """A caller's request, which can be written for several endpoints.

    `seed` is an id of the request, `now` the time in epoch seconds.
    """

    __slots__ = ("_body", "_now", "_read", "_sealer", "_seed", "dialect")

    def __init__(
        self, dialect: Dialect, body: Mapping[str, Any], sealer: Sealer, *, seed: str, now: float
    ) -> None:
        self.dialect = dialect
        self._body, self._sealer, self._seed, self._now = body, sealer, seed, now
        self._read: dict[bool, tuple[Request, tuple[str, ...]]] = {}

    def to(self, destination: Destination) -> Translation:
        """Return the request for an endpoint. Raises Untranslatable."""
        request, lost = self._request(exact=destination.exact)
        losses = Losses(exact=destination.exact, names=lost)
        abilities.check(request, destination.caps, losses)
        mark = self._sealer.mark(destination.origin, destination.model)
        names = ToolNames(request.tools, losses)
        target = Target(
            caps=destination.caps,
            mark=mark,
            model=destination.model,
            names=names,
            losses=losses,
            cache_key=destination.cache_key,
        )
        caller = Caller(
            request=request,
            names=names,
            sealer=self._sealer,
            mark=mark,
            now=self._now,
            seed=self._seed,
            losses=losses,
        )
        return Translation(
            self.dialect, FORMS[destination.dialect].write(request, target), caller, destination
        )

    def _request(self, *, exact: bool) -> tuple[Request, tuple[str, ...]]:
        known = self._read.get(exact)
        if known is None:
            losses = Losses(exact=exact)
            request = FORMS[self.dialect].read(self._body, self._sealer, losses)
            known = self._read[exact] = request, losses.names
        return known


class Translation:
    """A request in another dialect: `body` is sent to the `endpoint`'s dialect, its answer is given to the
    `caller`'s."""

    __slots__ = ("_caller", "_destination", "body", "caller", "endpoint")

    def __init__(
        self, dialect: Dialect, body: dict[str, Any], caller: Caller, destination: Destination
    ) -> None:
        self.caller, self.endpoint, self.body = dialect, destination.dialect, body
        self._caller, self._destination = caller, destination

    @property
    def path(self) -> str:
        """Return the path to which the request is sent."""
        return FORMS[self.endpoint].path

    @property
    def streams(self) -> bool:
        """Return whether a stream is asked for."""
        return self._caller.request.stream

    @property
    def less(self) -> tuple[str, ...]:
        """Return the names of what is lost, as far as it is known by now (`losses.LESS`)."""
        return self._caller.losses.names

    @property
    def label(self) -> str:
        """Return the value of the header `holdfast-translated`."""
        label = f"{self.caller}>{self.endpoint}"
        if self.less:
            label += f"; less={','.join(self.less)}"
        return label

    def whole(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole answer of the endpoint's as the caller gets it. Raises BrokenAnswer."""
        answer = fold(self._reader().whole(document))
        if answer.broken is not None:
            raise BrokenAnswer(answer.broken.text)
        if not answer.ended:
            raise BrokenAnswer("the answer has no end")
        try:
            return FORMS[self.caller].writer(self._caller).whole(answer)
        except Untranslatable as refused:
            raise BrokenAnswer(refused.why) from None

    def stream(self) -> TranslatedStream:
        """Return what takes the events of a stream."""
        return TranslatedStream(self._reader(), FORMS[self.caller].writer(self._caller))

    def _reader(self) -> AnswerReader:
        caller = self._caller
        return FORMS[self.endpoint].reader(self._destination.caps, caller.mark, caller.seed, caller.losses)


class TranslatedStream:
    """A stream under translation. `over`: nothing follows any more; `whole`: it came to its end."""

    __slots__ = ("_reader", "_writer", "over", "whole")

    def __init__(self, reader: AnswerReader, writer: AnswerWriter) -> None:
        self._reader, self._writer = reader, writer
        self.over = self.whole = False

    def feed(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the caller's events for the data of one of the endpoint's."""
        return self._written(self._reader.feed(data))

    def end(self) -> list[dict[str, Any]]:
        """Return the last events, since the endpoint's stream has come to its end."""
        return self._written([*self._reader.feed(DONE), *self._reader.end()])

    def document(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return all events for a whole answer that came in place of a stream."""
        return self._written(self._reader.whole(document))

    def broken(self, text: str, kind: str = "") -> list[dict[str, Any]]:
        """Return the event that says that the answer broke off, by a fault of class `kind`."""
        if kind:
            return self._written([BrokenOff(text, kind)])
        return self._written([BrokenOff(text)])

    def waiting(self) -> list[dict[str, Any]]:
        """Return an event for a caller that has waited for long; none where nothing may be sent yet, or any
        more."""
        return [] if self.over else self._writer.waiting()

    def _written(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        for event in events:
            if self.over:
                break
            written += self._writer.feed(event)
            if isinstance(event, LAST):
                self.over, self.whole = True, isinstance(event, End)
        return written


__all__ = [
    "BrokenAnswer",
    "CallerRequest",
    "Destination",
    "TranslatedStream",
    "Translation",
    "Untranslatable",
]
