"""The items of an answer in the Responses dialect while they are written: each gives its events, without the
numbers of the stream, and itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .arguments import Arguments, object_of
from .form import FREE, SEARCH, Call, Part, Refusal, Text, Thinking, ToolKind
from .free_text import FreeText

Wire = dict[str, Any]
DONE, UNDER_WAY, CUT_OFF = "completed", "in_progress", "incomplete"


class _Form(NamedTuple):
    """The words of an item that has one part with a text. `extra` is in its part, `noted` in its events."""

    item: str
    events: str
    part_events: str
    index_member: str
    part: str
    member: str = "text"
    extra: Mapping[str, Any] = MappingProxyType({})
    noted: Mapping[str, Any] = MappingProxyType({})


_TEXT = _Form(
    item="message",
    events="response.output_text",
    part_events="response.content_part",
    index_member="content_index",
    part="output_text",
    extra={"annotations": [], "logprobs": []},
    noted={"logprobs": []},
)
_REFUSAL = _Form(
    item="message",
    events="response.refusal",
    part_events="response.content_part",
    index_member="content_index",
    part="refusal",
    member="refusal",
)
_THOUGHT = _Form(
    item="reasoning",
    events="response.reasoning_text",
    part_events="response.content_part",
    index_member="content_index",
    part="reasoning_text",
)
_SUMMARY = _Form(
    item="reasoning",
    events="response.reasoning_summary_text",
    part_events="response.reasoning_summary_part",
    index_member="summary_index",
    part="summary_text",
)


class Spoken:
    """A message or a thought. `opaque` is what the caller is to echo with a thought."""

    __slots__ = ("_delta", "_form", "_index", "_name", "_texts", "opaque", "status")

    def __init__(self, form: _Form, name: str, index: int) -> None:
        self._form, self._name, self._index = form, name, index
        self._delta: Wire = {"type": f"{form.events}.delta", **self._where(), **form.noted}
        self._texts: list[str] = []
        self.opaque = ""
        self.status = UNDER_WAY

    def begin(self) -> list[Wire]:
        """Return the events by which it begins."""
        added = {"type": f"{self._form.part_events}.added", **self._where(), "part": self._part("")}
        return [_added(self._index, self.item()), added]

    def delta(self, text: str) -> list[Wire]:
        """Return the event of more text."""
        self._texts.append(text)
        return [{**self._delta, "delta": text}]

    def finish(self, status: str) -> list[Wire]:
        """Return the events by which it ends."""
        self.status = status
        form, text = self._form, "".join(self._texts)
        return [
            {"type": f"{form.events}.done", **self._where(), form.member: text, **form.noted},
            {"type": f"{form.part_events}.done", **self._where(), "part": self._part(text)},
            _done(self._index, self.item()),
        ]

    def item(self) -> Wire:
        """Return the item as far as it has come."""
        parts = []
        if self._texts:
            parts = [self._part("".join(self._texts))]
        if self._form.item == "message":
            return {
                "id": self._name,
                "type": "message",
                "status": self.status,
                "role": "assistant",
                "content": parts,
            }
        return _reasoning(self._name, self._form, parts, self.opaque)

    def _where(self) -> Wire:
        return {"item_id": self._name, "output_index": self._index, self._form.index_member: 0}

    def _part(self, text: str) -> Wire:
        return {"type": self._form.part, self._form.member: text, **self._form.extra}


class Hidden:
    """A thought without a text."""

    __slots__ = ("_index", "_name", "opaque", "status")

    def __init__(self, name: str, index: int, opaque: str) -> None:
        self._name, self._index, self.opaque = name, index, opaque
        self.status = DONE

    def events(self) -> list[Wire]:
        """Return all its events."""
        return [_added(self._index, self.item()), _done(self._index, self.item())]

    def item(self) -> Wire:
        """Return the item."""
        return _reasoning(self._name, _SUMMARY, [], self.opaque)


class Called:
    """A call. Its `args` are those that the endpoint gave, in JSON."""

    __slots__ = ("_index", "_name", "_said", "args", "call", "status")

    def __init__(self, call: Call, name: str, index: int) -> None:
        self.call, self._name, self._index = call, name, index
        self.args = Arguments()
        self._said: list[str] = []
        self.status = UNDER_WAY

    @property
    def is_whole(self) -> bool:
        """Return whether its arguments are a whole JSON object, or none."""
        return not self.args or self.args.read() is not None

    def begin(self) -> list[Wire]:
        """Return the event by which it begins."""
        return [_added(self._index, self.item())]

    def delta(self, text: str) -> list[Wire]:
        """Return the event of more arguments, if the caller wants them in pieces."""
        self.args.feed(text)
        return self._more(text)

    def finish(self, status: str) -> list[Wire]:
        """Return the events by which it ends. The caller begins with the call now."""
        self.status = status
        return [*self._last(), _done(self._index, self.item())]

    def item(self) -> Wire:
        """Return the item as far as it has come."""
        return {
            "id": self._name,
            **self._body(),
            "call_id": self.call.id,
            "status": self.status,
        }

    def _named(self) -> Wire:
        if not self.call.group:
            return {"name": self.call.name}
        return {"name": self.call.name, "namespace": self.call.group}

    def _event(self, kind: str, **members: str) -> Wire:
        return {"type": kind, "item_id": self._name, "output_index": self._index, **members}

    def _body(self) -> Wire:
        return {"type": "function_call", **self._named(), "arguments": self._text()}

    def _text(self) -> str:
        if self.status != UNDER_WAY:
            return self.args.text or "{}"
        return self.args.text

    def _more(self, _text: str) -> list[Wire]:
        return [self._event("response.function_call_arguments.delta", delta=_text)]

    def _last(self) -> list[Wire]:
        text, name = self._text(), self.call.name
        return [self._event("response.function_call_arguments.done", arguments=text, name=name)]


class CalledFree(Called):
    """A call with a text, which the endpoint gives as the only member of a JSON object."""

    __slots__ = ("_decoder",)

    def __init__(self, call: Call, name: str, index: int) -> None:
        super().__init__(call, name, index)
        self._decoder = FreeText()

    def _body(self) -> Wire:
        return {"type": "custom_tool_call", **self._named(), "input": "".join(self._said)}

    def _more(self, text: str) -> list[Wire]:
        return self._piece(self._decoder.feed(text))

    def _last(self) -> list[Wire]:
        rest = self._piece(self._decoder.end())
        return [*rest, self._event("response.custom_tool_call_input.done", input="".join(self._said))]

    def _piece(self, text: str) -> list[Wire]:
        if not text:
            return []
        self._said.append(text)
        return [self._event("response.custom_tool_call_input.delta", delta=text)]


class CalledSearch(Called):
    """A call of the caller's search for tools, which has its arguments as an object."""

    __slots__ = ()

    def _body(self) -> Wire:
        given: object = {}
        if self.status != UNDER_WAY and self.args:
            given = object_of(self.args.text) or self.args.text
        return {"type": "tool_search_call", "execution": "client", "arguments": given}

    def _more(self, _text: str) -> list[Wire]:
        return []

    def _last(self) -> list[Wire]:
        return []


Item = Spoken | Hidden | Called
_CALLED: dict[ToolKind, type[Called]] = {FREE: CalledFree, SEARCH: CalledSearch}


def prefix_of(part: Part) -> str:
    """Return the beginning of an item's id."""
    if isinstance(part, Call):
        return {FREE: "ctc_", SEARCH: "tsc_"}.get(part.kind, "fc_")
    if isinstance(part, Thinking):
        return "rs_"
    return "msg_"


def item_of(part: Part, name: str, index: int, *, summed_up: bool) -> Spoken | Called:
    """Return the item for a part. With `summed_up`, thoughts are given as a summary."""
    if isinstance(part, Call):
        return _CALLED.get(part.kind, Called)(part, name, index)
    if isinstance(part, Thinking):
        return Spoken((_THOUGHT, _SUMMARY)[summed_up], name, index)
    return Spoken(_FORMS[type(part)], name, index)


_FORMS: dict[type[Part], _Form] = {Text: _TEXT, Refusal: _REFUSAL}


def _reasoning(name: str, form: _Form, parts: list[Wire], opaque: str) -> Wire:
    item: Wire = {"id": name, "type": "reasoning", "summary": []}
    if form is _SUMMARY:
        item["summary"] = parts
    else:
        item["content"] = parts
    if opaque:
        item["encrypted_content"] = opaque
    return item


def _added(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.done", "output_index": index, "item": item}
