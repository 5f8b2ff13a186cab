"""What leaves, and what comes back: nothing of the caller's credentials, nothing to another host, no byte
more than needed."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.faults import Phase
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.values.secret import Secret
from holdfast.wire import request_body as scan
from holdfast.wire.account_objects import is_stored
from holdfast.wire.api_routes import dialect_of
from holdfast.wire.client_headers import filter_headers
from holdfast.wire.key_at_send import headers_with_key
from holdfast.wire.request_body import inspect_body, replace_model, requested_model
from holdfast.wire.request_head import build_request, url_for
from holdfast.wire.response_head import (
    BODY_LIMIT,
    Decoder,
    answer_headers,
    decoded,
    fault_headers,
    reply_of,
    reply_of_error,
)

SECRET = Secret("sk-0123456789abcdef")
NAME = ProviderName("mine")
KEY = Key(NAME, "a", "env:A")


def connection(
    url: str = "https://api.example.com/v1",
    dialect: Dialect = Dialect.OPENAI_CHAT,
    auth: Auth = Auth.BEARER,
    headers: Any = (),
) -> Connection:
    key = None if auth is Auth.NONE else KEY
    return Connection(
        Provider(NAME, (Endpoint(url, dialect, auth, headers),), (KEY,) if key else ()),
        dialect,
        key,
        "chosen",
    )


def sent(incoming: list[tuple[bytes, bytes]], body: bytes | None = b"{}", **how: Any) -> dict[bytes, bytes]:
    target = connection(**how)
    secret = SECRET if target.key else None
    _, headers, _ = build_request(target, secret, "/v1/chat/completions", filter_headers(incoming), body=body)
    assert SECRET.reveal().encode() not in b"".join(value for _, value in headers)
    headers = headers_with_key(headers, secret)
    assert len({name.lower() for name, _ in headers}) == len(headers)
    return {name.lower(): value for name, value in headers}


@pytest.mark.parametrize(
    ("base", "dialect", "path", "url"),
    [
        ("https://h/v1", "openai-chat", "/v1/chat/completions", "https://h/v1/chat/completions"),
        ("https://h/v1", "openai-chat", "/chat/completions", "https://h/v1/chat/completions"),
        (
            "https://h/api/paas/v4",
            "openai-chat",
            "/v1/chat/completions",
            "https://h/api/paas/v4/chat/completions",
        ),
        (
            "https://h/v1",
            "openai-responses",
            "/v1/responses/resp_1?include=x",
            "https://h/v1/responses/resp_1?include=x",
        ),
        (
            "https://h/anthropic",
            "anthropic-messages",
            "/v1/messages?beta=true",
            "https://h/anthropic/v1/messages?beta=true",
        ),
        ("https://h/anthropic/v1", "anthropic-messages", "/v1/messages", "https://h/anthropic/v1/messages"),
        ("https://h/v1", "openai-chat", "//evil.example/x", "https://h/v1//evil.example/x"),
        ("https://h/v1", "openai-chat", "@evil.example/", "https://h/v1/@evil.example/"),
    ],
)
def test_the_url_is_the_endpoints_with_the_callers_path(base: str, dialect: str, path: str, url: str) -> None:
    assert url_for(Endpoint(base, Dialect(dialect)), path) == url


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/embeddings", "openai-chat"),
        ("/v1/responses/resp_1/cancel", "openai-responses"),
        ("/v1/messages/count_tokens?beta=true", "anthropic-messages"),
        ("/v1/models", None),
        ("/v1/messagesque", None),
    ],
)
def test_a_path_belongs_to_the_dialect_that_has_it(path: str, dialect: str | None) -> None:
    assert dialect_of(path) == dialect


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (Auth.BEARER, (b"authorization", b"Bearer sk-0123456789abcdef")),
        (Auth.X_API_KEY, (b"x-api-key", b"sk-0123456789abcdef")),
        (Auth.API_KEY, (b"api-key", b"sk-0123456789abcdef")),
        (Auth.NONE, None),
    ],
)
def test_the_callers_credentials_are_replaced_by_the_endpoints_style(
    auth: Auth, header: tuple[bytes, bytes] | None
) -> None:
    theirs = [
        (name, b"theirs")
        for name in (
            b"Authorization",
            b"X-Api-Key",
            b"api-key",
            b"Cookie",
            b"Proxy-Authorization",
            b"Host",
            b"Holdfast-Session",
        )
    ]
    headers = sent(theirs, auth=auth)
    assert b"theirs" not in headers.values()
    shown = {
        name: value
        for name, value in headers.items()
        if name in (b"authorization", b"x-api-key", b"api-key", b"cookie", b"proxy-authorization")
    }
    assert shown == (dict([header]) if header else {})
    assert headers[b"host"] == b"api.example.com"


def test_what_holds_for_one_hop_stays_behind_and_the_rest_goes_along() -> None:
    headers = sent(
        [
            (b"Connection", b"close"),
            (b"TE", b"x"),
            (b"Upgrade", b"h2c"),
            (b"Content-Length", b"9"),
            (b"anthropic-version", b"2026-10-21"),
            (b"X-Title", b"1"),
        ]
    )
    assert headers.keys() == {b"host", b"authorization", b"content-length", b"anthropic-version", b"x-title"}
    assert headers[b"content-length"] == b"%d" % len(b'{"model":"chosen"}')
    assert headers[b"anthropic-version"] == b"2026-10-21"


def test_the_headers_of_an_endpoint_win_over_the_callers() -> None:
    headers = sent(
        [(b"X-Team", b"caller"), (b"user-agent", b"sdk")],
        headers=(("X-Team", "mine"), ("accept-encoding", "br")),
    )
    assert headers[b"x-team"] == b"mine"
    assert headers[b"user-agent"] == b"sdk"
    assert headers[b"accept-encoding"] == b"br"


def test_a_body_that_streams_past_keeps_its_own_length() -> None:
    assert sent([(b"Content-Length", b"77")], body=None)[b"content-length"] == b"77"
    assert sent([(b"Transfer-Encoding", b"chunked")], body=None)[b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in sent([], body=b"")


@pytest.mark.parametrize(
    ("accepts", "body", "asked"),
    [
        (b"gzip, deflate, br, zstd", b"{}", b"gzip, deflate"),
        (b"br", b"{}", b"identity"),
        (b"gzip, br;q=0.5", b'{"stream": true}', b"identity"),
    ],
)
def test_only_codings_that_we_can_look_into_are_asked_for(accepts: bytes, body: bytes, asked: bytes) -> None:
    assert sent([(b"Accept-Encoding", accepts)], body=body)[b"accept-encoding"] == asked


def test_the_retries_of_an_sdk_are_read_from_its_header() -> None:
    assert filter_headers([(b"X-Stainless-Retry-Count", b"2")]).client_retries == 2
    for count in (b"many", b"-1", b"9" * 5000):
        assert filter_headers([(b"x-stainless-retry-count", count)]).client_retries == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("model"), inner),
    max_leaves=12,
)
BODIES = st.dictionaries(
    st.text() | st.sampled_from(["model", "messages", "stream", 'a"model', "\\"]),
    JSON | st.sampled_from(['"model": "x"', '{"model":"y"}', "model"]),
)


@given(BODIES, st.booleans(), st.sampled_from([None, 2]))
def test_the_scan_for_the_model_agrees_with_a_full_parse(
    body: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode()
    model = body.get("model")
    assert requested_model(text) == (model if isinstance(model, str) else None)


@given(
    BODIES,
    st.booleans(),
    st.sampled_from([None, 2]),
    st.sampled_from(["", '"model"', '"stream" : true', " " * 40 + ":", '"\\\\u006dodel" \t:']),
    st.integers(0, 80),
)
def test_a_body_searched_by_colons_asks_for_what_its_words_say(
    body: dict[str, Any], ascii_only: bool, indent: int | None, odd: str, at: int
) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only, indent=indent)
    raw = (text[:at] + odd + text[at:]).encode()
    crossed, read = scan._search_by_colons(raw), scan._search_by_words(raw)
    if crossed is not None:
        assert scan._model_spans(raw, crossed) == scan._model_spans(raw, read)
        assert any(scan._STREAM.match(raw, at) for at in crossed.streams) is any(
            scan._STREAM.match(raw, at) for at in read.streams
        )
        assert read.escaped or not crossed.escaped


@given(
    BODIES,
    st.sampled_from([None, 2]),
    st.sampled_from(
        ['"store":true', '"store" : true', f'"store"{" " * 60}:true', '"store":false', '"store"']
    ),
    st.integers(0, 80),
    st.sampled_from(["", " " * 20_000, ":" * 20_000]),
)
def test_a_long_body_that_is_to_be_stored_is_recognised_as_a_short_one_is(
    body: dict[str, Any], indent: int | None, odd: str, at: int, end: str
) -> None:
    text = json.dumps(body, indent=indent)
    raw = (text[:at] + odd + text[at:] + end).encode()
    assert is_stored(raw) is (re.search(rb'"store"\s*:\s*true', raw) is not None)


@pytest.mark.parametrize(
    "prompt",
    [
        "few and long " * 4_000,
        "a: b, " * 8_000,
        '"model": "decoy", "stream": true ' * 2_000,
        "\n\u0001" * 9_000,
    ],
)
@pytest.mark.parametrize(
    "last", ['"model":"real"', '"\\u006dodel":"real"', '"model" : "real"', f'"model"{" " * 90}:"real"']
)
def test_a_long_prompt_hides_no_model(prompt: str, last: str) -> None:
    body = (
        f'{{"model":"first","messages":[{{"content":{json.dumps(prompt)}}}],"stream":true,{last}}}'.encode()
    )
    asked = inspect_body(body)
    assert (asked.model, asked.streams, asked.plain) == ("real", True, False)
    assert inspect_body(bytearray(body)) == asked  # type: ignore[arg-type]  # as the gateway holds it
    assert json.loads(replace_model(bytearray(body), "x")) == json.loads(replace_model(body, "x"))  # type: ignore[arg-type]
    assert json.loads(replace_model(body, "x"))["model"] == "x"


@given(BODIES, st.text())
def test_a_rewritten_body_differs_in_its_model_only(body: dict[str, Any], model: str) -> None:
    text = json.dumps(body).encode()
    rewritten = replace_model(text, model)
    if isinstance(body.get("model"), str):
        assert json.loads(rewritten) == body | {"model": model}
        if body["model"] == model:
            assert rewritten == text
    else:
        assert rewritten == text


def test_bytes_around_a_rewritten_model_stay_as_they_are() -> None:
    body = b'{ "messages":[{"content":"\\"model\\": \\u00e9"}],\n"model" :\t"mine/x" , "stream":true}'
    assert (
        replace_model(body, "x")
        == b'{ "messages":[{"content":"\\"model\\": \\u00e9"}],\n"model" :\t"x" , "stream":true}'
    )


def test_of_two_models_the_last_counts_and_both_are_rewritten() -> None:
    body = b'{"model":"first","tools":[{"model":"inner"}],"model":"second"}'
    assert requested_model(body) == "second"
    assert replace_model(body, "x") == b'{"model":"x","tools":[{"model":"inner"}],"model":"x"}'


@given(st.binary(max_size=200))
def test_no_bytes_make_the_scan_raise(body: bytes) -> None:
    requested_model(body)
    requested_model(b'{"model":"' + body)
    inspect_body(body)


def test_a_prompt_that_speaks_of_models_and_streams_is_not_taken_for_what_it_asks() -> None:
    prompt = '"model": "decoy", "stream": true, {"model": "decoy"}'
    body = json.dumps(
        {"model": "real", "tools": [{"model": "inner", "stream": 1}], "messages": [{"content": prompt}]}
    ).encode()
    assert inspect_body(body)[:3] == ("real", False, True)


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        (b'{"stream":true}', True),
        (b'{"stream" : true}', True),
        (b'{"stream":false}', False),
        (b'{"stream":1}', True),
        (b'{"stream": "true", "n": 1}', True),
        (b'{"stream":0}', False),
        (b'{"stream":10}', False),
        (b'{"stream":"false"}', False),
        (b'{"text":"\\"stream\\":true"}', False),
        (b"{}", False),
        (b'{"tools":[{"input":{"stream":true}}],"model":"m"}', False),
        (b'{"a":{"stream":true},"stream":true}', True),
        (b'{"a":[%b],"b":1}' % (b'{"stream":true},' * 9 + b"1"), False),
        (b'{"a":[%b],"stream":true}' % (b'{"stream":true},' * 9 + b"1"), True),
    ],
)
def test_a_stream_is_wanted_when_the_body_says_so(body: bytes, asks: bool) -> None:
    assert inspect_body(body).streams is asks


@pytest.mark.parametrize(
    ("coding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"", bytes)]
)
def test_a_decoded_body_is_the_same_however_it_is_cut(coding: bytes, pack: Any) -> None:
    text = b"all quiet " * 500
    packed = pack(text)
    decoder = Decoder(coding)
    assert b"".join(decoder.feed(packed[i : i + 7]) for i in range(0, len(packed), 7)) == text
    assert decoded(packed, coding) == text


def test_a_body_that_expands_without_end_gives_no_more_than_the_limit() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    decoder = Decoder(b"gzip")
    assert len(decoder.feed(bomb)) == BODY_LIMIT
    assert decoder.full
    assert decoder.feed(bomb) == b""


@pytest.mark.parametrize(
    ("coding", "body"), [(b"gzip", b"no gzip at all"), (b"br", b"\x8b\x02"), (b"x-unknown", b"abc")]
)
def test_a_body_that_cannot_be_decoded_gives_nothing(coding: bytes, body: bytes) -> None:
    assert decoded(body, coding) == b""


def test_a_reply_has_lower_case_headers_and_a_bounded_body() -> None:
    reply = reply_of(
        status=503,
        headers=[(b"X-Request-ID", b"r\xe9")],
        body=b"x" * 70_000,
        phase=Phase.HEADERS,
        host="h",
    )
    assert reply.headers == (("x-request-id", "ré"),)
    assert len(reply.body) == BODY_LIMIT


@pytest.mark.parametrize(
    ("name", "phase", "written"),
    [
        ("ConnectError", Phase.CONNECT, False),
        ("ConnectTimeout", Phase.CONNECT, False),
        ("WriteError", Phase.HEADERS, False),
        ("ReadTimeout", Phase.HEADERS, True),
    ],
)
def test_a_broken_connection_tells_how_far_it_came(name: str, phase: Phase, written: bool) -> None:
    error = type(name, (Exception,), {})("")
    error.__cause__ = OSError("[Errno 111] Connection refused")
    reply = reply_of_error(error, Phase.HEADERS, "h:1")
    assert (reply.status, reply.phase, reply.request_written, reply.host) == (None, phase, written, "h:1")
    assert reply.body == f"{name}: [Errno 111] Connection refused".encode()


def test_a_provider_cannot_speak_in_our_name() -> None:
    headers = answer_headers(
        [(b"Holdfast-Fault", b"forged"), (b"X-Should-Retry", b"true"), (b"x-request-id", b"1")],
        {"holdfast-pin": "mine/m"},
    )
    assert headers == [(b"x-request-id", b"1"), (b"holdfast-pin", b"mine/m")]


def test_a_label_cannot_break_out_of_its_header() -> None:
    assert answer_headers([], {"holdfast-key": "a\r\nx: y"}) == [(b"holdfast-key", b"a\\r\\nx: y")]


def test_a_failed_answer_leaves_without_what_would_mislead_its_reader() -> None:
    theirs = [
        (name, b"1")
        for name in (
            b"Location",
            b"Retry-After",
            b"Retry-After-Ms",
            b"Content-Encoding",
            b"Content-Length",
            b"Transfer-Encoding",
            b"X-Request-Id",
        )
    ]
    assert fault_headers(theirs, {"holdfast-fault": "transient"}) == [
        (b"X-Request-Id", b"1"),
        (b"holdfast-fault", b"transient"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        ("/v1/chat/completions", b'{"messages":[]}', b'{"messages":[],"model":"chosen"}'),
        ("/messages?beta=true", b" { } ", b'{"model":"chosen"}'),
        ("/v1/responses", b'{"model":null,"input":"x"}\n', b'{"model":null,"input":"x","model":"chosen"}'),
        (
            "/v1/responses",
            b'{"tools":[{"model":"inner"}]}',
            b'{"tools":[{"model":"inner"}],"model":"chosen"}',
        ),
        ("/v1/messages/batches", b'{"requests":[]}', b'{"requests":[]}'),
        ("/v1/chat/completions", b"no object", b"no object"),
        ("/v1/chat/completions", b"{cut", b"{cut"),
    ],
)
def test_a_call_that_names_no_model_leaves_with_the_chosen_one(path: str, body: bytes, sent: bytes) -> None:
    _, headers, left = build_request(
        connection(auth=Auth.NONE), None, path, filter_headers([(b"content-length", b"1")]), body=body
    )
    assert left == sent
    assert (b"content-length", str(len(sent)).encode()) in headers
