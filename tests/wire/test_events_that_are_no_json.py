"""Events of a stream that is translated: what cannot be read is no part of an answer that is whole."""

from __future__ import annotations

import pytest

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from holdfast.wire.translated import StreamRewriter, TranslatedRequest

BEGIN = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def _rewriter() -> StreamRewriter:
    words = [{"role": "user", "content": "hi"}]
    body = {"model": "m", "messages": words, "max_tokens": 9, "stream": True}
    request = CallerRequest(Dialect.ANTHROPIC_MESSAGES, body, Sealer(b"k" * 32), seed="seed", now=1.7e9)
    translation = request.to(Destination(Dialect.OPENAI_CHAT, "https://api.example", "m", Caps()))
    return TranslatedRequest(translation, "m").rewriter(None, b"")


@pytest.mark.parametrize("event", [b'{"choices":[{"index":0,"delta":{"content":"lo', b" {choices: 1}"])
def test_an_answer_with_an_event_that_cannot_be_read_is_broken(event: bytes) -> None:
    rewriter = _rewriter()
    written = rewriter.feed(BEGIN + b"data: " + event + b"\n\n" + END + DONE) + rewriter.rest()
    assert (rewriter.is_whole, written.count(b"event: error")) == (False, 1)
    assert b"an event that is no JSON" in written


@pytest.mark.parametrize("event", [b"ping", b"", b"[]", b"null", b'"keep-alive"', b"[PING]"])
def test_a_sign_of_life_that_is_no_object_is_passed_over(event: bytes) -> None:
    rewriter = _rewriter()
    written = rewriter.feed(BEGIN + b"data: " + event + b"\n\n" + END + DONE) + rewriter.rest()
    assert rewriter.is_whole
    assert b"event: error" not in written


def test_a_text_with_bytes_that_are_no_utf_8_arrives() -> None:
    rewriter = _rewriter()
    event = b'data: {"choices":[{"index":0,"delta":{"content":"caf\xe9 au lait"}}]}\n\n'
    written = rewriter.feed(BEGIN + event + END + DONE) + rewriter.rest()
    assert "caf\ufffd au lait" in written.decode()
    assert rewriter.is_whole


def test_what_is_left_behind_the_end_breaks_nothing() -> None:
    rewriter = _rewriter()
    written = rewriter.feed(BEGIN + END + b'data: {"usage": {"prompt') + rewriter.rest()
    assert rewriter.is_whole
    assert b"message_stop" in written
