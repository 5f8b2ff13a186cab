"""What a provider counted is written down once, whichever way its answer came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.store.journal_events import UsageCounted, of_type
from holdfast.store.usage import Usage
from holdfast.testing import ScriptedProvider
from holdfast.wire.sse import StreamWatch
from holdfast.wire.usage import by_kind, usage_in, usage_of


@pytest.mark.parametrize(
    ("body", "usage", "kept"),
    [
        (
            b'{"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}',
            {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
            (12, 34),
        ),
        (
            b'{"usage" : {"input_tokens" : 3, "output_tokens":7}}',
            {"input_tokens": 3, "output_tokens": 7},
            (3, 7),
        ),
        (b'{"content":"\\"usage\\": {\\"input_tokens\\": 9}"}', {}, (None, None)),
        (
            b'{"usage":{"input_tokens":0,"output_tokens":1}}',
            {"input_tokens": 0, "output_tokens": 1},
            (None, 1),
        ),
        (b"", {}, (None, None)),
    ],
)
def test_counts_are_read_where_they_stand(
    body: bytes, usage: dict[str, int], kept: tuple[int | None, int | None]
) -> None:
    assert usage_of(body) == usage
    kinds = by_kind(usage)
    assert (kinds.get("input"), kinds.get("output")) == kept


@pytest.mark.parametrize("count", ["9" * 400, "1" + "0" * 12, "-1", "true", '"7"', "1.5", "null"])
def test_what_cannot_be_a_count_is_none(count: str) -> None:
    usage = f'"usage": {{"prompt_tokens": {count}, "completion_tokens": 3}}'
    body = f'{{"object": "chat.completion.chunk", "choices": [], {usage}}}'.encode()
    watch = StreamWatch(Dialect.OPENAI_CHAT, b"")
    watch.feed(b"data: %b\n\n" % body)
    expected = {"completion_tokens": 3}
    assert (usage_of(body), usage_in(json.loads(body)), dict(watch.usage)) == (expected,) * 3


@pytest.mark.parametrize(
    ("route", "stream"), [("chat/completions", False), ("messages", False), ("messages", True)]
)
def test_the_journal_tells_what_the_provider_counted(
    gateway: Any, provider: ScriptedProvider, route: str, stream: bool
) -> None:
    plane = gateway(provider)
    status, headers, _ = plane.post(route, {"model": "mine/scripted-1", "messages": [], "stream": stream})
    counted = dict(plane.done[-1].usage)
    assert status == 200
    assert counted
    plane.holdfast.engine.journal_writer.flush()
    lines = plane.holdfast.engine.store.journal(request=headers["holdfast-request-id"])
    assert [event.detail.tokens for event in of_type(lines, UsageCounted)] == [by_kind(counted)]


@pytest.mark.parametrize("fast_path", [True, False])
def test_each_answered_request_is_counted_once_with_its_tokens(
    gateway: Any, provider: ScriptedProvider, fast_path: bool
) -> None:
    plane = gateway(provider)
    engine = plane.holdfast.engine
    engine.fast_path.on = fast_path
    for route, stream in [("chat/completions", False), ("messages", False), ("messages", True)]:
        expected = [0, 0, 0]
        before = engine.store.usage() or [Usage("", "", "", "", 0, 0, 0)]
        for _ in range(3):
            status, _, _ = plane.post(route, {"model": "mine/scripted-1", "messages": [], "stream": stream})
            assert status == 200
            kinds = by_kind(plane.done[-1].usage)
            counted = (1, kinds.get("input", 0), kinds.get("output", 0))
            expected = [sum(pair) for pair in zip(expected, counted, strict=True)]
        engine.journal_writer.flush()
        (after,) = engine.store.usage()
        assert [now - then for now, then in zip(after[4:], before[0][4:], strict=True)] == expected
