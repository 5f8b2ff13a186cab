"""Whatever the framing, the chunks and the label of an answer: a cut one is reported, a whole one arrives as
it was sent, and nothing is written beyond an announced length. From the gateway and from the library."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from enum import Enum, auto
from itertools import pairwise
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.core.identity import Dialect

from .conftest import Running, StartGateway, request  # type: ignore[import-not-found]
from .raw_provider import (  # type: ignore[import-not-found]
    DONE,
    END,
    EVENTS,
    After,
    RawProvider,
    Said,
    chunk,
    completion,
    delta,
    event,
    head,
    raw_provider,
)


def named(kind: str, **more: Any) -> bytes:
    return event({"type": kind} | more, kind)


STARTED = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {}}
ANSWERED = {"id": "r", "object": "response", "status": "completed", "model": "m"}
TEXT = {"type": "output_text", "text": "hi", "annotations": []}
OUTPUT = [{"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [TEXT]}]
# By dialect: its route, the events before the last one, and the last one.
STREAMS: dict[Dialect, tuple[str, list[bytes], bytes]] = {
    Dialect.OPENAI_CHAT: ("chat/completions", [delta("hé"), delta("llo")], delta(None, "stop") + DONE),
    Dialect.OPENAI_RESPONSES: (
        "responses",
        [
            named("response.created", response={"id": "r"}),
            named("response.output_text.delta", item_id="i", delta="hé"),
        ],
        named("response.completed", response=ANSWERED | {"output": OUTPUT}),
    ),
    Dialect.ANTHROPIC_MESSAGES: (
        "messages",
        [
            named("message_start", message=STARTED),
            named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            named("content_block_delta", index=0, delta={"type": "text_delta", "text": "hé"}),
            named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
        ],
        named("message_stop"),
    ),
}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
DOCUMENTS = {
    Dialect.OPENAI_CHAT: completion("hé}]"),
    Dialect.OPENAI_RESPONSES: json.dumps(ANSWERED | {"output": OUTPUT}).encode(),
    Dialect.ANTHROPIC_MESSAGES: json.dumps(
        MESSAGE | {"content": [{"type": "text", "text": "{["}], "usage": {"output_tokens": 3}}
    ).encode(),
}
LABELS = [
    EVENTS,
    "text/event-stream; charset=utf-8",
    "application/json",
    "application/x-ndjson",
    "application/stream+json",
    "application/octet-stream",
    "text/plain",
    "",
]
CODINGS = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


class Framing(Enum):
    """How the provider marks the end of its answer, and how it fails to."""

    SIZED = auto()
    SHORT = auto()
    CHUNKED = auto()
    NO_LAST_CHUNK = auto()
    RESET = auto()
    CLOSED = auto()


BROKEN = {Framing.SHORT, Framing.NO_LAST_CHUNK, Framing.RESET}


class Case(NamedTuple):
    """One answer of a provider."""

    dialect: Dialect
    streams: bool
    body: bytes
    whole: bool
    script: Said

    @property
    def may_be_lost(self) -> bool:
        """Return whether the system may drop what the provider sent, unread."""
        return self.script.after is After.RESET

    @property
    def asked(self) -> bytes:
        return json.dumps(
            {"model": "mine/m", "messages": [], "max_tokens": 5, "stream": self.streams}
        ).encode()


def framed(body: bytes, framing: Framing, cuts: list[int], lines: list[str], label: str) -> Said:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(edges)]
    if framing in (Framing.SIZED, Framing.SHORT):
        missing = 7 * (framing is Framing.SHORT)
        first = head(*lines, f"content-length: {len(body) + missing}", kind=label)
        after = After.CLOSE if missing else After.KEEP
        return Said([first + b"".join(pieces[:1]), *pieces[1:]], after)
    if framing is Framing.CLOSED:
        first = head(*lines, "connection: close", kind=label)
        return Said([first + b"".join(pieces[:1]), *pieces[1:]], After.CLOSE)
    first = head(*lines, "transfer-encoding: chunked", kind=label)
    chunks = [first, *map(chunk, pieces)]
    if framing is Framing.CHUNKED:
        return Said([*chunks[:-1], chunks[-1] + END])
    return Said(chunks, After.RESET if framing is Framing.RESET else After.CLOSE)


@st.composite
def answers(draw: st.DrawFn) -> Case:
    dialect = draw(st.sampled_from(list(Dialect)))
    streams = draw(st.booleans())
    framing = draw(st.sampled_from(list(Framing)))
    label, coding = draw(st.sampled_from(LABELS)), draw(st.sampled_from(["", "", "", "gzip", "deflate"]))
    if streams:
        _, events, last = STREAMS[dialect]
        body = b"".join(events) + last
        line_end = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
        # The last event is whole with the brace that closes it, or with the chunk before [DONE].
        enough = len(b"".join(events)) + last.index(b"}\n") + 1
        enough = len(body[:enough].replace(b"\n", line_end))
        body = body.replace(b"\n", line_end)
    else:
        body = DOCUMENTS[dialect]
        enough, label = len(body), "application/json"
    cut = draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    whole = cut >= enough and (streams or framing not in BROKEN)
    passed = CODINGS[coding](body[:cut])
    lines = [f"content-encoding: {coding}"] * bool(coding)
    cuts = draw(st.lists(st.integers(1, 700), max_size=4))
    script = framed(passed, framing, cuts, lines, label)
    return Case(dialect, streams, passed, whole, script)


class Got(NamedTuple):
    """An answer as a face gives it. `broken`: its framing says that it was cut."""

    status: int
    body: bytes
    broken: bool
    label: str


BOUNDED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def running(gateway: StartGateway) -> Iterator[tuple[RawProvider, Running]]:
    with raw_provider() as provider:
        urls = f'openai-chat = "{provider.url}", openai-responses = "{provider.url}"'
        table = f'[provider.mine]\nmodels = ["m"]\nkeys = ["env:KEY_A"]\nendpoints = {{ {urls}, '
        more = f'anthropic-messages = "{provider.root}" }}\n[settings]\nprobe_delays = []\nwait_budget = 0\n'
        yield provider, gateway(config=table + more)


def forget(running: Running) -> None:
    """Let nothing that an earlier answer taught hinder the next."""
    engine = running.holdfast.engine
    for endpoint in engine.config().providers["mine"].endpoints:
        engine.health.bucket(endpoint).__init__()  # type: ignore[misc]
    assert not engine.store.cooldowns()


def from_gateway(running: Running, case: Case) -> Got:
    route = STREAMS[case.dialect][0]
    answer = running.raw(request(route, case.asked, connection="close"))
    first, _, body = answer.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in first.split(b"\r\n")[1:])
    status, label = int(first.split(b" ")[1]), lines.get(b"content-type", b"").decode()
    if b"content-length" in lines:
        assert len(body) == int(lines[b"content-length"]), "bytes beyond the length, or missing ones"
        return Got(status, body, broken=False, label=label)
    return Got(status, dechunked(body), broken=not body.endswith(b"0\r\n\r\n"), label=label)


def dechunked(data: bytes) -> bytes:
    out = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        out, data = out + data[:size], data[size + 2 :]
    return out


def from_library(running: Running, case: Case) -> Got:
    route, parts = STREAMS[case.dialect][0], []
    transport = running.holdfast.session("s1", "mine/m").transport(httpx2)
    with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
        try:
            with client.stream("POST", f"/{route}", content=case.asked) as answer:
                length = answer.headers.get("content-length")
                parts = list(answer.iter_raw())
        except httpx2.TransportError:
            return Got(200, b"".join(parts), broken=True, label="")
    body = b"".join(parts)
    assert length in (None, str(len(body))), "bytes beyond the length, or missing ones"
    return Got(answer.status_code, body, broken=False, label=answer.headers.get("content-type", ""))


def readable(case: Case) -> bytes:
    """The whole answer of a case as clients get it: the last event of a stream with its blank line, where no
    coding hides the events."""
    if b"data:" not in case.body or case.body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        return case.body
    return case.body + b"\n\n"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("face", [from_gateway, from_library])
def test_a_cut_answer_is_reported_and_a_whole_one_arrives_as_it_was_sent(
    face: Callable[[Running, Case], Got], running: tuple[RawProvider, Running]
) -> None:
    provider, plane = running
    provider.before_reset = 0.01

    @BOUNDED
    @given(answers())
    def holds(case: Case) -> None:
        provider.answer = lambda body: case.script
        forget(plane)
        got = face(plane, case)
        reported = got.broken or got.status >= 400 or b"stream_truncated" in got.body
        if case.whole and not (case.may_be_lost and reported):
            assert got[:3] == (200, readable(case), False)
            assert ("event-stream" if case.streams else "json") in got.label
        else:
            assert reported

    holds()
