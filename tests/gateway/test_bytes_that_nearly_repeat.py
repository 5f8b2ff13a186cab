"""A client's bytes that are nearly those of the request before them: answered, and sent on, as without the
fast path."""

from __future__ import annotations

import json
import os
import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from .conftest import TOKEN, Running  # type: ignore[import-not-found]
from .raw_provider import RawProvider, Said, raw_provider  # type: ignore[import-not-found]
from .served import eventually  # type: ignore[import-not-found]
from .test_the_fast_path import GOOD, MODEL, started  # type: ignore[import-not-found]

SAMPLES = int(os.environ.get("MUTATIONS", "40"))
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
TEXT = json.dumps(BODY).encode()
LINES = [
    b"POST /v1/chat/completions HTTP/1.1",
    b"host: localhost",
    b"authorization: Bearer " + TOKEN.encode(),
    b"holdfast-session: s",
    b"content-type: application/json",
    b"x-strength: 7",
    b"content-length: %d" % len(TEXT),
]
MORE = [
    *(b"content-length: %d" % length for length in (0, 5, len(TEXT), len(TEXT) + 1, 10**17)),
    *(
        b"content-length: %b" % text
        for text in (b"+60", b"0x3c", b"60, 60", b" 60", b"6 0", b"\xb2", b"00%d" % len(TEXT))
    ),
    *(b"transfer-encoding: chunked", b"transfer-encoding: identity", b"connection: close"),
    *(b"expect: 100-continue", b"x-length: 3", b" folded: 1", b"content-length : 60", b"host: elsewhere"),
    *(b"authorization: Bearer hf-nobody", b"x-api-key: sk-mine", b"holdfast-session: other"),
    *(b"content-encoding: gzip", b"holdfast-retry: 1", b"x-stainless-retry-count: 2", b"x-a: \x00"),
    *(b"authorization: Basic a", b"upgrade: websocket", b"origin: http://elsewhere", b"x-a: \x80\xff"),
    *(b"connection: x-strength", b"accept-encoding: gzip", b"holdfast-deadline: 5", b"x-a:\t\tb \t"),
]
BODIES = [
    TEXT,
    TEXT[:-1],
    TEXT + b" ",
    TEXT + b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n",
    TEXT.replace(b'"model"', b'"model": "other", "model"', 1),
    TEXT.replace(b'"model"', b'"Model"', 1),
    TEXT.replace(b"hi", b"\xff", 1),
    TEXT.replace(b"hi", b"previous_response_id", 1),
    json.dumps(BODY | {"stream": True}).encode(),
    json.dumps(BODY | {"model": "mine/" + MODEL}).encode(),
    b"",
    b"[]",
    b"\xef\xbb\xbf" + TEXT,
    TEXT.decode().encode("utf-16"),
    TEXT.replace(b"model", b"mod\\u0065l", 1),
    b'{"metadata": {"model": "other"}, ' + TEXT[1:],
    TEXT[:-1] + b', "model": "other"}',
    TEXT[:-1] + b', "stream": false, "stream": true}',
    TEXT[:-1] + b', "tools": [{"model": "other", "stream": true}]}',
    TEXT[:-1] + b', "pad": "%b"}' % (b"x" * 40_000),
]
FIRST = [
    b"POST /v1/chat/completions?a=b HTTP/1.1",
    b"POST /v1/chat/completions/ HTTP/1.1",
    b"POST /v1/chat%2fcompletions HTTP/1.1",
    b"POST http://localhost/v1/chat/completions HTTP/1.1",
    b"POST /v1/embeddings HTTP/1.1",
    *(b"%b /v1/chat/completions HTTP/1.1" % method for method in (b"HEAD", b"OPTIONS", b"post", b"PUT")),
    *(b"POST /v1/chat/completions HTTP/%b" % version for version in (b"1.0", b"1.2", b"2.0", b"0.9")),
]
"""First lines of the request."""
LAST = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def head_of(lines: list[bytes]) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def mutated(dice: random.Random) -> list[bytes]:
    """Return pieces of a request that differs a little from the one before it."""
    lines, body = [*LINES], TEXT
    for _ in range(dice.choice((0, 1, 1, 2))):
        at = dice.randrange(1, len(lines))
        kind = dice.randrange(6)
        if kind == 0:
            lines.insert(at, dice.choice(MORE))
        elif kind == 1:
            lines[at] = dice.choice(MORE)
        elif kind == 2:
            del lines[at]
        elif kind == 3:
            name, _, value = lines[at].partition(b":")
            lines[at] = name.upper() + b":" + value
        elif kind == 4:
            lines[0] = dice.choice(FIRST)
        else:
            lines.append(lines.pop(at))
    if dice.random() < 0.5:
        body = dice.choice(BODIES)
        lines = [
            b"content-length: %d" % len(body) if line.startswith(b"content-length: ") else line
            for line in lines
        ]
    text = head_of(lines) + body
    if dice.random() < 0.1:
        text = text.replace(b"\r\n", b"\n", dice.choice((1, 99)))
    if dice.random() < 0.2:
        text += head_of(LINES) + TEXT
    cut = dice.randrange(len(text)) if dice.random() < 0.3 else len(text)
    return [piece for piece in (text[:cut], text[cut:]) if piece]


def said(plane: Running, pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the statuses and bodies that a connection gives to these after a good request."""
    text = b""
    with socket.create_connection(("127.0.0.1", plane.port), 5) as client, suppress(ConnectionError):
        client.sendall(head_of(LINES) + TEXT)
        first = b""
        while b"chat.completion" not in first:
            first += client.recv(65536)
        whole = b"".join(pieces)
        # What comes after the end resets the connection, and the answer may be lost.
        ends = b": close" in whole or b"HTTP/1.0" in whole
        for piece in [whole] if ends else [*pieces, LAST]:
            client.sendall(piece)
        client.settimeout(0.25)  # where a body is waited for
        with suppress(TimeoutError):
            while more := client.recv(65536):
                text += more
    answers = text.split(b"HTTP/1.1 ")[1:]
    return [
        (answer[:3], re.sub(rb"[0-9a-f]{16}|\d[\d.]*", b"0", answer.partition(b"\r\n\r\n")[2]))
        for answer in answers
    ]


@pytest.fixture
def planes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Running, RawProvider]]]:
    """A gateway without the fast path, and one with it, each with its provider."""
    monkeypatch.setenv("KEY_A", "sk-aaaa-0123456789abcdef")
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    with ExitStack() as stack:
        raws = [stack.enter_context(raw_provider()) for _ in range(2)]
        yield [
            (stack.enter_context(started(tmp_path / str(on), raw, Said([GOOD]), BODY, on=on)), raw)
            for on, raw in zip((False, True), raws, strict=True)
        ]


def test_bytes_that_nearly_repeat_a_request_mean_what_they_mean_alone(
    planes: list[tuple[Running, RawProvider]],
) -> None:
    seed = int(os.environ.get("SEED", "7"))
    for number in range(SAMPLES):
        pieces = mutated(random.Random(seed * 1_000_003 + number))
        seen = []
        for plane, raw in planes:
            bodies: list[bytes] = []

            def answer(body: bytes, bodies: list[bytes] = bodies) -> Said:
                bodies.append(body)
                return Said([GOOD])

            raw.answer = answer
            before = len(raw.requests)
            answers = said(plane, pieces)
            eventually(lambda plane=plane: not plane.plane.clients)
            heads = [head.replace(raw.root[7:].encode(), b"HOST") for head in raw.requests[before:]]
            seen.append((answers, heads, bodies))
        assert seen[0] == seen[1], (number, pieces)
