"""Routes, sessions, the model rule, tokens, and how a gateway waits, limits and ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest

from holdfast.core.identity import Pin
from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, ok

from .conftest import read_all, request  # type: ignore[import-not-found]


def chat(model: str | None = "mine/scripted-1", **more: Any) -> dict[str, Any]:
    return ({"model": model} if model is not None else {}) | {"messages": []} | more


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/chat/completions/",
        "/v1/responses",
        "/v1/messages?beta=true",
        "/v1/messages/count_tokens",
        "/v1/embeddings",
        "/s/a:b/v1/messages",
        "/s/a%3Ab/embeddings",
    ],
)
def test_every_data_route_is_served_with_and_without_version_and_session(
    gateway: Any, provider: ScriptedProvider, path: str
) -> None:
    plane = gateway(provider)
    provider.follow(lambda seen: ok() if seen.dialect else ok(body=b'{"input_tokens":3}'))
    code, headers, _ = plane.post(path, chat())
    assert code == 200
    assert headers["holdfast-session"] == ("a:b" if path.startswith("/s/") else "token-test")
    assert provider.requests[-1].path.startswith("/v1/")
    assert provider.requests[-1].path.endswith(
        path.removeprefix("/s/a:b").removeprefix("/s/a%3Ab").removeprefix("/v1").rstrip("/")
    )
    assert provider.requests[-1].model == "scripted-1"


def test_a_session_is_made_by_the_first_request_that_says_what_it_wants(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    code, _, body = plane.post("/s/new/v1/chat/completions", chat(None))
    assert (code, json.loads(body)["error"]["code"]) == (400, "model_ambiguous")
    assert plane.post("/s/new/v1/chat/completions", chat("mine-only"))[0] == 200
    assert plane.holdfast.engine.store.session("new").pin == Pin.parse("mine/mine-only")
    assert plane.post("/s/new/v1/chat/completions", chat(None))[0] == 200
    assert provider.calls[-1].model == "mine-only"
    assert plane.post("/s/new/v1/chat/completions", chat("mine/scripted-1"))[0] == 200
    assert provider.calls[-1].model == "scripted-1"
    assert plane.holdfast.engine.store.session("new").pin == Pin.parse("mine/mine-only"), (
        "another pin is that request's alone"
    )


@pytest.mark.parametrize(
    ("model", "status", "code", "candidates"),
    [
        ("mine-onle", 404, "model_not_found", ["mine/mine-only", "other/other-only"]),
        ("scripted-1", 400, "model_ambiguous", ["mine/scripted-1", "other/scripted-1"]),
        ("nobody/x", 404, "model_not_found", []),
    ],
)
@pytest.mark.parametrize("route", ["chat/completions", "responses", "messages"])
def test_a_model_that_means_no_one_pin_is_refused_with_the_candidates(
    gateway: Any,
    provider: ScriptedProvider,
    route: str,
    model: str,
    status: int,
    code: str,
    candidates: list[str],
) -> None:
    plane = gateway(provider, provider)
    got, headers, body = plane.post(route, chat(model))
    error = json.loads(body)["error"]
    assert (got, error["holdfast"]["class"], error["holdfast"]["candidates"]) == (status, code, candidates)
    assert headers["x-should-retry"] == "false"
    assert (json.loads(body).get("type") == "error") == (route == "messages")
    assert not provider.requests


def test_a_provider_that_does_not_speak_the_dialect_is_named_with_what_it_speaks(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(
        config=f'[provider.mine]\nurl = "{provider.url}"\nkeys = ["env:KEY_A"]\ntranslate = "never"\n'
    )
    code, _, body = plane.post("messages", chat())
    assert (code, json.loads(body)["error"]["holdfast"]["class"]) == (400, "wrong_dialect")
    assert b"openai-chat" in body


def test_a_broken_configuration_is_reported_and_a_lost_choice_is_a_conflict(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    assert plane.post("chat/completions", chat())[0] == 200
    (plane.home / "holdfast.toml").write_text(
        f'[provider.renamed]\nurl = "{provider.url}"\nkeys = ["env:KEY_A"]\n', "utf-8"
    )
    plane.holdfast.engine.look_again()
    code, _, body = plane.post("chat/completions", chat(None))
    assert (code, json.loads(body)["error"]["code"]) == (409, "connection_lost")


def test_under_a_strict_pin_nothing_else_is_sent(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider, strict="mine/scripted-1")
    assert plane.post("chat/completions", chat())[0] == 200
    code, _, body = plane.post("chat/completions", chat("mine/mine-only"))
    assert (code, json.loads(body)["error"]["code"]) == (409, "pin_mismatch")
    assert [done.code for done in plane.done] == ["", "pin_mismatch"]
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    ("headers", "session"),
    [
        ({}, "token-test"),
        ({"holdfast_session": "mine"}, "mine"),
        ({"x_claude_code_session_id": "0f3e"}, "0f3e"),
        ({"session_id": "0f3e"}, "0f3e"),
        ({"session_id": "not an id"}, "token-test"),
        ({"holdfast_session": "mine", "session_id": "0f3e"}, "mine"),
        ({"authorization": "", "x_api_key": "hf-test-0123456789"}, "token-test"),
        ({"authorization": "Bearer hf-bound-0123456789"}, "theirs"),
        ({"authorization": "Bearer hf-bound-0123456789", "session_id": "0f3e"}, "theirs"),
    ],
)
def test_the_session_is_the_first_that_is_named(
    gateway: Any, provider: ScriptedProvider, headers: dict[str, str], session: str
) -> None:
    plane = gateway(provider)
    plane.holdfast.session("theirs", "mine/scripted-1")
    code, answered, _ = plane.post("chat/completions", chat(), **headers)
    assert (code, answered["holdfast-session"]) == (200, session)


def test_a_token_of_one_session_serves_no_other(gateway: Any, provider: ScriptedProvider) -> None:
    code, _, body = gateway(provider).post(
        "/s/else/v1/chat/completions", chat(), authorization="Bearer hf-bound-0123456789"
    )
    assert (code, json.loads(body)["error"]["code"]) == (403, "session_mismatch")


@pytest.mark.parametrize(
    "body",
    [b"", b"no object", b"[1]", b"\x1f\x8b\x08", '{"model":"x"}'.encode("utf-16")],
)
def test_a_body_that_cannot_be_inspected_is_not_sent(
    gateway: Any, provider: ScriptedProvider, body: bytes
) -> None:
    plane = gateway(provider)
    assert plane.post("chat/completions", chat())[0] == 200
    code, _, answer = plane.post("chat/completions", body)
    assert (code, json.loads(answer)["error"]["code"]) == (400, "unreadable_body")
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"mod\\u0065l":"sneaky","model":"mine/scripted-1"}',
        b'{"model":"sneaky","model":"mine/scripted-1"}',
        b'{"model":"mine/scripted-1","mod\\u0065l":"mine/scripted-1","messages":[{"model":"inner"}]}',
    ],
)
def test_no_spelling_of_the_model_reaches_the_provider_but_the_one_decided(
    gateway: Any, provider: ScriptedProvider, body: bytes
) -> None:
    plane = gateway(provider)
    assert plane.post("chat/completions", body)[0] == 200
    seen = json.loads(
        provider.calls[-1].body,
        object_pairs_hook=lambda pairs: [value for name, value in pairs if name == "model"],
    )
    assert set(seen) == {"scripted-1"}


def test_requests_in_a_row_are_answered_in_their_order_one_at_a_time(
    gateway: Any, provider: ScriptedProvider
) -> None:
    provider.follow([ok("first", delay=0.05), ok("second"), ok("third")])
    plane = gateway(provider)
    ask = request("chat/completions", json.dumps(chat()).encode())
    last = request("chat/completions", json.dumps(chat()).encode(), connection="close")
    got = plane.raw(ask + ask + last)
    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert got.index(b"first") < got.index(b"second") < got.index(b"third")


def test_who_expects_a_word_before_sending_gets_it_or_the_refusal(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    body = json.dumps(chat()).encode()
    with plane.connect() as sock:
        sock.sendall(
            request(
                "chat/completions",
                b"",
                expect="100-continue",
                content_length=str(len(body)),
                connection="close",
            )
        )
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK")
    assert plane.raw(
        request("chat/completions", b"", expect="100-continue", content_length="9", authorization="Bearer x")
    ).startswith(b"HTTP/1.1 401 ")


def test_http_1_0_gets_an_answer_without_chunks_and_the_connection_closes(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    got = plane.raw(
        request("chat/completions", json.dumps(chat(stream=True)).encode()).replace(b"HTTP/1.1", b"HTTP/1.0")
    )
    assert b"transfer-encoding" not in got
    assert got.endswith(b"data: [DONE]\n\n")


def test_a_client_that_sends_too_slowly_is_refused_and_a_silent_one_is_closed(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, idle=0.1, head=0.1, body=0.1))
    begun = time.monotonic()
    assert plane.raw(b"") == b""
    assert plane.raw(b"POST /v1/chat").startswith(b"HTTP/1.1 408 ")
    assert plane.raw(request("chat/completions", b"{", content_length="100")).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 3


def test_a_chunked_body_is_bounded_as_it_comes(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, body_bytes=1000))
    head = request("chat/completions", b"", content_length="", transfer_encoding="chunked")
    assert plane.raw(head + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n").startswith(b"HTTP/1.1 413 ")
    assert plane.raw(head + b"ffffffff\r\n" + b"x" * 2000).startswith(b"HTTP/1.1 413 ")


def test_a_gateway_that_ends_lets_running_answers_end_and_takes_no_more(
    gateway: Any, provider: ScriptedProvider
) -> None:
    provider.follow(ok("a few words", event_delay=0.05))
    plane = gateway(provider)
    idle, got = plane.connect(), []
    runs = threading.Thread(target=lambda: got.append(plane.post("chat/completions", chat(stream=True))))
    runs.start()
    while not provider.calls:
        time.sleep(0.005)
    assert plane.call(plane.plane.drain(5))
    runs.join()
    assert got[0][0] == 200
    assert got[0][2].endswith(b"data: [DONE]\n\n")
    assert idle.recv(10) == b""
    idle.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", plane.port))


def test_an_idle_connection_may_be_used_once_more_while_a_gateway_ends(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    live = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with plane.connect() as used, plane.connect() as idle:
        used.sendall(live)
        assert b"connection: close" not in used.recv(4096)
        ended: list[bool] = []
        ends = threading.Thread(target=lambda: ended.append(plane.call(plane.plane.drain(5))))
        ends.start()
        while not plane.plane.draining:
            time.sleep(0.005)
        used.sendall(live)
        answer = read_all(used)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert idle.recv(10) == b""
        ends.join()
    assert ended == [True]


def test_a_connection_whose_stream_outlasts_the_others_may_be_used_once_more_after_it(
    gateway: Any, provider: ScriptedProvider
) -> None:
    """Its head, which was sent before, let the client believe that the connection is kept."""
    provider.follow(ok("a few words", event_delay=0.1))
    plane = gateway(provider, bounds=Bounds(look_every=0.02, last_idle=0.2))
    with plane.connect() as used:
        used.sendall(request("chat/completions", json.dumps(chat(stream=True)).encode()))
        got = used.recv(4096)
        ended: list[bool] = []
        ends = threading.Thread(target=lambda: ended.append(plane.call(plane.plane.drain(5))))
        ends.start()
        while b"0\r\n\r\n" not in got:
            got += used.recv(4096)
        used.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"connection: close" in read_all(used)
        ends.join()
    assert ended == [True]


def test_a_request_that_has_only_begun_to_arrive_holds_up_no_end(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, last_idle=0.1, linger=0.1))
    begun = plane.connect()
    begun.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n")
    while not any(client._held for client in [*plane.plane.clients]):
        time.sleep(0.005)
    assert plane.call(plane.plane.drain(1))
    begun.close()


def test_side_routes_are_answered_at_once_or_later_and_fail_without_a_trace(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    assert plane.raw(
        b"GET /health/live HTTP/1.1\r\nhost: x.localhost:1\r\nconnection: close\r\n\r\n"
    ).endswith(b"live")
    assert plane.raw(request("/late", b"", method="GET", connection="close")).endswith(b"late")
    code = plane.raw(request("/boom", b"", method="GET", connection="close"))
    assert code.startswith(b"HTTP/1.1 500 ")
    assert b"Traceback" not in code
    assert plane.raw(request("/nowhere", b"", method="GET", connection="close")).startswith(b"HTTP/1.1 404 ")


def test_a_store_that_is_away_behind_an_admin_page_is_reported_as_such(
    gateway: Any, provider: ScriptedProvider
) -> None:
    got = gateway(provider).raw(request("/away", b"", method="GET", connection="close"))
    assert got.startswith(b"HTTP/1.1 503 ")
    assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["code"] == "store_unavailable"


def test_an_unknown_path_is_refused_with_the_routes_there_are(
    gateway: Any, provider: ScriptedProvider
) -> None:
    code, _, body = gateway(provider).post("v1/v1/chat", chat())
    error = json.loads(body)["error"]
    assert (code, error["code"]) == (404, "unknown_route")
    assert "/v1/chat/completions" in error["holdfast"]["candidates"]
    assert "/v1/chat/completions" in error["message"]


def test_a_wrong_method_is_refused_with_the_right_one(gateway: Any, provider: ScriptedProvider) -> None:
    got = gateway(provider).raw(request("chat/completions", b"", method="PUT", connection="close"))
    assert got.startswith(b"HTTP/1.1 405 ")
    assert b"allow: POST, GET, HEAD, OPTIONS\r\n" in got
