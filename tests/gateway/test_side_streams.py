"""Streams of models that do not talk: one that ends early is told or cut like any other."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from holdfast.fake_provider import ScriptedProvider, status
from holdfast.wire.side_streams import SideStreamWatch

from .conftest import StartGateway  # type: ignore[import-not-found]

SSE = {"content-type": "text/event-stream"}


def events(*kinds: str, **members: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps({"type": kind, **members}).encode() for kind in kinds)


SPEECH = events("speech.audio.delta", audio="a" * 300)
PICTURE = events("image_generation.partial_image", b64_json="a" * 300)
STREAMS = [
    ("audio/speech", SPEECH, False),
    ("audio/speech", SPEECH + events("speech.audio.done", usage={"total_tokens": 3}), True),
    ("images/generations", PICTURE, False),
    ("images/generations", PICTURE + events("image_generation.completed", b64_json="a" * 300), True),
    ("images/generations", PICTURE + events("error", error={"message": "too busy"}), True),
    ("audio/speech", events("sound.part"), True),
    ("audio/speech", events("transcript.text.delta", delta='"type": "transcript.text.done"'), False),
    ("audio/speech", events("transcript.text.delta", "transcript.text.done"), True),
]
ASKED = {
    "audio/speech": {"model": "m", "input": "x", "voice": "a", "stream_format": "sse"},
    "images/generations": {"model": "m", "prompt": "x", "stream": True},
}


def test_the_end_of_a_stream_is_seen_however_it_is_cut_into_pieces() -> None:
    for _, stream, is_whole in STREAMS:
        for size in (1, 7, 64, 1000):
            watch = SideStreamWatch()
            for start in range(0, len(stream), size):
                watch.feed(stream[start : start + size])
            watch.close()
            assert (watch.ended, watch.whole) == (is_whole, True), stream[-80:]


def test_a_stream_without_its_last_event_is_told_by_both_faces(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    transport = plane.holdfast.session("desk", "mine/scripted-1").transport(httpx2)
    with httpx2.Client(transport=transport, base_url="https://any.example/v1") as library:
        for path, stream, is_whole in STREAMS:
            provider.follow(status(200, stream, SSE))
            _, headers, answer = plane.post(path, ASKED[path], holdfast_session="desk")
            assert "content-length" not in headers
            for read in (answer, library.post(f"/{path}", json=ASKED[path]).content):
                assert read.startswith(stream)
                rest = read.removeprefix(stream)
                assert (rest == b"") is is_whole
                assert (
                    is_whole
                    or "stream_truncated" in json.loads(rest.removeprefix(b"data: "))["error"]["code"]
                )
