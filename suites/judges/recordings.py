"""Answers of real providers, with their requests, as others recorded them for their own tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import environments
import yaml
from running import CHAT, MESSAGES, RESPONSES

from holdfast.core.identity import Dialect

SOURCES = ("langchain-openai", "langchain-anthropic", "opentelemetry-openai")
Wire = dict[str, Any]


class Recording(NamedTuple):
    """What was recorded: the request, if it was kept; the answer's events, or the whole answer."""

    name: str
    dialect: Dialect
    request: Wire
    events: list[Wire]
    whole: Wire


def recordings() -> Iterator[Recording]:
    """Yield the good answers of models, whole ones and streams: of cassettes, and of an SDK's own tests."""
    for source in SOURCES:
        for path in sorted(environments.ensure(source).rglob("tests/cassettes/*.yaml*")):
            for number, (request, response) in enumerate(_exchanges(path)):
                made = _recording(f"{path.name.split('.yaml')[0]} {number}", request, response)
                if made is not None:
                    yield made
    for path in sorted(environments.ensure("anthropic").glob("*/tests/lib/streaming/fixtures/*.txt")):
        yield Recording(path.stem, MESSAGES, {}, list(_events(path.read_text("utf-8"))), {})


def _exchanges(path: Path) -> list[tuple[Wire, Wire]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    loaded = yaml.load(content, yaml.CSafeLoader)
    if "interactions" in loaded:
        return [(each["request"], each["response"]) for each in loaded["interactions"]]
    return list(zip(loaded["requests"], loaded["responses"], strict=True))


def _recording(name: str, request: Wire, response: Wire) -> Recording | None:
    asked, answer = _text(request.get("body")), _text(response.get("body"))
    if response["status"]["code"] != 200 or not asked.startswith("{"):
        return None
    body = json.loads(asked)
    if answer.lstrip().startswith("{"):
        whole = json.loads(answer)
        dialect = _of_whole(whole)
        return dialect and Recording(name, dialect, body, [], whole)
    events = list(_events(answer))
    dialect = _of_event(events[0]) if events else None
    return dialect and Recording(name, dialect, body, events, {})


def _text(body: Any) -> str:
    if isinstance(body, dict):
        body = body.get("string")
    if isinstance(body, bytes):
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
        body = body.decode("utf-8", "replace")
    return body or ""


def _events(text: str) -> Iterator[Wire]:
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            yield json.loads(data)


def _of_whole(answer: Wire) -> Dialect | None:
    kinds = {"chat.completion": CHAT, "response": RESPONSES, "message": MESSAGES}
    return kinds.get(answer.get("object") or answer.get("type", ""))


def _of_event(event: Wire) -> Dialect | None:
    if event.get("object") == "chat.completion.chunk":
        return CHAT
    kind = event.get("type", "")
    if kind == "message_start":
        return MESSAGES
    return RESPONSES if kind.startswith("response.") else None
