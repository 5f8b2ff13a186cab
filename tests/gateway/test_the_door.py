"""What a request's head decides: whom it addresses, whose page sent it, its method, and what is said without
a token."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from gateway.conftest import TOKEN, parse, request
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.http1.authority import host_of, host_of_origin, split_absolute
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.testing import ScriptedProvider

HOSTS = {
    "localhost": 200,
    "LOCALHOST:4141": 200,
    "127.0.0.1": 200,
    "127.0.0.1:": 200,
    "[::1]:4141": 200,
    "10.1.2.3": 200,
    "evil.com": 403,
    "127.0.0.1.evil.com": 403,
    "127.evil.com": 403,
    "localhost.evil.com": 403,
    "evil.com%00localhost": 403,
    "127.0.0.1,evil.com": 403,
    "[::1].evil.com": 400,
    "[::1]evil.com": 400,
    "[::1]:80.evil.com": 400,
    "[::1": 400,
    "[evil.com]": 400,
    "[1::2::3]": 400,
    "evil.com\\@127.0.0.1": 400,
    "evil.com@127.0.0.1": 400,
    "127.0.0.1@evil.com": 400,
    "user:pw@localhost": 400,
    "localhost/path": 400,
    "localhost?x": 400,
    "localhost#x": 400,
    "http://localhost": 400,
    "localhost:80:80": 400,
    "localhost:8x": 400,
    "localhost, evil.com": 400,
    "local host": 400,
    "lo\xefcalhost": 400,
}
ORIGINS = {
    "http://localhost": 200,
    "https://127.0.0.1:3000": 200,
    "http://[::1]:3000": 200,
    "tauri://localhost": 200,
    "null": 403,
    "": 403,
    "localhost": 403,
    "file://": 403,
    "http://evil.com": 403,
    "http://evil.com@127.0.0.1": 403,
    "http://evil.com\\@127.0.0.1": 403,
    "http://127.0.0.1@evil.com": 403,
    "http://[::1].evil.com": 403,
    "http://localhost/path": 403,
    "http://localhost http://evil.com": 403,
    "http://localhost,http://evil.com": 403,
    "http://localhost#evil.com": 403,
}


@pytest.fixture
def plane(gateway: Any, provider: ScriptedProvider) -> Any:
    return gateway(provider)


def status_for(plane: Any, **headers: str) -> int:
    return parse(plane.raw(request("/late", b"", method="GET", connection="close", **headers)))[0]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_only_looks_like_ours_gets_nowhere(plane: Any, host: str) -> None:
    assert status_for(plane, host=host) == HOSTS[host]
    assert status_for(plane, host=host) == HOSTS[host]  # nor when it is known already


def test_a_page_of_another_origin_cannot_pass_for_ours(plane: Any) -> None:
    for origin, expected in ORIGINS.items():
        head = f"GET /late HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\norigin: {origin}"
        got = plane.raw(head.encode("latin-1") + b"\r\nconnection: close\r\n\r\n")
        assert parse(got)[0] == expected, origin


def test_a_request_without_a_host_is_refused_as_http_demands(plane: Any) -> None:
    for lines in (b"", b"host:\r\n", b"host: \t\r\n"):
        got = plane.raw(b"GET /late HTTP/1.1\r\n" + lines + b"connection: close\r\n\r\n")
        assert parse(got)[0] == 400, lines
    assert parse(plane.raw(b"GET /health/live HTTP/1.0\r\n\r\n"))[0] == 200


ABSOLUTE = {
    "http://localhost/late": (200, "evil.example"),
    "HTTP://127.0.0.1:4141/late?x=1": (200, "localhost"),
    "http://evil.example/late": (403, "localhost"),
    "http://evil@localhost/late": (400, "localhost"),
    "http://localhost\\@evil/late": (400, "localhost"),
    "http://[::1].evil.com/late": (400, "localhost"),
    "http:///late": (400, "localhost"),
    "ftp://localhost/late": (400, "localhost"),
    "http://localhost/late#x": (400, "localhost"),
    "localhost/late": (400, "localhost"),
    "*": (400, "localhost"),
    "http://localhost/late ": (400, "localhost"),
}


def head_of(first: str, **headers: str) -> bytes:
    """Return a head without a body, whose connection ends with its answer."""
    given = {"host": "localhost", "authorization": f"Bearer {TOKEN}", "connection": "close", **headers}
    return "\r\n".join([first, *map(": ".join, given.items()), "\r\n"]).encode("latin-1")


@pytest.mark.parametrize("target", ABSOLUTE)
def test_an_absolute_target_counts_instead_of_the_host_header(plane: Any, target: str) -> None:
    expected, host = ABSOLUTE[target]
    assert parse(plane.raw(head_of(f"GET {target} HTTP/1.1", host=host)))[0] == expected


def test_an_absolute_target_reaches_a_provider_by_its_path(plane: Any, provider: ScriptedProvider) -> None:
    asked = request("chat/completions", b'{"model":"mine/scripted-1"}', connection="close")
    status, _, _ = parse(plane.raw(asked.replace(b"POST /", b"POST http://localhost:1/", 1)))
    assert (status, provider.requests[-1].path) == (200, "/v1/chat/completions")


def test_nothing_but_health_is_told_without_a_token(plane: Any) -> None:
    routes = AdminRoutes(Metrics(), "1.2")
    assert all(path.startswith("/health/") for path in routes.OPEN)
    for path in ("/", "/late", "/metrics", "/nowhere", "/v1/models", "/v1/chat/completions", "*"):
        for method in ("GET", "OPTIONS", "DELETE", "TRACE", "get"):
            if path != "*" or method == "OPTIONS":
                got = plane.raw(request(path, b"", method=method, authorization="").replace(b"/v1/*", b"*"))
                assert parse(got)[0] == 401, (method, path)


METHODS = {
    ("GET", "/late"): (200, ""),
    ("HEAD", "/late"): (200, ""),
    ("OPTIONS", "/late"): (204, "GET, HEAD, OPTIONS"),
    ("POST", "/late"): (405, "GET, HEAD, OPTIONS"),
    ("DELETE", "/late"): (405, "GET, HEAD, OPTIONS"),
    ("OPTIONS", "/v1/chat/completions"): (204, "POST, GET, HEAD, OPTIONS"),
    ("OPTIONS", "/s/a/v1/messages"): (204, "POST, OPTIONS"),
    ("GET", "/v1/responses"): (405, "POST, OPTIONS"),
    ("HEAD", "/v1/responses"): (405, "POST, OPTIONS"),
    ("OPTIONS", "*"): (204, "GET, HEAD, POST, DELETE, OPTIONS"),
    ("OPTIONS", "/nowhere"): (404, ""),
    ("PUT", "/nowhere"): (404, ""),
    ("TRACE", "/late"): (501, ""),
    ("CONNECT", "localhost:443"): (501, ""),
    ("get", "/late"): (501, ""),
    ("BREW", "/v1/chat/completions"): (501, ""),
}


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_a_method_is_answered_as_its_route_allows(plane: Any, method: str, path: str) -> None:
    status, headers, body = parse(plane.raw(head_of(f"{method} {path} HTTP/1.1")))
    expected, allowed = METHODS[method, path]
    assert (status, headers.get("allow", "")) == (expected, allowed)
    assert parsedate_to_datetime(headers["date"])
    assert ("content-length" in headers) == (status != 204)
    if method == "HEAD" or status == 204:
        assert body == b""


def test_a_request_of_a_later_minor_version_is_read_as_ours(plane: Any) -> None:
    for version, expected in {"1.2": 200, "1.9": 200, "2.0": 505, "0.9": 505, "1.10": 400, "1": 400}.items():
        head = f"GET /late HTTP/{version}\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
        assert parse(plane.raw(head.encode() + b"connection: close\r\n\r\n"))[0] == expected, version


def test_an_answer_has_one_date_whoever_gave_it(plane: Any, provider: ScriptedProvider) -> None:
    body = b'{"model":"mine/scripted-1"}'
    got = plane.raw(request("chat/completions", body, connection="close"))
    assert got.lower().count(b"\r\ndate: ") == 1


def test_a_broken_head_after_a_head_request_is_answered_with_words(plane: Any) -> None:
    got = plane.raw(request("/late", b"", method="HEAD") + b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
    _, second = got.split(b"HTTP/1.1 400 ")
    assert second.partition(b"\r\n\r\n")[2].startswith(b'{"error"')


@pytest.mark.parametrize(
    "text", ["[::1].evil.com", "evil.com\\@127.0.0.1", "a@b", "", "a b", "[v1.x]", "[::1%25lo]"]
)
def test_what_the_grammar_does_not_know_is_no_host(text: str) -> None:
    assert host_of(text.encode()) is None
    assert host_of_origin(b"http://" + text.encode()) is None
    assert split_absolute(b"http://" + text.encode() + b"/") is None
