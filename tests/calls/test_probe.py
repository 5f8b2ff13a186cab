"""The two questions of our own: the list of models, and one cheap real call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.calls import api_calls
from holdfast.calls.api_calls import Checked, call_control_plane, check_call, list_models
from holdfast.core.faults import Phase, Reply
from holdfast.core.identity import Auth, Connection, Dialect
from holdfast.fake_provider import Behaviour, ScriptedProvider, empty, ok, status, wrong_door
from holdfast.providers.profiles import load
from holdfast.values.secret import Secret
from sdk.fakes import connect

SECRET = Secret("sk-aaaaaaaaaaaaaaaa")
PROFILE = load(None)


def names_of(listed: Any) -> tuple[str, ...]:
    return tuple(listed)


class Listing(ScriptedProvider):
    """Answers every request, also for models, as the script says."""

    def __init__(self, *pages: Any) -> None:
        super().__init__(
            [page if isinstance(page, Behaviour) else status(200, page) for page in pages], models=None
        )


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_models_of_an_endpoint_are_listed_in_its_order(dialect: Dialect) -> None:
    with ScriptedProvider(models=["b", "a", "b"]) as provider:
        assert [*names_of(list_models(connect(provider, dialect), SECRET))] == ["b", "a"]
    [seen] = provider.requests
    assert seen.path.partition("?")[0] == "/v1/models"
    assert seen.key == "sk-aaaaaaaaaaaaaaaa"
    assert ("anthropic-version" in seen.headers) is (dialect is Dialect.ANTHROPIC_MESSAGES)


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, ("a", "b")),
        ([{"id": "a", "name": "A"}], ("a",)),
        ({"models": [{"name": "a", "model": "a"}]}, ("a",)),
        ({"data": ["a", 7, None, {}, {"id": "\x1b[2J"}]}, ("a",)),
        ({"data": [{"model_name": "a", "id": "7f3c"}]}, ("a",)),
        ({"data": [{"id": "a", "max_model_len": 0}]}, ("a",)),
        ({"data": []}, ()),
    ],
)
def test_every_known_shape_of_a_list_is_read(document: Any, names: tuple[str, ...]) -> None:
    with Listing(document) as provider:
        assert names_of(list_models(connect(provider), SECRET)) == names


@pytest.mark.parametrize(
    "answer",
    [
        empty(),
        wrong_door(),
        status(401),
        status(200, "<html>"),
        status(200, '{"data": [{}]}'),
        status(307, "", {"Location": "http://127.0.0.1:9/"}),
    ],
)
def test_what_is_no_list_comes_back_as_a_reply(answer: Any) -> None:
    with Listing(answer) as provider:
        reply = list_models(connect(provider), SECRET)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (answer.status, answer.body)
    assert len(provider.requests) == 1


def test_what_a_list_says_of_its_models_comes_with_it() -> None:
    with Listing({"data": [{"id": "a", "max_model_len": 9}, {"id": "b"}]}) as provider:
        assert list_models(connect(provider), SECRET) == {"a": {"context": 9}, "b": {}}


def test_pages_are_followed_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_calls, "_MOST_PAGES", 3)
    with Listing({"data": [{"id": "a"}], "has_more": True, "last_id": "a&b"}) as provider:
        assert list_models(connect(provider, Dialect.ANTHROPIC_MESSAGES), SECRET) == {"a": {}}
    assert [seen.path for seen in provider.requests] == [
        "/v1/models?limit=1000",
        *["/v1/models?limit=1000&after_id=a%26b"] * 2,
    ]


def test_an_unreachable_endpoint_comes_back_as_a_reply() -> None:
    with ScriptedProvider() as provider:
        connection = connect(provider)
    reply = list_models(connection, SECRET)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.phase) == (None, Phase.CONNECT)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("auth", [Auth.BEARER, Auth.X_API_KEY])
def test_a_check_is_one_real_call_of_the_connections_model(dialect: Dialect, auth: Auth) -> None:
    with ScriptedProvider(ok(model="m-2026")) as provider:
        checked = check_call(connect(provider, dialect, auth=auth), SECRET)
    assert isinstance(checked, Checked)
    assert checked.model == "m-2026"
    assert 0 < checked.seconds < 5
    [seen] = provider.requests
    assert (seen.model, seen.dialect, seen.key) == ("m", dialect, "sk-aaaaaaaaaaaaaaaa")
    assert len(seen.body) < 200


def test_a_model_that_wants_another_name_for_its_limit_gets_it() -> None:
    refusal = {
        "error": {
            "message": "Unsupported parameter: use 'max_completion_tokens' instead",
            "code": "unsupported_parameter",
        }
    }
    with ScriptedProvider([status(400, refusal), ok()]) as provider:
        assert isinstance(check_call(connect(provider), SECRET), Checked)
    assert json.loads(provider.requests[1].body).keys() == {"model", "messages", "max_completion_tokens"}


@pytest.mark.parametrize(
    "answer", [empty(), wrong_door(), status(401), status(200, {"error": {"message": "no model is loaded"}})]
)
def test_a_check_that_fails_gives_the_providers_reply(answer: Any) -> None:
    with ScriptedProvider(answer) as provider:
        reply = check_call(connect(provider), SECRET)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (answer.status, answer.body)


@pytest.mark.parametrize(
    "question",
    [
        list_models,
        check_call,
        lambda connection, key: call_control_plane(connection, key, "POST", "/key/generate", body={}),
    ],
    ids=["list", "check", "ask"],
)
def test_a_service_that_repeats_a_key_of_no_known_shape_is_not_repeated(question: Any) -> None:
    key = Secret("a plain word/and another")
    refusal = status(
        401,
        {"error": {"message": "no such key: a plain word/and another"}},
        headers={"x-key": "a plain word/and another"},
    )
    with ScriptedProvider(refusal, models=None) as provider:
        reply = question(connect(provider), key)
    assert reply.status == 401
    assert "plain word" not in f"{reply}"


def test_a_client_that_was_given_is_left_open() -> None:
    import httpx2

    with ScriptedProvider() as provider, httpx2.Client() as client:
        connection: Connection = connect(provider)
        list_models(connection, SECRET, client)
        assert isinstance(check_call(connection, SECRET, client), Checked)
