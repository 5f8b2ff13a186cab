"""A client is told of every answer that was cut short, by an error of its SDK, and its next request works as
ever. A whole answer is never called cut. From the gateway and from the library."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from holdfast.gateway.http1.server_connection import ServerConnection
from holdfast.gateway.limits import Bounds

from .conftest import StartGateway, request, unchunked  # type: ignore[import-not-found]
from .raw_provider import (  # type: ignore[import-not-found]
    DONE,
    EVENTS,
    After,
    RawProvider,
    Said,
    chunk,
    chunked,
    completion,
    delta,
    head,
    raw_provider,
    sized,
)
from .served import eventually  # type: ignore[import-not-found]

COMMENT = b": holdfast\n\n"
ASK: list[Any] = [{"role": "user", "content": "hi"}]
WORDS = delta("he") + delta("llo")
WHOLE = WORDS + delta(None, "stop") + DONE
HALF = WORDS + b'data: {"id": "x", "obj'
LONG = completion("y" * 1_500_000)
CLOSING = head("connection: close", kind="application/json")

# By name: whether a stream is asked for, what the provider says, and what it does then.
CUT: dict[str, tuple[bool, list[bytes], After]] = {
    "a length, at once": (True, [sized(WORDS, kind=EVENTS)], After.KEEP),
    "a length, in pieces": (
        True,
        [head(f"content-length: {len(WORDS)}"), delta("he"), delta("llo")],
        After.KEEP,
    ),
    "a length, half an event": (True, [sized(HALF, kind=EVENTS)], After.KEEP),
    "a length that is not reached": (True, [head("content-length: 4000"), WORDS], After.CLOSE),
    "a length, and a first event of 100 KB": (True, [sized(delta("z" * 100_000), kind=EVENTS)], After.KEEP),
    "chunks and their end": (True, [chunked(WORDS)], After.KEEP),
    "chunks without an end": (True, [chunked(WORDS, last=b"")], After.CLOSE),
    "chunks and a reset": (True, [chunked(WORDS, last=b"")], After.RESET),
    "half a chunk": (True, [chunked(WORDS, last=b"ff\r\ndata: {")], After.CLOSE),
    "half an event in whole chunks": (True, [chunked(HALF)], After.KEEP),
    "until the connection closes": (True, [head("connection: close"), WORDS], After.CLOSE),
    "gzip and a length": (True, [sized(gzip.compress(WORDS), kind=EVENTS, coding="gzip")], After.KEEP),
    "gzip in chunks": (True, [chunked(gzip.compress(WORDS), coding="gzip")], After.KEEP),
    "a coding that cannot be watched": (True, [chunked(b"\x8b\x00\x80", coding="br")], After.KEEP),
    # As crmne/ruby_llm recorded it from GPUStack, with llama.cpp behind it.
    "an error in a field that clients skip": (
        True,
        [chunked(WORDS + b'error: {"code":500,"message":"failed to decode","type":"server_error"}\n\n')],
        After.KEEP,
    ),
    "one choice of two": (True, [chunked(delta("a", "stop") + delta("b", index=1))], After.KEEP),
    "one choice of two, which both had begun": (
        True,
        [chunked(delta("a"), delta("b", index=1), delta(None, "stop"), delta("b", index=1))],
        After.KEEP,
    ),
    "one choice of two, and a reset": (
        True,
        [chunked(delta("a"), delta("b", index=1), delta(None, "stop"), last=b"")],
        After.RESET,
    ),
    "a stream nobody asked for": (False, [sized(WORDS, kind=EVENTS)], After.KEEP),
    "1.5 MB of JSON and a length": (False, [sized(LONG[:-20])], After.KEEP),
    "1.5 MB of JSON in chunks": (
        False,
        [chunked(LONG[:700_000], LONG[700_000:-20], kind="application/json")],
        After.KEEP,
    ),
    "1.5 MB of JSON until the end": (False, [CLOSING, LONG[:-20]], After.CLOSE),
    "1.5 MB of gzip": (False, [sized(gzip.compress(LONG[:-20], 0), coding="gzip")], After.KEEP),
    "1.5 MB in a few KB of gzip": (False, [sized(gzip.compress(LONG[:-20]), coding="gzip")], After.KEEP),
    "1.5 MB in half a gzip": (False, [sized(gzip.compress(LONG)[:-200], coding="gzip")], After.KEEP),
}
SHORT = completion("hello")
CUT |= {
    f"JSON, {name}": (False, pieces, after)
    for name, pieces, after in (
        ("a length", [sized(SHORT[:-20])], After.KEEP),
        (
            "a length that is not reached",
            [head("content-length: 900", kind="text/plain"), SHORT],
            After.CLOSE,
        ),
        ("chunks", [chunked(SHORT[:-1], kind="application/json")], After.KEEP),
        ("chunks without an end", [chunked(SHORT, kind="application/json", last=b"")], After.CLOSE),
        ("until the connection closes", [CLOSING, SHORT[:-20]], After.CLOSE),
        ("gzip", [sized(gzip.compress(SHORT[:-20]), coding="gzip")], After.KEEP),
    )
}
LABELS = ["application/json", "application/x-ndjson", "application/stream+json", "text/plain", "text/html"]
LABELS += ["application/octet-stream", ""]
CUT |= {f"events as {label}": (True, [chunked(WORDS, kind=label)], After.KEEP) for label in LABELS}
WHOLE_ANSWERS: dict[str, tuple[bool, list[bytes], After]] = {
    "a length": (True, [sized(WHOLE, kind=EVENTS)], After.KEEP),
    "no last chunk": (True, [chunked(WHOLE, last=b"")], After.CLOSE),
    "a reset after the end": (True, [chunked(WHOLE, last=b"")], After.RESET),
    "a length that is too long": (True, [head("content-length: 4000"), WHOLE], After.CLOSE),
    "gzip": (True, [chunked(gzip.compress(WHOLE), coding="gzip")], After.KEEP),
    "no last blank line": (True, [chunked(WHOLE[:-2])], After.KEEP),
    "no [DONE], a reset": (True, [chunked(WORDS + delta(None, "stop"), last=b"")], After.RESET),
    "white space": (
        True,
        [chunked(WORDS, b'data: {"choices":[{"delta":{},"finish_reason" : "stop"}]}\n\n')],
        After.KEEP,
    ),
    "an event of 9 MB": (
        True,
        [chunked(delta("he"), delta("llo" + "z" * (9 << 20), "stop"))],
        After.KEEP,
    ),
    "lines that end with LF": (
        True,
        [
            chunked(WHOLE)
            .replace(b"\r\n\r\n", b"\n\n", 1)
            .replace(b"OK\r\n", b"OK\n")
            .replace(b"\r\ncontent", b"\ncontent")
        ],
        After.KEEP,
    ),
    **{f"events as {label}": (True, [sized(WHOLE, kind=label)], After.KEEP) for label in LABELS},
    **{f"JSON as {label}": (False, [sized(SHORT, kind=label)], After.KEEP) for label in [*LABELS, EVENTS]},
    "1.5 MB of JSON": (False, [sized(LONG)], After.KEEP),
    "1.5 MB of JSON until the end": (False, [CLOSING, LONG], After.CLOSE),
    "1.5 MB of gzip": (False, [sized(gzip.compress(LONG, 0), coding="gzip")], After.KEEP),
    "1.5 MB in a few KB of gzip": (False, [sized(gzip.compress(LONG), coding="gzip")], After.KEEP),
}


@pytest.fixture
def provider_of_bytes() -> Iterator[RawProvider]:
    with raw_provider() as provider:
        yield provider


def config(provider: RawProvider) -> str:
    urls = f'openai-chat = "{provider.url}", openai-responses = "{provider.url}"'
    return (
        '[provider.mine]\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
        f'endpoints = {{ {urls}, anthropic-messages = "{provider.root}" }}\n'
        "[settings]\nprobe_delays = []\nwait_budget = 0\n"
    )


class Conversation:
    """The turns of one SDK client: each asks, reads to the end, and returns the text. `reasons`: the reasons
    to finish of the last stream."""

    reasons: tuple[str, ...] = ()

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def ask(self, *, stream: bool) -> str:
        create: Any = self._client.chat.completions.create
        if not stream:
            return create(model="mine/m", messages=ASK).choices[0].message.content
        pieces = create(model="mine/m", messages=ASK, stream=True)
        text, self.reasons = read([piece.choices[0] for piece in pieces if piece.choices])
        return text


class AsyncConversation:
    """The same on an event loop of its own."""

    reasons: tuple[str, ...] = ()

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client, self._loop = client, asyncio.new_event_loop()

    def ask(self, *, stream: bool) -> str:
        return self._loop.run_until_complete(self._ask(stream))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _ask(self, stream: bool) -> str:
        create: Any = self._client.chat.completions.create
        if not stream:
            return (await create(model="mine/m", messages=ASK)).choices[0].message.content
        pieces = await create(model="mine/m", messages=ASK, stream=True)
        text, self.reasons = read([piece.choices[0] async for piece in pieces if piece.choices])
        return text


def read(choices: list[Any]) -> tuple[str, tuple[str, ...]]:
    """The text of the choices of a stream, and their reasons to finish."""
    text = "".join(choice.delta.content or "" for choice in choices)
    return text, tuple(choice.finish_reason for choice in choices if choice.finish_reason)


Faces = Callable[[RawProvider], Any]


@pytest.fixture(params=["gateway", "gateway, asynchronous", "library", "library, asynchronous"])
def conversation(request: pytest.FixtureRequest, gateway: StartGateway) -> Iterator[Faces]:
    """Opens one SDK client of a face over a provider; its turns use the same connections."""
    clients: list[Any] = []
    face, _, asynchronous = request.param.partition(", ")

    def start(provider: RawProvider) -> Any:
        running = gateway(config=config(provider))
        options: dict[str, Any] = {"base_url": running.url, "api_key": running.token, "max_retries": 0}
        if face == "library":
            session = running.holdfast.session("s1", "mine/m")
            options = session.for_openai_async() if asynchronous else session.for_openai()
        kind = AsyncConversation if asynchronous else Conversation
        client = openai.AsyncOpenAI(**options) if asynchronous else openai.OpenAI(**options)
        clients.append(kind(client) if asynchronous else client)
        return clients[-1] if asynchronous else Conversation(client)

    yield start
    for client in clients:
        client.close()


def test_one_client_survives_every_way_to_cut_an_answer(
    provider_of_bytes: RawProvider, conversation: Faces
) -> None:
    talk = conversation(provider_of_bytes)
    for name, (stream, pieces, after) in CUT.items():
        provider_of_bytes.says(*pieces, after=after)
        error = None
        try:
            got = talk.ask(stream=stream)
        except openai.APIError as raised:
            error = raised
        assert error is not None, f"{name}: no error, but {got[:80]!r}"
        provider_of_bytes.says(sized(completion("next")))
        assert talk.ask(stream=False) == "next", name
    provider_of_bytes.says(chunked(WHOLE))
    assert talk.ask(stream=True) == "hello"


def test_no_whole_answer_is_called_cut(provider_of_bytes: RawProvider, conversation: Faces) -> None:
    talk = conversation(provider_of_bytes)
    for name, (stream, pieces, after) in WHOLE_ANSWERS.items():
        provider_of_bytes.says(*pieces, after=after)
        try:
            assert talk.ask(stream=stream).rstrip("z") in ("hello", "y" * 1_500_000), name
        except openai.APIError as error:
            pytest.fail(f"{name}: called cut: {error}")


UNFINISHED = WORDS + delta(None, "stop").rstrip()
NO_BLANK_LINE: dict[str, tuple[list[bytes], After]] = {
    "the end": ([chunked(UNFINISHED)], After.KEEP),
    "a new line and the end": ([chunked(UNFINISHED + b"\n")], After.KEEP),
    "a carriage return and the end": ([chunked(UNFINISHED + b"\r")], After.KEEP),
    "a length": ([sized(UNFINISHED, kind=EVENTS)], After.KEEP),
    "a reset": ([chunked(UNFINISHED, last=b"")], After.RESET),
    "a new line and a reset": ([chunked(UNFINISHED + b"\n", last=b"")], After.RESET),
    "half a chunk": ([chunked(WORDS, last=b"ff\r\n" + delta(None, "stop").rstrip())], After.CLOSE),
}


def test_the_last_event_is_read_by_clients_although_its_blank_line_never_came(
    provider_of_bytes: RawProvider, conversation: Faces
) -> None:
    talk = conversation(provider_of_bytes)
    for name, (pieces, after) in NO_BLANK_LINE.items():
        provider_of_bytes.says(*pieces, after=after)
        assert (talk.ask(stream=True), talk.reasons) == ("hello", ("stop",)), name


RAW_CUTS = {name: shape for name, shape in CUT.items() if shape[0]}


@pytest.mark.parametrize("modern", [True, False], ids=["HTTP/1.1", "HTTP/1.0"])
def test_nothing_is_written_beyond_an_announced_length_and_every_cut_shows_in_the_framing(
    modern: bool, provider_of_bytes: RawProvider, gateway: StartGateway
) -> None:
    running = gateway(config=config(provider_of_bytes))
    asked = request("chat/completions", b'{"model":"mine/m","messages":[],"stream":true}', connection="close")
    if not modern:
        asked = asked.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    for name, (_, pieces, after) in RAW_CUTS.items():
        provider_of_bytes.says(*pieces, after=after)
        with running.connect() as sock:
            sock.sendall(asked)
            got, reset = everything(sock)
        first, _, body = got.partition(b"\r\n\r\n")
        length = first.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length:  # an error of ours, before any of the stream
            assert (len(body), first[:12]) == (int(length), b"HTTP/1.1 502"), name
        else:
            ends = body.endswith(b"0\r\n\r\n") if modern else not reset
            assert (b"stream_truncated" in body) is ends, name


def everything(sock: socket.socket) -> tuple[bytes, bool]:
    """What comes until the other side closes or falls silent, and whether it resets the connection."""
    sock.settimeout(0.5)
    got = b""
    try:
        while piece := sock.recv(1 << 20):
            got += piece
    except TimeoutError:
        return got, False
    except ConnectionResetError:
        return got, True
    return got, False


def test_a_silent_stream_is_kept_alive_by_comments_between_whole_events(
    provider_of_bytes: RawProvider, gateway: StartGateway
) -> None:
    running = gateway(config=config(provider_of_bytes), bounds=Bounds(look_every=0.02, comment=0.1))
    asked = request("chat/completions", b'{"model":"mine/m","messages":[],"stream":true}', connection="close")
    got = bytearray()

    def commented_after(text: bytes) -> None:
        eventually(lambda: COMMENT in got.partition(text)[2], within=10)

    def pieces() -> Iterator[bytes]:
        yield head("transfer-encoding: chunked")
        commented_after(b"\r\n\r\n")
        yield chunk(delta("he"))
        commented_after(delta("he"))
        yield chunk(delta("llo")[:30])
        time.sleep(0.3)
        yield chunk(delta("llo")[30:])
        commented_after(delta("llo")[30:])
        yield chunk(delta(None, "stop") + DONE) + b"0\r\n\r\n"

    provider_of_bytes.answer = lambda body: Said(pieces())
    with running.connect() as sock:
        sock.sendall(asked)
        while piece := sock.recv(65536):
            got += piece
    body = unchunked(bytes(got).partition(b"\r\n\r\n")[2])
    assert body.replace(COMMENT, b"") == delta("he") + delta("llo") + delta(None, "stop") + DONE


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("face", ["gateway", "library"])
def test_a_stream_with_a_wrong_label_streams_on_at_once_with_the_right_one(
    label: str, face: str, provider_of_bytes: RawProvider, gateway: StartGateway
) -> None:
    running, received = gateway(config=config(provider_of_bytes)), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield head("transfer-encoding: chunked", kind=label) + chunk(delta("he"))
        assert received.wait(10)
        yield chunk(delta("llo", "stop")) + b"0\r\n\r\n"

    provider_of_bytes.answer = lambda body: Said(pieces())
    transport, headers = None, {"authorization": f"Bearer {running.token}"}
    if face == "library":
        transport = running.holdfast.session("s1", "mine/m").transport(httpx2)
    asked = {"model": "mine/m", "messages": [], "stream": True}
    with (
        httpx2.Client(transport=transport, trust_env=False) as client,
        client.stream("POST", f"{running.url}/chat/completions", json=asked, headers=headers) as answer,
    ):
        parts = answer.iter_raw()
        assert next(parts) == delta("he")
        received.set()
        assert b"".join(parts) == delta("llo", "stop")
    assert answer.headers.get_list("content-type") == [EVENTS]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\n\nhello",
        b"HTTP/1.1 200 OK\ncontent-type: text/plain\r\n\nhello",
        b"HTTP/1.1 200 OK\ncontent-length: 2\ntransfer-encoding: chunked\n\n2\nhi\n",
    ],
)
def test_a_head_that_ends_in_two_ways_is_refused_at_once(
    answer: bytes, provider_of_bytes: RawProvider, gateway: StartGateway
) -> None:
    provider_of_bytes.says(answer, after=After.HANG)
    code, headers, _ = gateway(config=config(provider_of_bytes)).post("chat/completions", {"model": "mine/m"})
    assert (code, headers["holdfast-fault"]) == (400, "endpoint_mismatch")


def test_a_client_that_reads_the_end_slowly_stops_no_later_request(
    gateway: StartGateway, provider_of_bytes: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to the provider serves others from the moment at which its answer is complete."""
    send = ServerConnection.send

    def send_to_a_slow_reader(connection: ServerConnection, data: bytes) -> None:
        send(connection, data)
        connection.pause_writing()
        asyncio.get_running_loop().call_later(0.01, connection.resume_writing)

    monkeypatch.setattr(ServerConnection, "send", send_to_a_slow_reader)
    running = gateway(config=config(provider_of_bytes))
    provider_of_bytes.says(head(f"content-length: {len(WHOLE)}") + WHOLE[:300], WHOLE[300:])
    for number in range(1, 4):
        code, _, body = running.post("chat/completions", {"model": "mine/m", "stream": True})
        assert (code, body) == (200, WHOLE), f"request {number}"
