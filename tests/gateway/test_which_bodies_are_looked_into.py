"""Only the body of a request to a model is looked into, by one rule in the library and in the gateway: what
else is sent reaches the session's own provider byte for byte, whatever it contains."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.testing import ScriptedProvider, ok, status
from holdfast.wire.api_routes import body_rule, is_json
from holdfast.wire.route_table import TABLE, ModelRule

from .conftest import Running, StartGateway  # type: ignore[import-not-found]

TO_MODELS = [row for row in TABLE if row.model is not ModelRule.NONE]
JUDGED = [row.path for row in TO_MODELS if row.answer is not None]
SIDE = [row.path for row in TO_MODELS if row.answer is None]
FILES = ["/files", "/batches", "/messages/batches", "/uploads/u/parts"]
UNKNOWN = ["/x/y"]
OTHER_LABELS = [
    "multipart/form-data; boundary=b",
    "application/octet-stream",
    "application/jsonl",
    "application/x-ndjson",
    "text/plain",
    "image/png",
    "application/jsonx",
]
NAMES = ["mine/scripted-1", "other/big", "big", "scripted-1", "nobody-has-it", ""]
MODEL_LIKE = st.sampled_from(NAMES).map(
    lambda name: json.dumps({"model": name, "file_id": "file-1", "stream": True, "messages": []}).encode()
)
PIECES = [
    *(f'"model": "{name}"'.encode() for name in NAMES),
    b'{"model"',
    b'"mode\\u006c":"big"',
    b'"stream":true',
    b"{",
    b"}",
    b"\r\n--b\r\n",
    b"\n",
    b"\x00\xff",
    b"\x1f\x8b",
]
BODIES = st.one_of(
    MODEL_LIKE,
    st.lists(MODEL_LIKE, min_size=1, max_size=3).map(b"\n".join),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(b"".join),
    st.binary(min_size=1, max_size=40),
)
GOOD = status(200, b"\x00bytes of a file", {"content-type": "application/octet-stream"})
KEY_OF_MINE = "sk-aaaa-0123456789abcdef"


@pytest.fixture(scope="module")
def other() -> Any:
    with ScriptedProvider() as server:
        yield server


@pytest.fixture
def plane(gateway: StartGateway, provider: ScriptedProvider, other: ScriptedProvider) -> Running:
    def entry(name: str, server: ScriptedProvider, key: str, model: str) -> str:
        urls = f'openai-chat = "{server.url}", openai-responses = "{server.url}"'
        return (
            f'[provider.{name}]\nmodels = ["{model}"]\nkeys = ["env:{key}"]\n'
            f'endpoints = {{ {urls}, anthropic-messages = "{server.root}" }}\n'
        )

    plane = gateway(
        config=entry("mine", provider, "KEY_A", "scripted-1") + entry("other", other, "KEY_B", "big")
    )
    plane.holdfast.session("work", "mine/scripted-1")
    other.requests.clear()
    return plane


def through_the_library(plane: Running, path: str, body: bytes, label: str) -> httpx2.Response:
    transport = plane.holdfast.session("work").transport()
    with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
        return client.post(path, content=body, headers={"content-type": label} if label else {})


def through_the_gateway(plane: Running, path: str, body: bytes, label: str) -> tuple[int, Any, bytes]:
    return plane.post(path.removeprefix("/"), body, holdfast_session="work", content_type=label)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    path=st.sampled_from([*FILES, *UNKNOWN, *SIDE, *JUDGED]), label=st.sampled_from(OTHER_LABELS), body=BODIES
)
def test_what_is_no_json_passes_byte_for_byte_on_the_sessions_connection(
    path: str, label: str, body: bytes, plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    provider.follow(GOOD)
    provider.requests.clear()
    answer = through_the_library(plane, path, body, label)
    assert (answer.status_code, answer.content) == (200, b"\x00bytes of a file")
    sends = 1
    if path not in UNKNOWN:
        code, _, theirs = through_the_gateway(plane, path, body, label)
        assert (code, theirs) == (200, b"\x00bytes of a file")
        sends = 2
    assert [(seen.body, seen.key) for seen in provider.requests] == [(body, KEY_OF_MINE)] * sends
    assert not other.requests


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(path=st.sampled_from([*FILES, *UNKNOWN]), body=BODIES)
def test_json_that_is_no_request_to_a_model_passes_byte_for_byte_too(
    path: str, body: bytes, plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    provider.follow(GOOD)
    provider.requests.clear()
    assert through_the_library(plane, path, body, "application/json").status_code == 200
    assert [(seen.body, seen.key) for seen in provider.requests] == [(body, KEY_OF_MINE)]
    assert not other.requests


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(path=st.sampled_from(JUDGED), label=st.sampled_from(["application/json", ""]), body=BODIES)
def test_a_request_to_a_model_is_answered_alike_by_both_faces(
    path: str, label: str, body: bytes, plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    provider.follow(ok())
    other.follow(ok())
    seen: list[Any] = []
    for ask in (through_the_library, through_the_gateway):
        provider.requests.clear()
        other.requests.clear()
        answer: Any = ask(plane, path, body, label)
        code = answer[0] if isinstance(answer, tuple) else answer.status_code
        seen.append((code, [each.body for each in provider.requests], [each.body for each in other.requests]))
    assert seen[0] == seen[1]


def test_a_file_that_names_a_model_is_uploaded_as_it_is(
    plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    made = {
        "id": "file-1",
        "object": "file",
        "bytes": 3,
        "created_at": 1,
        "filename": "a",
        "purpose": "batch",
    }
    provider.follow(status(200, {**made, "status": "processed"}))
    for text in (
        '{"model":"big"}\n',
        '{"model":"gpt-4o"}',
        '{"model":"mine/scripted-1"}',
        'a "model":"big" b',
    ):
        provider.requests.clear()
        with openai.OpenAI(**plane.holdfast.session("work").for_openai()) as client:
            client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
        (seen,) = provider.requests
        assert text.encode() in seen.body
        assert seen.key == KEY_OF_MINE
    assert not other.requests


@pytest.mark.parametrize("path", [*SIDE, "/embeddings"])
def test_a_model_that_no_provider_lists_is_asked_for_at_the_sessions_provider_beside_the_talk(
    path: str, plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    provider.follow(ok() if path == "/embeddings" else GOOD)
    for name, sent in (("pictures-1", "pictures-1"), ("mine/pictures-1", "pictures-1"), ("a/b:c", "a/b:c")):
        body = json.dumps({"model": name, "input": "x"}).encode()
        assert through_the_library(plane, path, body, "application/json").status_code == 200
        if path not in UNKNOWN:
            assert through_the_gateway(plane, path, body, "application/json")[0] == 200
        assert {(seen.model, seen.key) for seen in provider.requests} == {(sent, KEY_OF_MINE)}
        provider.requests.clear()
    assert not other.requests
    body = json.dumps({"model": "big", "input": "x"}).encode()
    assert through_the_library(plane, path, body, "application/json").status_code == 200
    assert [seen.model for seen in other.requests] == ["big"], "exactly one provider lists it"


def test_the_model_of_a_form_is_found_as_that_of_json(
    plane: Running, provider: ScriptedProvider, other: ScriptedProvider
) -> None:
    def written(model: str, size: int) -> bytes:
        part = f'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n--b\r\n'
        file = 'content-disposition: form-data; name="file"; filename="a"\r\n\r\n' + "x" * size
        return f"{part}{file}\r\n--b--\r\n".encode()

    provider.follow(GOOD)
    other.follow(GOOD)
    label = "multipart/form-data; boundary=b"
    for path in ("/audio/transcriptions", "/images/edits"):
        for named, sent, server in (
            ("mine/hears-1", "hears-1", provider),
            ("hears-1", "hears-1", provider),
            ("other/hears-1", "hears-1", other),
            ("big", "big", other),
        ):
            for size in (10, 100_000):
                server.requests.clear()
                assert through_the_library(plane, path, written(named, size), label).status_code == 200
                assert through_the_gateway(plane, path, written(named, size), label)[0] == 200
                assert [seen.body for seen in server.requests] == [written(sent, size)] * 2


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/messages"])
def test_a_model_that_no_provider_lists_is_refused_where_models_talk(
    path: str, plane: Running, provider: ScriptedProvider
) -> None:
    body = json.dumps({"model": "nobody-has-it", "messages": []}).encode()
    assert through_the_library(plane, path, body, "application/json").status_code == 404
    assert through_the_gateway(plane, path, body, "application/json")[0] == 404
    assert not provider.requests


UNCERTAIN = [
    *OTHER_LABELS,
    "application/json; charset=utf-16",
    "application/json; form",
    "application/form+json",
]
UNCERTAIN += ["application/x-www-form-urlencoded", "application/json, text/plain"]


@pytest.mark.parametrize("label", UNCERTAIN)
def test_under_a_strict_pin_no_body_leaves_that_may_be_read_as_something_else_than_json(
    label: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict="mine/scripted-1")
    body = b'{"model":"mine/scripted-1","user":"&model=big&"}'
    for path in [*JUDGED, *SIDE]:
        code, _, answer = through_the_gateway(plane, path, body, label)
        error = json.loads(answer)["error"]
        assert (code, error["holdfast"]["class"]) == (415, "uncertain_body")
        assert "content-type: application/json" in error["holdfast"]["next_step"]
    assert not provider.requests


@pytest.mark.parametrize("label", ["", "application/json", 'Application/JSON ; charset="UTF-8"'])
def test_under_a_strict_pin_json_leaves_however_its_label_is_written(
    label: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict="mine/scripted-1")
    plane.holdfast.session("work", "mine/scripted-1")
    assert through_the_gateway(plane, "/chat/completions", b'{"messages":[]}', label)[0] == 200


def test_under_a_strict_pin_a_side_model_is_another_model(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict="mine/scripted-1")
    plane.holdfast.session("work", "mine/scripted-1")
    body = b'{"model":"embed-1","input":"x"}'
    code, _, answer = through_the_gateway(plane, "/embeddings", body, "application/json")
    assert (code, json.loads(answer)["error"]["code"]) == (409, "pin_mismatch")
    assert not provider.requests


def test_a_refusal_of_what_was_not_looked_into_comes_alike_from_both_faces(
    plane: Running, provider: ScriptedProvider
) -> None:
    theirs = {"error": {"message": "no form here", "type": "invalid_request_error"}}
    provider.follow(status(415, theirs))
    library = through_the_library(plane, "/chat/completions", b"--b--", OTHER_LABELS[0])
    code, headers, body = through_the_gateway(plane, "/chat/completions", b"--b--", OTHER_LABELS[0])
    assert (library.status_code, library.json()) == (code, json.loads(body)) == (415, theirs)
    for name in ("x-should-retry", "holdfast-fault", "content-type"):
        assert library.headers[name] == headers[name]


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (b"application/json", True),
        (b"application/json; charset=utf-8", True),
        (b"application/vnd.api+json", True),
        (b"text/json", True),
        (b"application/jsonl", False),
        (b"multipart/form-data; x=application/json", False),
        (b"", False),
    ],
)
def test_a_content_type_says_json_or_it_does_not(label: bytes, says: bool) -> None:
    assert is_json(label) is says


def test_only_a_post_is_a_request_to_a_model() -> None:
    assert body_rule("POST", "/v1/responses/?beta=true", b"").judged
    for method, path in (("GET", "/v1/responses"), ("POST", "/v1/responses/r/cancel"), ("PUT", "/messages")):
        rule = body_rule(method, path, b"application/json")
        assert (rule.judged, rule.named) == (False, False)
