"""The transports of both modules obey the steps of a scripted engine over real sockets, and hand on exactly
what came."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from holdfast.calls.tunnelling import TunnelDialler
from holdfast.core.errors import ConnectionLost
from holdfast.core.faults import FaultClass, Phase
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Provider, ProviderName
from holdfast.core.steps import Probe, Send
from holdfast.fake_provider import ScriptedProvider, empty, error_event, ok, reset, stall, status, truncated
from holdfast.sdk import httpx_compat as kit_module
from holdfast.sdk.transport import bind
from holdfast.wire.exchange import Bounds
from holdfast.wire.time_limits import TimeLimits
from sdk.fakes import KEYS, FakeEngine, connect, remembered

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
PATHS = {
    Dialect.OPENAI_CHAT: "/chat/completions",
    Dialect.OPENAI_RESPONSES: "/responses",
    Dialect.ANTHROPIC_MESSAGES: "/messages",
}


def test_a_good_answer_is_handed_on_with_our_labels(provider: ScriptedProvider, client_for: Any) -> None:
    engine = FakeEngine(connect(provider))
    response = client_for(engine).post(
        "/chat/completions",
        json=CHAT,
        headers={"Authorization": "Bearer caller", "X-Stainless-Retry-Count": "1"},
    )
    assert response.json()["model"] == "m"
    assert (response.headers["holdfast-request-id"], response.headers["holdfast-attempts"]) == ("r1", "1")
    assert response.headers["x-request-id"] == "scripted-1"
    assert [(seen.path, seen.key, seen.headers["host"]) for seen in provider.requests] == [
        ("/v1/chat/completions", KEYS["a"], f"127.0.0.1:{provider.port}")
    ]
    assert engine.begun == [("s1", Dialect.OPENAI_CHAT, "m", True, 1)]
    assert engine.last.ended == [(None, "m")]
    assert not engine.last.abandoned


def test_a_failed_answer_is_reported_and_the_next_step_is_taken(
    provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow([status(401, {"error": {"message": "no"}}, {"X-Own": "1"}), ok("second")])
    engine = FakeEngine(connect(provider), connect(provider, key="b"))
    response = client_for(engine).post("/chat/completions", json=CHAT)
    assert response.json()["choices"][0]["message"]["content"] == "second"
    assert [seen.key for seen in provider.requests] == [KEYS["a"], KEYS["b"]]
    assert len({seen.body for seen in provider.requests}) == 1
    reply = engine.last.answers[0].reply
    assert (reply.status, reply.body, reply.phase) == (401, b'{"error": {"message": "no"}}', Phase.HEADERS)
    assert ("x-own", "1") in reply.headers
    assert engine.last.answers[0].sent_at <= engine.last.answers[0].now


def test_at_the_end_of_recovery_our_answer_holds_the_providers_own_error_and_headers(
    provider: ScriptedProvider, client_for: Any
) -> None:
    theirs = {"error": {"message": "slow down", "param": "n"}}
    headers = {
        "Retry-After": "86400",
        "X-Should-Retry": "true",
        "Holdfast-Pin": "forged",
        "X-Request-Id": "kept",
    }
    provider.follow(status(429, theirs, headers))
    response = client_for(FakeEngine(connect(provider))).post("/chat/completions", json=CHAT)
    error = response.json()["error"]
    assert (response.status_code, error["message"]) == (503, "explained")
    assert error["holdfast"]["provider_error"] == theirs
    assert (response.headers["x-request-id"], response.headers["content-type"]) == (
        "kept",
        "application/json",
    )
    assert (response.headers["x-should-retry"], response.headers["holdfast-fault"]) == (
        "false",
        "quota_window",
    )
    assert "retry-after" not in response.headers
    assert "holdfast-pin" not in response.headers


@pytest.mark.parametrize(
    "behaviour",
    [
        empty(),
        status(200, {"error": {"message": "no model is loaded"}}),
        status(200, "<html>welcome</html>"),
        status(200, b""),
    ],
)
def test_a_success_that_is_none_is_a_fault_and_never_handed_on_as_success(
    behaviour: Any, provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow([behaviour, ok()])
    client = client_for(FakeEngine(connect(provider), connect(provider)))
    assert client.post("/chat/completions", json=CHAT).status_code == 200
    assert len(provider.requests) == 2
    provider.follow(behaviour)
    assert client_for(FakeEngine(connect(provider))).post("/chat/completions", json=CHAT).status_code == 503


def test_a_redirect_is_a_fault_and_neither_key_nor_prompt_follows_it(
    provider: ScriptedProvider, client_for: Any
) -> None:
    with ScriptedProvider() as elsewhere:
        provider.follow(status(307, "", {"Location": f"{elsewhere.url}/chat/completions"}))
        engine = FakeEngine(connect(provider))
        response = client_for(engine, follow_redirects=True).post("/chat/completions", json=CHAT)
        assert response.status_code == 503
        assert "location" not in response.headers
        assert engine.last.answers[0].reply.status == 307
        assert elsewhere.requests == []


def test_the_host_of_a_request_is_never_believed(provider: ScriptedProvider, client_for: Any) -> None:
    with ScriptedProvider() as elsewhere:
        client = client_for(FakeEngine(connect(provider)))
        client.post(
            f"{elsewhere.url}/chat/completions",
            json=CHAT,
            headers={"Host": "elsewhere"},
            extensions={"target": b"/other", "sni_hostname": "elsewhere"},
        )
        assert elsewhere.requests == []
        assert [(seen.path, seen.headers["host"]) for seen in provider.requests] == [
            ("/v1/chat/completions", f"127.0.0.1:{provider.port}")
        ]


def test_an_answer_from_memory_reaches_no_provider(provider: ScriptedProvider, client_for: Any) -> None:
    engine = FakeEngine(memory=remembered(connect(provider)))
    response = client_for(engine).post("/chat/completions", json=CHAT)
    assert (response.status_code, response.json()["error"]["message"]) == (503, "explained")
    assert provider.requests == []


@pytest.mark.parametrize(
    ("path", "shape"), [("/chat/completions", {"error"}), ("/messages", {"type", "error", "request_id"})]
)
def test_a_choice_that_no_longer_resolves_is_reported_in_the_callers_dialect(
    path: str, shape: set[str], client_for: Any
) -> None:
    response = client_for(
        FakeEngine(refuses=ConnectionLost("provider 'mine' is gone", next_step="holdfast provider list"))
    ).post(path, json=CHAT)
    assert response.status_code == 409
    assert response.headers["x-should-retry"] == "false"
    assert response.json().keys() == shape
    assert response.json()["error"]["message"] == "provider 'mine' is gone\n  run: holdfast provider list"


def test_a_key_that_went_away_is_reported_as_never_sent(provider: ScriptedProvider, client_for: Any) -> None:
    engine = FakeEngine(connect(provider), connect(provider, key="b"))
    engine.missing = {"a"}
    assert client_for(engine).post("/chat/completions", json=CHAT).status_code == 200
    assert [seen.key for seen in provider.requests] == [KEYS["b"]]
    assert engine.last.answers[0].reply.phase is Phase.UNSENT
    engine.missing = {"a", "b"}
    assert client_for(engine).post("/chat/completions", json=CHAT).status_code == 503


@pytest.mark.parametrize(
    ("behaviour", "name", "phase"),
    [
        (reset(), "ReadError", Phase.HEADERS),
        (stall(0.0), "RemoteProtocolError", Phase.HEADERS),
        (stall(30.0), "ReadTimeout", Phase.HEADERS),
    ],
)
def test_a_dead_end_raises_the_modules_own_error_with_our_explanation(
    behaviour: Any,
    name: str,
    phase: Phase,
    provider: ScriptedProvider,
    client_for: Any,
    module: Any,
) -> None:
    provider.follow(behaviour)
    engine = FakeEngine(connect(provider))
    with pytest.raises(getattr(module, name), match="what happened, and what to run"):
        client_for(engine).post("/chat/completions", json=CHAT, timeout=0.2)
    reply = engine.last.answers[0].reply
    assert (reply.status, reply.phase, reply.request_written) == (None, phase, True)
    assert reply.body.startswith(name.encode() + b": ")
    assert reply.host == f"127.0.0.1:{provider.port}"


def test_a_refused_connection_is_reported_as_unsent_and_recovered_from(
    provider: ScriptedProvider, client_for: Any
) -> None:
    with ScriptedProvider() as gone:
        pass
    engine = FakeEngine(connect(gone), connect(provider))
    assert client_for(engine).post("/chat/completions", json=CHAT).status_code == 200
    reply = engine.last.answers[0].reply
    assert (reply.phase, reply.request_written) == (Phase.CONNECT, False)
    assert b"refused" in reply.body


def test_a_malformed_request_costs_no_key_and_leaves_nothing(
    provider: ScriptedProvider, client_for: Any, module: Any
) -> None:
    engine = FakeEngine(connect(provider), connect(provider, key="b"))
    with pytest.raises((module.LocalProtocolError, ValueError)):
        client_for(engine).post("/chat/completions", json=CHAT, headers={"X-Title": "a\r\nX-Api-Key: b"})
    assert provider.requests == []
    assert all(request_run.abandoned and not request_run.answers for request_run in engine.exchanges)


def test_a_label_with_a_line_break_adds_no_header(provider: ScriptedProvider, client_for: Any) -> None:
    engine = FakeEngine(connect(provider))
    engine.hostile = True
    response = client_for(engine).post("/chat/completions", json=CHAT)
    assert "x" not in response.headers
    assert "\\r\\n" in response.headers["holdfast-key"]


def test_the_model_is_rewritten_only_where_the_connection_says_another(
    provider: ScriptedProvider, client_for: Any
) -> None:
    body = b'{ "model" : "mine/m", "messages": [] }'
    client_for(FakeEngine(connect(provider))).post("/chat/completions", content=body)
    client_for(FakeEngine(connect(provider, model="mine/m"))).post("/chat/completions", content=body)
    assert [seen.body for seen in provider.requests] == [b'{ "model" : "m", "messages": [] }', body]


@pytest.mark.parametrize("coding", [None, "gzip"])
@pytest.mark.parametrize("size", [10, 5_000, 3_000_000])
def test_the_bytes_of_a_success_are_the_providers(
    coding: str | None, size: int, provider: ScriptedProvider, client_for: Any
) -> None:
    body = json.dumps({"model": "m", "choices": [{"message": {"content": "xy" * size}}]}, indent=3).encode()
    raw = gzip.compress(body) if coding else body
    provider.follow(
        status(
            200,
            raw,
            {"Content-Type": "application/json", "X-Twice": "1"}
            | ({"Content-Encoding": coding} if coding else {}),
        )
    )
    engine = FakeEngine(connect(provider))
    with client_for(engine).stream("POST", "/chat/completions", json=CHAT) as response:
        assert hashlib.sha256(b"".join(response.iter_raw())).digest() == hashlib.sha256(raw).digest()
    assert response.headers.get("content-encoding") == coding
    assert response.headers["content-length"] == str(len(raw))
    assert client_for(engine).post("/chat/completions", json=CHAT).content == body
    assert all(len(request_run.ended) == 1 for request_run in engine.exchanges)


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_error_body_is_read_no_further_than_needed(
    packed: bool, provider: ScriptedProvider, client_for: Any
) -> None:
    body = b'{"error":{"message":"' + b"A" * 10_000_000 + b'"}}'
    provider.follow(
        status(500, gzip.compress(body) if packed else body, {"Content-Encoding": "gzip"} if packed else {})
    )
    engine = FakeEngine(connect(provider))
    response = client_for(engine).post("/chat/completions", json=CHAT)
    assert response.json()["error"]["message"] == "explained"
    assert len(engine.last.answers[0].reply.body) == 64 * 1024


def test_a_stalled_error_body_is_judged_by_what_came(client_for: Any) -> None:
    head = b"HTTP/1.1 503 x\r\ncontent-length: 100\r\n\r\n{no capacity"
    with raw_server(head) as port:
        engine = FakeEngine(at(port))
        start = time.monotonic()
        response = client_for(engine, bounds=Bounds(fault_seconds=0.2)).post(
            "/chat/completions", json=CHAT, timeout=30
        )
    assert time.monotonic() - start < 5
    assert (response.status_code, response.json()["error"]["message"]) == (503, "explained")
    assert engine.last.answers[0].reply.body == b"{no capacity"


def test_a_success_that_breaks_off_before_its_end_is_recovered_from(
    provider: ScriptedProvider, client_for: Any
) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", close=True) as port:
        engine = FakeEngine(at(port), connect(provider))
        assert client_for(engine).post("/chat/completions", json=CHAT).status_code == 200
    assert engine.last.answers[0].reply.phase is Phase.BODY


# Streams
# ------------------------------------------------------------------------------------------------------------


def streamed(client: Any, path: str = "/chat/completions") -> bytes:
    with client.stream("POST", path, json=CHAT | {"stream": True}) as response:
        return b"".join(response.iter_raw())


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_stream_passes_byte_for_byte_and_is_recorded_as_ended_well(
    dialect: Dialect, provider: ScriptedProvider, client_for: Any, module: Any
) -> None:
    provider.follow(lambda seen: ok("grüße aus dem watt " * 30))
    engine = FakeEngine(connect(provider, dialect))
    through = streamed(client_for(engine), PATHS[dialect])
    with module.Client() as bare:
        direct = bare.post(provider.url + PATHS[dialect], json=CHAT | {"stream": True}).content
    # The scripted provider numbers its answers and dates them.
    assert len(through) == len(direct)
    assert through.count(b"\n\n") == direct.count(b"\n\n")
    assert through.endswith(direct[-20:])
    assert engine.last.ended == [(None, "m")]


def test_a_stream_is_not_held_back_once_its_output_began(provider: ScriptedProvider, client_for: Any) -> None:
    provider.follow(ok("one two three four", event_delay=0.1))
    start = time.monotonic()
    with client_for(FakeEngine(connect(provider))).stream(
        "POST", "/chat/completions", json=CHAT | {"stream": True}
    ) as response:
        arrivals = [time.monotonic() - start for _ in response.iter_raw()]
    assert arrivals[-1] - arrivals[0] > 0.25


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("behaviour", [error_event("no capacity"), truncated(0), reset(after=0)])
def test_what_goes_wrong_before_the_first_output_is_recovered_from(
    behaviour: Any, dialect: Dialect, provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow([behaviour, ok("recovered")])
    engine = FakeEngine(connect(provider, dialect), connect(provider, dialect, key="b"))
    received = streamed(client_for(engine), PATHS[dialect])
    assert b"recovered" in received
    assert b"no capacity" not in received
    assert len(provider.requests) == 2
    assert engine.last.ended == [(None, "m")]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_an_error_event_after_output_is_passed_on_and_nothing_is_replayed(
    dialect: Dialect, provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow(error_event("no capacity", "overloaded_error", after=3))
    engine = FakeEngine(connect(provider, dialect), connect(provider, dialect))
    received = streamed(client_for(engine), PATHS[dialect])
    assert received.count(b"no capacity") == 1
    assert b"stream_truncated" not in received
    assert len(provider.requests) == 1
    [(fault, model)] = engine.last.ended
    assert (fault.phase, model) == (Phase.POST_OUTPUT, "m")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_stream_without_its_end_is_given_an_error_and_no_forged_end(
    dialect: Dialect, provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow(truncated(3))
    engine = FakeEngine(connect(provider, dialect))
    received = streamed(client_for(engine), PATHS[dialect])
    last = received.rstrip().rpartition(b"\n\n")[2]
    assert b"stream ended without its terminal event" in last
    assert not any(
        mark in received
        for mark in (b"[DONE]", b"message_stop", b"response.completed", b'"finish_reason": "')
    )
    [(fault, _)] = engine.last.ended
    assert (fault.kind, fault.phase) == (FaultClass.TRANSIENT, Phase.POST_OUTPUT)


def test_a_cut_stream_raises_where_the_setting_says_so(
    provider: ScriptedProvider, client_for: Any, module: Any
) -> None:
    provider.follow(truncated(3))
    engine = FakeEngine(connect(provider))
    with pytest.raises(module.RemoteProtocolError, match="without its terminal event"):
        streamed(client_for(engine, bounds=Bounds(raise_when_cut=True)))
    assert len(engine.last.ended) == 1


def test_a_stream_cut_in_the_middle_of_an_event_raises(client_for: Any, module: Any) -> None:
    event = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: {"choi'
    with raw_server(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + event, close=True
    ) as port:
        engine = FakeEngine(at(port))
        with pytest.raises(module.RemoteProtocolError, match="without its terminal event"):
            streamed(client_for(engine))
    assert engine.last.ended[0][0].kind is FaultClass.TRANSIENT


def test_a_connection_that_breaks_after_output_says_what_that_means(
    provider: ScriptedProvider, client_for: Any, module: Any
) -> None:
    provider.follow(reset(after=2))
    engine = FakeEngine(connect(provider))
    with pytest.raises(module.ReadError, match="may have been billed"):
        streamed(client_for(engine))
    [(fault, _)] = engine.last.ended
    assert (fault.kind, fault.phase) == (FaultClass.TRANSIENT, Phase.POST_OUTPUT)


def test_a_caller_who_leaves_early_costs_no_key_and_frees_the_provider(client_for: Any) -> None:
    event = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + event) as port:
        engine = FakeEngine(at(port))
        with client_for(engine).stream("POST", "/chat/completions", json=CHAT | {"stream": True}) as response:
            assert next(response.iter_raw()) == event
        assert engine.last.ended == [(None, "")]
        raw_server.closed.get(timeout=2)  # type: ignore[attr-defined]


def test_a_stream_that_only_pings_is_passed_on_after_a_while(client_for: Any) -> None:
    pings = b": ping\n\n" * 10_000
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    asked = CHAT | {"stream": True}
    with (
        raw_server(head + pings) as port,
        client_for(FakeEngine(at(port))).stream("POST", "/chat/completions", json=asked) as response,
    ):
        assert next(response.iter_raw()).startswith(b": ping")


WORD = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
PACKED = {
    "gzip": gzip.compress,
    "x-gzip": lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:]),
    "deflate": zlib.compress,
    " Deflate": lambda data: zlib.compress(data, wbits=-15),
}


@pytest.mark.parametrize("coding", PACKED)
def test_a_compressed_stream_passes_untouched_and_is_watched(
    coding: str, client_for: Any, module: Any
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: %b\r\n\r\n"
    whole = PACKED[coding](WORD + b"data: [DONE]\n\n")
    with raw_server(head % coding.encode() + whole, close=True) as port:
        assert streamed(client_for(FakeEngine(at(port)))) == whole
    cut = PACKED[coding](WORD)
    with raw_server(head % coding.encode() + cut, close=True) as port:
        engine = FakeEngine(at(port))
        with pytest.raises(module.RemoteProtocolError, match="without its terminal event"):
            streamed(client_for(engine))
        assert engine.last.ended[0][0].kind is FaultClass.TRANSIENT


def test_a_stream_in_a_coding_that_cannot_be_watched_is_refused_before_a_byte(
    client_for: Any, module: Any
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: br\r\n\r\n"
    with raw_server(head + b"\x8b\x03\x80", close=True) as port:
        engine = FakeEngine(at(port))
        with pytest.raises(module.RemoteProtocolError, match="content coding br, which cannot be watched"):
            streamed(client_for(engine))
    assert engine.last.answers[0].reply is not None


@pytest.mark.parametrize("coding", PACKED)
def test_a_compressed_answer_passes_whole_and_is_a_fault_where_it_is_cut_or_empty(
    coding: str, client_for: Any, module: Any
) -> None:
    answer = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
    for body, status_code in ((answer, 200), (answer[:-9], 503), (b"", 503)):
        packed = PACKED[coding](body)
        lines = b"content-encoding: %b\r\ncontent-length: %d" % (coding.encode(), len(packed))
        with raw_server(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (lines, packed), close=True) as port:
            client = client_for(FakeEngine(at(port)))
            with client.stream("POST", "/chat/completions", json=CHAT) as response:
                assert response.status_code == status_code
                if status_code == 200:
                    assert b"".join(response.iter_raw()) == packed


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b'{"choices":[{"message":{"content":"%b"}}]}', True),
        (b'{"choices":[{"message":{"content":"%b"}', False),
    ],
)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_the_end_of_an_answer_too_large_to_be_held_is_watched(
    body: bytes, whole: bool, coding: str, client_for: Any, module: Any
) -> None:
    body = body % (b"y\\n\\\\{" * 50_000)
    lines = b"content-type: application/json\r\n"
    if coding:
        body, lines = gzip.compress(body, 0), lines + b"content-encoding: gzip\r\n"
    head = b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (lines, len(body))
    with raw_server(head + body, close=True) as port:
        engine = FakeEngine(at(port))
        client = client_for(engine, bounds=Bounds(whole=1_000))
        if whole:
            assert client.post("/chat/completions", json=CHAT).status_code == 200
            assert engine.last.ended == [(None, "")]
        else:
            with pytest.raises(module.RemoteProtocolError, match="in the middle of its JSON"):
                client.post("/chat/completions", json=CHAT)
            assert engine.last.ended[0][0].kind is FaultClass.TRANSIENT


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_reset_after_the_terminal_event_costs_nothing(
    dialect: Dialect, provider: ScriptedProvider, client_for: Any
) -> None:
    whole = reply_of(provider, dialect)
    lines = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    answer = b"HTTP/1.1 200 OK\r\n%b\r\n%x\r\n%b\r\n" % (lines, len(whole), whole)
    with raw_server(answer, close=True) as port:
        engine = FakeEngine(at(port, dialect))
        assert streamed(client_for(engine), PATHS[dialect]) == whole
    assert engine.last.ended[0][0] is None


def reply_of(provider: ScriptedProvider, dialect: Dialect) -> bytes:
    """What a provider of this dialect streams."""
    with httpx2.Client() as client:
        return client.post(provider.url + PATHS[dialect], json=CHAT | {"stream": True}).content


# Request bodies, waiting, passthrough
# --------------------------------------------------------------------------------------


def test_the_model_of_a_body_of_unknown_length_is_known_before_it_is_sent(
    provider: ScriptedProvider, client_for: Any
) -> None:
    engine = FakeEngine(connect(provider))
    client_for(engine, bounds=Bounds(replay=10)).post(
        "/chat/completions", content=iter([b'{"model":', b'"other"}'])
    )
    assert provider.requests[0].body == b'{"model":"m"}'
    assert engine.begun == [("s1", Dialect.OPENAI_CHAT, "other", False, 0)]


def test_a_passthrough_body_of_unknown_length_is_streamed_and_sent_once(
    provider: ScriptedProvider, client_for: Any
) -> None:
    engine = FakeEngine(connect(provider))
    client_for(engine).post("/files", content=iter([b"one ", b"two"]))
    assert provider.requests[0].body == b"one two"
    assert engine.begun == [("s1", Dialect.OPENAI_CHAT, None, False, 0)]


def test_a_body_beyond_the_limit_is_sent_but_never_again(provider: ScriptedProvider, client_for: Any) -> None:
    engine = FakeEngine(connect(provider))
    client_for(engine, bounds=Bounds(replay=10)).post("/chat/completions", json=CHAT)
    assert engine.begun[0][2:4] == ("m", False)
    assert provider.requests[0].model == "m"


def test_a_delay_is_waited_for_and_a_turn_is_asked_for_again(
    provider: ScriptedProvider, client_for: Any
) -> None:
    connection = connect(provider)
    engine = FakeEngine(
        Probe(connection, "f"), Send(connection, 0.2, "throttled"), turns=[False, False, True]
    )
    start = time.monotonic()
    assert client_for(engine).post("/chat/completions", json=CHAT).status_code == 200
    assert time.monotonic() - start > 0.3
    assert engine.performed == 3


def test_the_callers_time_out_holds_for_every_attempt(
    provider: ScriptedProvider, client_for: Any, module: Any
) -> None:
    provider.follow(stall(30.0))
    start = time.monotonic()
    with pytest.raises(module.ReadTimeout):
        client_for(FakeEngine(connect(provider), connect(provider))).post(
            "/chat/completions", json=CHAT, timeout=0.2
        )
    assert time.monotonic() - start < 3
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("limits", "after"), [(TimeLimits(answer=0.2, stall=30.0), None), (TimeLimits(answer=30.0, stall=0.2), 2)]
)
@pytest.mark.parametrize("own", [None, 20.0])
def test_the_users_time_limits_hold_where_they_are_shorter_than_the_callers(
    limits: TimeLimits,
    after: int | None,
    own: float | None,
    provider: ScriptedProvider,
    client_for: Any,
    module: Any,
) -> None:
    provider.follow(stall(10.0, after=after))
    client = client_for(FakeEngine(connect(provider)), bounds=Bounds(time_limits=limits))
    start = time.monotonic()
    with (
        pytest.raises(module.ReadTimeout),
        client.stream("POST", "/chat/completions", json=CHAT | {"stream": True}, timeout=own) as response,
    ):
        response.read()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models"), ("GET", "/responses/resp_1"), ("DELETE", "/files/1")]
)
def test_passthrough_requests_are_passed_on_without_being_judged(
    method: str, path: str, provider: ScriptedProvider, client_for: Any
) -> None:
    provider.follow(status(200, b""))
    engine = FakeEngine(
        connect(provider, Dialect.OPENAI_RESPONSES if "responses" in path else Dialect.OPENAI_CHAT)
    )
    assert client_for(engine).request(method, path).status_code == 200
    assert engine.last.answers[0].reply is None


def test_the_list_of_models_is_asked_for_in_the_dialect_of_the_sdk(
    provider: ScriptedProvider, client_for: Any
) -> None:
    engine = FakeEngine(connect(provider, Dialect.ANTHROPIC_MESSAGES))
    client_for(engine).get("/models", headers={"anthropic-version": "2026-10-21"})
    assert engine.begun[0][1] is Dialect.ANTHROPIC_MESSAGES
    assert provider.requests[0].headers["anthropic-version"] == "2026-10-21"


def test_an_inner_transport_of_the_module_can_be_given(
    module: Any, client_for: Any, provider: ScriptedProvider
) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return module.Response(200, json={"model": "m", "choices": [{"message": {"content": "hi"}}]})

    engine = FakeEngine(connect(provider))
    assert (
        client_for(engine, module.MockTransport(answer)).post("/chat/completions", json=CHAT).json()["model"]
        == "m"
    )
    assert seen[0].url == f"{provider.url}/chat/completions"
    assert seen[0].extensions.keys() == {"timeout"}
    assert provider.requests == []


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example.com/v1", {"HTTPS_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
        ("https://api.example.com/v1", {"ALL_PROXY": "http://proxy.example:1"}, "proxy.example:1"),
        ("http://api.example.com/v1", {"HTTP_PROXY": "http://proxy.example:1"}, "proxy.example:1"),
        ("https://api.example.com/v1", {"HTTP_PROXY": "http://proxy.example:1"}, None),
        (
            "https://api.example.com/v1",
            {"HTTPS_PROXY": "http://proxy.example:1", "NO_PROXY": "example.com"},
            None,
        ),
        ("http://127.0.0.1:1/v1", {"HTTP_PROXY": "http://proxy.example:1"}, None),
    ],
)
def test_the_environments_proxies_are_used_as_the_module_does(
    url: str, environ: dict[str, str], proxy: str | None, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    used: list[str] = []

    def dialler(core: Any, tunnel: Any, context: Any) -> Any:
        used.append(f"{tunnel.host}:{tunnel.port}")
        return TunnelDialler(core, tunnel, context)

    monkeypatch.setattr(kit_module, "_BLOCKING", kit_module._BLOCKING._replace(tunnelling=dialler))
    routes = kit_module.ChannelTable(kit_module.HttpxAdapter(module), asynchronous=False)
    way = routes.to(Endpoint(url))
    assert used == ([proxy] if proxy else [])
    assert routes.to(Endpoint(url + "/more")) is way
    assert routes.to(Endpoint(url), fresh=True) is not way
    assert used == ([proxy] * 2 if proxy else [])
    for pool in routes.drain():
        pool.close()


# Asynchronous
# ------------------------------------------------------------------------------------------------------------


def run(module: Any, engine: Any, act: Callable[[Any], Any], backend: str = "asyncio", **more: Any) -> Any:
    async def main() -> Any:
        transport = bind(module).AsyncTransport(engine, "s1", **more)
        async with module.AsyncClient(transport=transport, base_url="http://holdfast.invalid/v1") as client:
            return await act(client)

    if backend == "trio":
        return importlib.import_module("trio").run(main)
    return asyncio.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_transport_takes_the_same_steps(
    backend: str, module: Any, provider: ScriptedProvider
) -> None:
    if backend == "trio":
        pytest.importorskip("trio")
    provider.follow([status(503), ok("recovered")])
    connection = connect(provider)
    steps = [connection, Probe(connection, "f"), Send(connection, 0.05, "again")]
    engine = FakeEngine(*steps, turns=[False, True])

    async def act(client: Any) -> bytes:
        async with client.stream("POST", "/chat/completions", json=CHAT | {"stream": True}) as response:
            return b"".join([chunk async for chunk in response.aiter_raw()])

    assert b"recovered" in run(module, engine, act, backend)
    assert engine.performed == 2
    assert engine.last.ended == [(None, "m")]


def test_an_asynchronous_stream_that_fails_before_its_output_is_recovered_from(
    module: Any, provider: ScriptedProvider
) -> None:
    provider.follow([error_event(), ok("recovered")])
    engine = FakeEngine(connect(provider), connect(provider))

    async def act(client: Any) -> str:
        answer = await client.post("/chat/completions", json=CHAT | {"stream": True})
        return str(answer.text)

    assert "recovered" in run(module, engine, act)
    assert len(provider.requests) == 2


@pytest.mark.parametrize(("behaviour", "error"), [(truncated(3), None), (reset(after=2), "ReadError")])
def test_an_asynchronous_stream_that_is_cut_says_so(
    behaviour: Any, error: str | None, module: Any, provider: ScriptedProvider
) -> None:
    provider.follow(behaviour)
    engine = FakeEngine(connect(provider))

    async def act(client: Any) -> bytes:
        async with client.stream("POST", "/chat/completions", json=CHAT | {"stream": True}) as response:
            return b"".join([chunk async for chunk in response.aiter_raw()])

    if error is None:
        assert b"stream ended without its terminal event" in run(module, engine, act)
    else:
        with pytest.raises(getattr(module, error), match="may have been billed"):
            run(module, engine, act)
    assert engine.last.ended[0][0].kind is FaultClass.TRANSIENT


def test_an_asynchronous_caller_who_is_cancelled_costs_no_key(
    module: Any, provider: ScriptedProvider
) -> None:
    provider.follow(stall(30.0))
    engine = FakeEngine(connect(provider))

    async def act(client: Any) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post("/chat/completions", json=CHAT), 0.2)

    run(module, engine, act)
    assert engine.last.abandoned == 1
    assert engine.last.answers == []


def test_an_asynchronous_caller_who_leaves_early_costs_no_key(
    module: Any, provider: ScriptedProvider
) -> None:
    provider.follow(ok("one two three", event_delay=0.2))
    engine = FakeEngine(connect(provider))

    async def act(client: Any) -> None:
        async with client.stream("POST", "/chat/completions", json=CHAT | {"stream": True}) as response:
            await anext(response.aiter_raw())

    run(module, engine, act)
    assert engine.last.ended == [(None, "m")]


# Servers that speak less than HTTP
# ----------------------------------------------------------------------------------------


class raw_server:  # noqa: N801 - reads as a verb in a with statement
    """Answers the first request with these bytes, then closes, or waits until the client does."""

    closed: Any

    def __init__(self, answer: bytes, *, close: bool = False) -> None:
        import queue

        type(self).closed = queue.SimpleQueue()
        self._answer, self._close = answer, close
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(5)
            seen = b""
            while b"}" not in seen:
                seen += connection.recv(65536)
            try:
                connection.sendall(self._answer)
                if not self._close:
                    while connection.recv(65536):
                        pass
            except OSError:
                pass
        type(self).closed.put(True)


def at(port: int, dialect: Dialect = Dialect.OPENAI_CHAT) -> Connection:
    """A connection without key to a port of this machine."""
    return Connection(
        Provider(ProviderName("raw"), (Endpoint(f"http://127.0.0.1:{port}/v1", dialect, Auth.NONE),)),
        dialect,
        None,
        "m",
    )


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"model":"other"}'),
        '{"model":"other"}'.encode("utf-16"),
        '{"model":"other"}'.encode("utf-16-le"),
    ],
    ids=["gzip", "utf-16", "utf-16-le"],
)
def test_a_body_whose_model_cannot_be_read_is_not_sent(
    body: bytes, provider: ScriptedProvider, client_for: Any
) -> None:
    response = client_for(FakeEngine(connect(provider))).post("/chat/completions", content=body)
    assert (response.status_code, provider.requests) == (400, [])
    assert "UTF-8" in response.json()["error"]["message"]


def test_an_error_of_the_modules_own_transport_is_not_its_own_cause(
    module: Any, client_for: Any, provider: ScriptedProvider
) -> None:
    broken = module.ReadError("cut")

    class Body(module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Any:
            yield b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
            raise broken

    inner = module.MockTransport(
        lambda request: module.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    )
    with (
        pytest.raises(module.ReadError),
        client_for(FakeEngine(connect(provider)), inner).stream(
            "POST", "/chat/completions", json=CHAT
        ) as response,
    ):
        response.read()
    assert broken.__cause__ is not broken


def test_a_compressed_answer_longer_than_what_is_looked_at_is_no_fault(client_for: Any) -> None:
    body = gzip.compress(json.dumps({"output": [{"error": {"text": "x" * 5_000}}]}).encode())
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n"
        b"content-length: %d\r\n\r\n"
    ) % len(body)
    with raw_server(head + body, close=True) as port:
        response = client_for(FakeEngine(at(port)), bounds=Bounds(whole=1_000)).post("/responses", json=CHAT)
    assert (response.status_code, len(response.json()["output"])) == (200, 1)
