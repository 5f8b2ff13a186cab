"""Answers that name their sources: no caller is given them, and is told so."""

from __future__ import annotations

from typing import Any

from holdfast.translate.caps import Caps
from holdfast.translate.events import DONE, AnswerReader, fold
from holdfast.translate.form import Text
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses
from tables import rows
from translate.streams import chunk
from translate.wires import MARK, Wire, message, message_stream, reader, response, response_stream

URL = {"type": "url_citation", "url": "https://a.test"}
SAID: list[tuple[str, ...]] = [("text", "x")]


def _chat(**members: Any) -> list[Wire]:
    return [chunk({"content": "x", **members}), chunk({}, "stop")]


def _messages(citation: Wire | None) -> list[Wire]:
    events = message_stream(SAID)
    if citation:
        delta = {"type": "citations_delta", "citation": citation}
        events.insert(4, {"type": "content_block_delta", "index": 0, "delta": delta})
    return events


def _responses(*annotations: Wire) -> list[Wire]:
    events = response_stream(SAID)
    for event in events:
        if "part" in event and event["type"].endswith("done"):
            event["part"]["annotations"] = list(annotations)
    return events


def _cited(body: Wire, *path: str | int, **members: Any) -> Wire:
    inner: Any = body
    for step in path:
        inner = inner[step]
    inner.update(members)
    return body


def _whole_chat(**members: Any) -> Wire:
    return {"id": "x", "choices": [{"message": {"content": "x", **members}, "finish_reason": "stop"}]}


def _whole_message() -> Wire:
    return message([{"type": "text", "text": "x"}])


def _whole_response() -> Wire:
    return response([{"type": "message", "content": [{"type": "output_text", "text": "x"}]}])


@rows(
    ("dialect", "stream", "lost"),
    [
        ("chat", _chat(), False),
        ("chat", _chat(annotations=[]), False),
        ("chat", _chat(annotations=[URL]), True),
        ("chat", [_chat()[0] | {"citations": ["https://a.test"]}, _chat()[1]], True),
        ("chat", _chat(content=[{"type": "text", "text": "x"}, {"type": "reference"}]), True),
        ("messages", _messages(None), False),
        ("messages", _messages(URL), True),
        ("responses", _responses(), False),
        ("responses", _responses(URL), True),
        ("chat", _whole_chat(annotations=None), False),
        ("chat", _whole_chat(annotations=[URL]), True),
        ("chat", _whole_chat() | {"citations": ["https://a.test"]}, True),
        ("messages", _cited(_whole_message(), "content", 0, citations=None), False),
        ("messages", _cited(_whole_message(), "content", 0, citations=[URL]), True),
        ("responses", _cited(_whole_response(), "output", 0, "content", 0, annotations=[]), False),
        ("responses", _cited(_whole_response(), "output", 0, "content", 0, annotations=[URL]), True),
    ],
)
def test_sources_that_no_caller_gets_are_a_loss(dialect: str, stream: list[Wire] | Wire, lost: bool) -> None:
    losses = Losses()
    read: AnswerReader = ChatReader(Caps(), MARK, "seed", losses)
    if dialect != "chat":
        read = reader(dialect, losses=losses)
    if isinstance(stream, dict):
        events = read.whole(stream)
    else:
        events = [event for data in stream for event in read.feed(data)] + read.feed(DONE)
    assert fold(events).parts == (Text("x"),)
    assert losses.names == ("citations",) * lost
