"""Requests whose bodies are compressed, or begin with a byte order mark, through both faces; and what is no
request that we answer."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, ok
from holdfast.wire import request_coding

from .conftest import StartGateway, parse, request  # type: ignore[import-not-found]

BODY = '{"model":"mine/scripted-1","messages":[{"role":"user","content":"hé 漢字 😀"}]}'.encode()
ARRIVES = BODY.replace(b"mine/", b"")
ROUTES = ("chat/completions", "responses", "messages")
MARK = b"\xef\xbb\xbf"

CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "zstd": ("zstd", request_coding._module("zstd").compress),
    "br": ("br", request_coding._module("br").compress),
    "a mark": ("", lambda data: MARK + data),
    "a mark in gzip": ("gzip", lambda data: gzip.compress(MARK + data)),
    "identity": ("identity", bytes),
}
REFUSED: dict[str, tuple[str, bytes, tuple[int, str]]] = {
    "an unknown coding": ("compress", BODY, (415, "unsupported_coding")),
    "not what its coding says": ("gzip", BODY, (400, "unreadable_body")),
    "compressed without a word": ("", gzip.compress(BODY), (400, "unreadable_body")),
    "UTF-16": ("", BODY.decode().encode("utf-16"), (400, "unreadable_body")),
}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(ok("hi")) as made:
        yield made


def headers_for(coding: str) -> dict[str, str]:
    return {"content-encoding": coding} if coding else {}


@pytest.mark.parametrize("case", CODINGS)
def test_a_provider_gets_the_plain_body_of_a_request_through_both_faces(
    case: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    coding, encode = CODINGS[case]
    plane = gateway(provider)
    plane.holdfast.session("work", "mine/scripted-1")
    transport = plane.holdfast.session("work").transport()
    with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
        for route in ROUTES:
            status, _, answer = plane.post(route, encode(BODY), **headers_for(coding))
            assert status == 200, answer
            response = client.post(f"/{route}", content=encode(BODY), headers=headers_for(coding))
            assert response.status_code == 200, response.text
    assert len(provider.requests) == 2 * len(ROUTES)
    for seen in provider.requests:
        names = {name.lower() for name in seen.headers}
        assert (seen.body, "content-encoding" in names) == (ARRIVES, False)
        assert int(seen.headers["content-length"]) == len(ARRIVES)


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_that_cannot_be_read_is_refused_alike_by_both_faces(
    case: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    coding, body, refused = REFUSED[case]
    plane = gateway(provider)
    plane.holdfast.session("work", "mine/scripted-1")
    transport = plane.holdfast.session("work").transport()
    answers: list[tuple[int, Any]] = []
    with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
        status, _, answer = plane.post("chat/completions", body, **headers_for(coding))
        answers.append((status, json.loads(answer)))
        response = client.post("/chat/completions", content=body, headers=headers_for(coding))
        answers.append((response.status_code, response.json()))
    assert answers[0] == answers[1]
    assert (answers[0][0], answers[0][1]["error"]["code"]) == refused
    assert provider.requests == []


def test_the_same_head_again_is_decoded_again(gateway: StartGateway, provider: ScriptedProvider) -> None:
    plane = gateway(provider)
    with plane.connect() as sock:
        for text in ("one", "another"):
            body = gzip.compress(BODY.replace(b"h\xc3\xa9", text.encode()))
            sock.sendall(request("chat/completions", body, content_encoding="gzip"))
            got = b""
            while b'"choices"' not in got:
                got += sock.recv(65536)
    assert [text in seen.body for text, seen in zip((b"one", b"another"), provider.requests, strict=True)]


def test_a_small_body_that_becomes_too_large_is_refused(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, body_bytes=100_000))
    bomb = gzip.compress(b"{" + b" " * 100_000 + b"}")
    status, _, answer = plane.post("chat/completions", bomb, content_encoding="gzip")
    assert (status, json.loads(answer)["error"]["code"]) == (413, "request_too_large")
    assert plane.post("chat/completions", BODY)[0] == 200
    assert len(provider.requests) == 1


@pytest.mark.parametrize("path", ["", "/v1", "/v1/v1", "/s/work/v1/v1"])
def test_a_doubled_version_in_a_path_makes_no_difference(
    path: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    assert gateway(provider).post(f"{path}/chat/completions", BODY)[0] == 200
    assert provider.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
def test_a_web_socket_is_refused_so_that_its_client_goes_on_over_http(
    route: str, upgrade: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    asked = request(route, b"", method="GET", upgrade=upgrade, connection="Upgrade")
    status, headers, body = parse(plane.raw(asked))
    assert (status, headers["upgrade"]) == (426, "HTTP/1.1")
    assert f"POST /{route}" in json.loads(body)["error"]["message"]
    plain = parse(plane.raw(request(route, b"", method="PUT", connection="close")))
    assert plain[0] == 405
    assert plane.post(route, BODY, upgrade="websocket")[0] == 200
