"""A request that is like one before it is answered as the full path would answer it: the same is sent, passed
on, counted and written down, whatever the provider says to it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from holdfast.core.errors import HoldfastError
from holdfast.core.identity import Dialect, Pin
from holdfast.gateway.limits import Bounds
from holdfast.store.stored_events import stored

from .conftest import Running, parse, request  # type: ignore[import-not-found]
from .raw_provider import END as LAST  # type: ignore[import-not-found]
from .raw_provider import (
    EVENTS,
    After,
    RawProvider,
    Said,
    chunk,
    chunked,
    delta,
    head,
    raw_provider,
    sized,
)
from .served import eventually  # type: ignore[import-not-found]

KEY = "sk-aaaa-0123456789abcdef"
MODEL = "scripted-1"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
CHANGES_EACH_TIME = ("date", "holdfast-request-id", "x-request-id", "request-id")
JSON = "application/json"


def answer(text: str = "fine", **members: Any) -> bytes:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    document = {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "choices": choices}
    return json.dumps(document | members).encode()


def refused(status: int, code: str, **more: str) -> bytes:
    """An error in OpenAI's form."""
    body = json.dumps({"error": {"message": code, "code": code, "type": code}}).encode()
    lines = [f"HTTP/1.1 {status} Refused", f"content-type: {JSON}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def beside(line: str) -> bytes:
    """A good answer with one header line more."""
    return GOOD.replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1)


GOOD = sized(answer())
# What the provider says to a request that is like those before it; a good answer follows.
ANSWERS: dict[str, list[Said]] = {
    "a good answer": [Said([GOOD])],
    "a good answer in pieces": [Said([GOOD[:40], GOOD[40:90], GOOD[90:]])],
    "a good answer in chunks": [Said([chunked(answer("fine"), kind=JSON)])],
    "a good answer and a close": [Said([GOOD], After.CLOSE)],
    "a long answer": [Said([sized(answer("y" * 90_000))])],
    "an answer that is too long to be held": [Said([sized(answer("y" * 1_300_000))])],
    "an answer with token counts": [
        Said([sized(answer(usage={"prompt_tokens": 7, "completion_tokens": 3}))])
    ],
    "an answer by another model": [Said([sized(answer(model="something-else"))])],
    "an answer by no model": [Said([sized(answer(model=None))])],
    "an answer that repeats the key": [Said([sized(answer(f"your key is {KEY}"))])],
    "a header that repeats the key": [Said([beside(f"x-request-id: {KEY}")])],
    "a key that is refused": [Said([refused(401, "invalid_api_key")])],
    "a key that is refused twice": [Said([refused(401, "invalid_api_key")])] * 2,
    "a key that is refused three times": [Said([refused(401, "invalid_api_key")])] * 3,
    "a key without permission": [Said([refused(403, "forbidden")])],
    "a key without money": [Said([refused(429, "insufficient_quota")])],
    "too many requests": [Said([refused(429, "rate_limit_exceeded", retry_after="0")])],
    "an unknown model": [Said([refused(404, "model_not_found")])],
    "a bad request": [Said([refused(400, "context_length_exceeded")])],
    "a failure": [Said([refused(500, "server_error")])],
    "an overload, told not to wait": [Said([refused(503, "overloaded", retry_after="0")])],
    "a redirect": [Said([refused(302, "moved", location="http://127.0.0.1:1/")])],
    "an error with a good status": [Said([sized(answer(error={"message": "no", "code": "server_error"}))])],
    "an empty answer": [Said([sized(answer(choices=[]))])],
    "an answer of another route": [Said([sized(b'{"object": "list", "data": []}')])],
    "a page": [Said([sized(b"<html>hello</html>", kind="text/html")])],
    "a page that is called JSON": [Said([sized(b"<html>hello</html>")])],
    "no body": [Said([sized(b"")])],
    "no content": [Said([b"HTTP/1.1 204 No Content\r\n\r\n"])],
    "JSON that was cut": [Said([sized(answer("fine")[:-5])])],
    "a length that is not reached": [Said([GOOD[:-5]], After.CLOSE)],
    "a reset in the body": [Said([GOOD[:-5]], After.RESET)],
    "chunks without an end": [Said([chunked(answer("fine"), kind=JSON, last=b"")], After.CLOSE)],
    "a stream that nobody asked for": [Said([chunked(delta("a") + delta(None, "stop"))])],
    "a label that is wrong": [Said([sized(answer("fine"), kind="text/plain")])],
    "a kept connection that was closed": [Said([], After.CLOSE)],
    "a kept connection that was reset": [Said([], After.RESET)],
    "no HTTP": [Said([b"hello\r\n\r\n"], After.CLOSE)],
    "an interim head": [Said([b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD])],
    "a forwarded header": [Said([beside("x-ratelimit-remaining-requests: 3")])],
    "a cookie": [Said([beside("set-cookie: a=b")])],
}


def event(text: str | None = None, finish: str | None = None, **members: Any) -> bytes:
    """An event of a chat completion."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    document = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
    }
    return b"data: %b\n\n" % json.dumps(document | members).encode()


ROLE = event(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])
DONE = b"data: [DONE]\n\n"
WORDS, STOP = event("he") + event("llo"), event(None, "stop")
END = STOP + DONE
USED = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2})
FAILED = b'data: {"error": {"message": "no", "code": "server_error"}}\n\n'
GOOD_STREAM = chunked(ROLE, WORDS, END)
PIECES = [chunked(ROLE, last=b""), *map(chunk, (event("he"), event("llo"), END)), LAST]
# The same to a request for a stream.
STREAMS: dict[str, list[Said]] = {
    "a good stream": [Said([GOOD_STREAM])],
    "a good stream in pieces": [Said(PIECES)],
    "a stream with token counts": [Said([chunked(ROLE, WORDS, STOP, USED, DONE)])],
    "a stream of one length": [Said([sized(ROLE + WORDS + END, kind=EVENTS)])],
    "a stream that ends with its connection": [
        Said([head("connection: close") + ROLE, WORDS, END], After.CLOSE)
    ],
    "a comment before the output": [Said([chunked(b": wait\n\n", ROLE, WORDS, END)])],
    "a long wait for the output": [Said([chunked(*[b": wait\n\n"] * 9_000, ROLE, WORDS, END)])],
    "a first event that is cut in two": [
        Said([chunked(ROLE[:30], last=b""), chunk(ROLE[30:] + WORDS[:50]), chunk(WORDS[50:] + END), LAST])
    ],
    "a stream by another model": [Said([chunked(event("he", model="other"), END)])],
    "a stream by no model": [Said([chunked(event("he", model=None), END)])],
    "a stream without output": [Said([chunked(ROLE, DONE)])],
    "a stream that ends at once": [Said([chunked()])],
    "an error before the output": [Said([chunked(FAILED)])],
    "an error in pieces before the output": [Said([chunked(ROLE, last=b""), chunk(FAILED), LAST])],
    "an error after the output": [Said([chunked(ROLE, WORDS, FAILED)])],
    "a stream without an end": [Said([chunked(ROLE, WORDS)])],
    "a stream that is cut": [Said([chunked(ROLE, WORDS, last=b"")], After.CLOSE)],
    "a stream that is cut before its output": [Said([chunked(ROLE, last=b"")], After.CLOSE)],
    "a stream that is reset": [Said([chunked(ROLE, WORDS, last=b"")], After.RESET)],
    "a stream that is reset after its end": [Said([chunked(ROLE, WORDS, END, last=b"")], After.RESET)],
    "half a head": [Said([GOOD_STREAM[:30]], After.CLOSE)],
    "a document": [Said([sized(answer())])],
    "a document that is called a stream": [Said([sized(answer(), kind=EVENTS)])],
    "a stream that is called JSON": [Said([chunked(ROLE, WORDS, END, kind=JSON)])],
    "a stream that repeats the key": [Said([chunked(ROLE, event(f"it is {KEY}"), END)])],
    "a stream that repeats the key in pieces": [
        Said([chunked(ROLE, event(f"it is {KEY[:9]}")[:-40], last=b""), chunk(b"x"), LAST], After.CLOSE)
    ],
    "a header of a stream that repeats the key": [
        Said([GOOD_STREAM.replace(b"\r\n\r\n", f"\r\nx-a: {KEY}\r\n\r\n".encode(), 1)])
    ],
    "a key that is refused a stream": [Said([refused(401, "invalid_api_key")])],
    "a key that is refused a stream twice": [Said([refused(401, "invalid_api_key")])] * 2,
    "a stream that fails": [Said([refused(500, "server_error")])],
    "a connection that was closed": [Said([], After.CLOSE)],
}
CASES = {**ANSWERS, **STREAMS}
LIMITS = Bounds(look_every=0.02, comment=60.0)
DIALECTS = {"messages": "anthropic-messages", "responses": "openai-responses"}
CHAT = "chat/completions"


class Effects(NamedTuple):
    """What a client, the provider, the journal and the metrics got of the same requests; the uses of the keys
    and what is known of them."""

    answers: list[tuple[int, dict[str, str], bytes] | None]
    keys: list[str]
    journal: list[tuple[str, str, dict[str, Any]]]
    counted: list[tuple[Any, ...]]
    known: list[Any]


@pytest.fixture
def raw() -> Iterator[RawProvider]:
    with raw_provider() as provider:
        yield provider


@contextlib.contextmanager
def started(
    home: Path,
    raw: RawProvider,
    good: Said,
    body: dict[str, Any],
    *,
    on: bool = True,
    strict: bool = False,
    route: str = CHAT,
    more: str = "",
) -> Iterator[Running]:
    """A gateway that has answered this session's requests before."""
    home.mkdir(mode=0o700)
    dialect, url = DIALECTS.get(route, "openai-chat"), raw.root if route == "messages" else raw.url
    (home / "holdfast.toml").write_text(
        f'[provider.mine]\nurl = "{url}"\ndialect = "{dialect}"\nmodels = ["{MODEL}"]\n'
        'keys = ["env:KEY_A", "env:KEY_B"]\n'
        'forward_headers = ["x-ratelimit-remaining-requests"]\n'
        f"{more}[settings]\nprobe_delays = [0, 0]\n"
    )
    plane = Running(home, LIMITS, Pin.parse(f"mine/{MODEL}") if strict else None, "uvloop")
    try:
        plane.holdfast.engine.fast_path.on = on
        plane.holdfast.engine._jitter = lambda: 0.0
        raw.answer = lambda _: good
        for number in range(4):  # the key is known, kept, the request is like one before it, and repeats it
            assert plane.post(route, body, holdfast_session="s")[0] == 200
            eventually(lambda number=number: len(plane.books.done) == number + 1)  # counted after the answer
            plane.holdfast.engine.journal_writer.flush()
        yield plane
    finally:
        plane.close()


Send = Callable[[Running, bytes], bytes]
"""Sends a request and returns its answer."""


def effects(
    plane: Running,
    raw: RawProvider,
    says: list[Said],
    good: Said,
    body: dict[str, Any],
    *,
    route: str = CHAT,
    send: Send = Running.raw,
) -> Effects:
    """Send two requests, to which the provider says first this and then `good`."""
    engine, left = plane.holdfast.engine, [*says]
    raw.requests.clear()
    plane.books.done.clear()
    before = len(engine.store.journal(session="s"))
    raw.answer = lambda _: left.pop(0) if left else good
    answers = []
    for number in range(1, 3):
        wanted = request(route, json.dumps(body).encode(), connection="close", holdfast_session="s")
        came = send(plane, wanted)
        answers.append(seen(plane, came) if came else None)
        eventually(lambda number=number: len(plane.books.done) == number)
    engine.journal_writer.flush()
    events = engine.store.journal(session="s")[before:]
    return Effects(
        answers,
        [line.split()[-1].decode() for request in raw.requests for line in keys_in(request)],
        [(event.pin, event.kind, without_times(stored(event.detail))) for event in events],
        [
            (
                done.route,
                done.status,
                done.size if done.status == 200 and not done.code else 0,
                done.usage,
                done.session,
                done.code,
                *sends(done.outcome),
            )
            for done in plane.books.done
        ],
        known_of(plane),
    )


def known_of(plane: Running) -> list[Any]:
    """What is known of the keys: how often each was used, what it last did, what it rests for, and the retry
    budget of its endpoint."""
    engine, known = plane.holdfast.engine, []
    for dialect in Dialect:
        with contextlib.suppress(HoldfastError):
            for each in engine.routes(Pin.parse(f"mine/{MODEL}"), dialect, None)[0].connections:
                name, health = engine.fingerprint(each.key), engine.health
                evidence, verdict = health.evidence(name, each.endpoint), health.cooldown(name, each)
                worked = evidence.last_ok is not None
                rests = verdict and verdict.fault.kind
                state = worked, evidence.suspect, evidence.last_fault, rests
                budget = round(health.bucket(each.endpoint)._tokens * 2)  # time earns a little, too
                known.append((each.label, health.used(each)[0], *state, budget))
    return known


def seen(plane: Running, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """An answer as its client sees it, without what differs from time to time; of one that is cut, all that
    came."""
    status, headers, body = parse(raw.replace(b"transfer-encoding: chunked", b"x-framing: chunks"))
    kept = {name: value for name, value in headers.items() if name not in CHANGES_EACH_TIME}
    body = body.replace(headers.get("holdfast-request-id", "none").encode(), b"ID")
    body = re.sub(rb"(: holdfast\n\n)+", b": holdfast\n\n", body)  # more of them where it takes longer
    body = re.sub(rb'"created":\d{10}', b'"created":0', body)  # the second in which it was translated
    body = body.replace(str(plane.home).encode(), b"HOME")
    if "x-framing" in headers:
        body = b"".join(re.split(rb"(?:\A|\r\n)[0-9a-f]+\r\n", body))
    if status != 200 or b'"error"' in body:
        body = re.sub(rb"\d[\d.]*", b"0", body)  # times, and lengths of them
        kept["content-length"] = ""
    return status, kept, body


def keys_in(head: bytes) -> list[bytes]:
    return [
        line for line in head.split(b"\r\n") if line.lower().startswith((b"authorization:", b"x-api-key:"))
    ]


def without_times(detail: dict[str, Any]) -> dict[str, Any]:
    if isinstance(detail.get("fault"), dict):
        detail = detail | {"fault": without_times(detail["fault"])}
    return {name: value for name, value in detail.items() if name not in ("seconds", "until", "reset_at")}


def sends(outcome: Any) -> list[Any]:
    if outcome is None:
        return []
    attempts = outcome.attempts
    return [
        outcome.sends,
        [(a.number, a.connection.label, a.fault and a.fault.kind, a.probe) for a in attempts],
    ]


def repeated(plane: Running) -> list[bool]:
    """Whether each of the requests from now on is sent as one before it was, without being read. None of them
    has to look what others wrote: while a thread of the gateway reads the store, that takes the full path."""
    plane.holdfast.engine.following.due = inf
    taken: list[bool] = []
    take = plane.plane.handler.repeats
    plane.plane.handler.repeats = lambda *given: taken.append(take(*given)) or taken[-1]
    return taken


@pytest.mark.parametrize(
    ("case", "strict"),
    [*((case, False) for case in CASES), *((case, True) for case in CASES if "key" in case)],
    ids=[*CASES, *(f"{case}, with a strict token" for case in CASES if "key" in case)],
)
def test_the_fast_path_changes_nothing_that_anybody_sees(
    case: str, strict: bool, raw: RawProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_A", KEY)
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    good, body = (Said([GOOD]), BODY) if case in ANSWERS else (Said([GOOD_STREAM]), BODY | {"stream": True})
    with started(tmp_path / "fast", raw, good, body, on=True, strict=strict) as plane:
        taken = repeated(plane)
        fast = effects(plane, raw, CASES[case], good, body)
        assert taken[0]
    with started(tmp_path / "full", raw, good, body, on=False, strict=strict) as plane:
        assert fast == effects(plane, raw, CASES[case], good, body)


@pytest.mark.parametrize("case", ["a good answer", "a good answer in chunks", "a good stream in pieces"])
def test_a_plain_good_answer_stays_on_the_fast_path(
    case: str, raw: RawProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_A", KEY)
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    (answer,) = CASES[case]
    body = BODY if case in ANSWERS else BODY | {"stream": True}
    with started(tmp_path / "fast", raw, answer, body) as plane:
        fast_path, taken_over, succeeded = plane.holdfast.engine.fast_path, [], []
        fast_path.take_over = taken_over.append
        success = fast_path.succeeded
        fast_path.succeeded = lambda *given: succeeded.append(success(*given)) or succeeded[-1]
        effects(plane, raw, [], answer, body)
    assert (taken_over, succeeded) == ([], [True, True])
