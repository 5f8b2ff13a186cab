"""Security: a key goes only to the endpoint it was granted to, and its value is stored nowhere else.

Whatever a provider answers, a caller asks for, or the environment says: no other host sees the key or the
prompt, and neither logs, files, errors nor anything that can be printed holds the key."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from holdfast.fake_provider import Behaviour, ScriptedProvider, error_event, ok, reset, status, truncated
from holdfast.sdk.api import Holdfast, Session
from stories.faces import library_only
from stories.story import (
    QUESTION,
    TEXT,
    WAYS,
    House,
    Way,
    ask,
    attempts,
    bad_key,
    entry,
    openai_client,
    value_of,
)

HALF = [way for way in WAYS if way.streams == way.is_async]


@pytest.fixture
def plan(house: House) -> ScriptedProvider:
    """The provider that was granted the key."""
    house.own("a")
    return house.provider()


@pytest.fixture
def stranger(house: House) -> Iterator[ScriptedProvider]:
    """A server that must not hear from us."""
    stranger = house.provider()
    yield stranger
    assert stranger.requests == []


@pytest.fixture
def held(house: House, plan: ScriptedProvider) -> Iterator[Holdfast]:
    house.write(entry("plan", plan, "a"))
    with house.open() as held:
        yield held


@pytest.fixture
def session(held: Holdfast) -> Session:
    return held.session("work", "plan/m1")


# Only to its own origin
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", HALF, ids=str)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_carries_neither_key_nor_prompt_away(
    session: Session, plan: ScriptedProvider, stranger: ScriptedProvider, way: Way, code: int
) -> None:
    plan.follow(status(code, "", {"location": f"{stranger.url}/chat/completions"}))
    with pytest.raises(way.sdk.APIStatusError) as caught:
        way.say(session, max_retries=5)
    assert caught.value.response.headers["holdfast-fault"] == "endpoint_mismatch"
    assert "location" not in caught.value.response.headers
    assert len(plan.calls) == 1


@library_only
def test_a_redirect_is_not_followed_even_if_the_sdk_would(
    session: Session, plan: ScriptedProvider, stranger: ScriptedProvider
) -> None:
    plan.follow(status(307, "", {"location": f"{stranger.url}/chat/completions"}))
    options = session.for_openai()
    options["http_client"].follow_redirects = True
    with openai.OpenAI(**options) as client, pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="m1", messages=QUESTION)


@pytest.mark.parametrize("way", HALF, ids=str)
@library_only
def test_another_base_url_changes_nothing(
    session: Session, plan: ScriptedProvider, stranger: ScriptedProvider, way: Way
) -> None:
    elsewhere = stranger.url if way.sdk is openai else stranger.url.removesuffix("/v1")
    assert way.say(session, base_url=elsewhere, api_key="sk-callers-own") == TEXT
    assert [seen.headers["host"] for seen in plan.calls] == [f"127.0.0.1:{plan.port}"]


@pytest.mark.parametrize("way", HALF, ids=str)
@library_only
def test_headers_of_the_caller_change_neither_host_nor_key(
    session: Session, plan: ScriptedProvider, stranger: ScriptedProvider, way: Way
) -> None:
    headers = {
        "Host": f"127.0.0.1:{stranger.port}",
        "Authorization": "Bearer sk-callers-own",
        "X-Api-Key": "sk-callers-own",
        "api-key": "sk-callers-own",
        "Cookie": "session=callers",
        "Proxy-Authorization": "Basic Y2FsbGVycw==",
        "holdfast-pin": "other/m2",
    }
    assert way.say(session, default_headers=headers) == TEXT
    (seen,) = plan.calls
    assert seen.key == value_of("a")
    assert seen.headers["host"] == f"127.0.0.1:{plan.port}"
    assert "callers" not in str(dict(seen.headers))
    assert not [name for name in seen.headers if name.startswith("holdfast")]


STRAY = """
    x-goog-api-key openai-api-key anthropic-api-key private-token x-auth-token x-api-token
    x-amz-security-token x-vault-token x-secret x-password helicone-auth cf-aig-authorization
    x-portkey-api-key x-litellm-api-key x-jwt-assertion x-portkey-custom-host x-portkey-config
    helicone-target-url x-litellm-api-base cf-aig-custom-base-url x-forwarded-host x-forwarded-for
    forwarded via x-real-ip x-original-url x-rewrite-url x-http-method-override x-host x-bf-vk x-custom
    baggage openai-organization openai-project holdfast-pin
    """.split()
USEFUL = """
    anthropic-beta openai-beta x-title http-referer traceparent tracestate x-client-request-id
    idempotency-key x-app originator x-claude-code-session-id session_id x-codex-turn-state
    x-session-affinity copilot-integration-id
    """.split()


@pytest.mark.parametrize("way", HALF, ids=str)
def test_of_a_callers_headers_only_those_that_are_listed_reach_a_provider(
    session: Session, plan: ScriptedProvider, way: Way
) -> None:
    headers = {name: f"stray-{name}" for name in STRAY} | {name: f"useful-{name}" for name in USEFUL}
    assert way.say(session, default_headers=headers) == TEXT
    (seen,) = plan.calls
    assert "stray" not in str(dict(seen.headers))
    assert {name: value for name, value in seen.headers.items() if value.startswith("useful")} == {
        name: headers[name] for name in USEFUL
    }


@pytest.mark.parametrize("way", HALF, ids=str)
def test_what_the_sdk_presents_as_its_key_is_in_no_header_and_no_query_that_leaves(
    session: Session, plan: ScriptedProvider, way: Way
) -> None:
    shown = getattr(session, "for_anthropic" if way.sdk is anthropic else "for_openai")()["api_key"]
    headers = {"x-title": f"of {shown}", "x-client-request-id": shown, "user-agent": "kept"}
    query = {"api_key": shown, "trace": f"t-{shown}", "key": "sk-callers-own", "beta": "true"}
    assert way.say(session, default_headers=headers, default_query=query) == TEXT
    (seen,) = plan.calls
    assert shown not in f"{dict(seen.headers)} {seen.path}"
    assert seen.path.partition("?")[2] == "beta=true"
    assert seen.headers["user-agent"] == "kept"


@pytest.mark.parametrize("way", HALF, ids=str)
def test_a_header_passes_both_ways_where_the_providers_entry_names_it(
    house: House, plan: ScriptedProvider, way: Way
) -> None:
    other = house.provider()
    for server in (plan, other):
        server.follow(
            lambda seen: ok(
                headers=(("x-vendor-cost", "1"), ("x-sendfile", "/etc/hostname"), ("set-cookie", "a=b"))
            )
        )
    house.write(
        entry("plan", plan, "a", more='forward_headers = ["X-Team", "x-vendor-cost"]'),
        entry("other", other, "a"),
    )
    came: list[set[str]] = []
    with house.open() as held:
        for pin in ("plan/m1", "other/m1"):
            session = held.session(pin.partition("/")[0], pin)
            way.with_client(
                session,
                lambda client: _headers(client, way, came),
                default_headers={"x-team": "t", "x-user-id": "u"},
            )
    assert [names & {"x-vendor-cost", "x-sendfile", "set-cookie"} for names in came] == [
        {"x-vendor-cost"},
        set(),
    ]
    assert [
        ("x-team" in seen.headers, "x-user-id" in seen.headers) for seen in (*plan.calls, *other.calls)
    ] == [(True, False), (False, False)]


@pytest.mark.parametrize("way", HALF, ids=str)
def test_what_a_refusal_says_of_limits_comes_back_beside_our_error(
    session: Session, plan: ScriptedProvider, way: Way
) -> None:
    theirs = {"x-request-id": "r1", "x-ratelimit-reset-tokens": "6ms", "set-cookie": "a=b", "x-vendor": "v"}
    plan.follow(status(402, {"error": {"message": "no credit", "code": "insufficient_quota"}}, theirs))
    with pytest.raises(way.sdk.APIStatusError) as caught:
        way.say(session)
    headers = caught.value.response.headers
    assert (headers["x-request-id"], headers["x-ratelimit-reset-tokens"]) == ("r1", "6ms")
    assert headers.get_list("content-type") == ["application/json"]
    assert not {"set-cookie", "x-vendor"} & headers.keys()


async def _headers(client: Any, way: Way, came: list[set[str]]) -> str:
    """One turn whose answer's headers are looked at."""
    resource = client.messages if way.sdk is anthropic else client.chat.completions
    raw = resource.with_raw_response.create(model="m1", messages=QUESTION, max_tokens=9)
    answer = await raw if way.is_async else raw
    came.append({name.lower() for name in answer.headers})
    return TEXT


@pytest.mark.parametrize(
    "path",
    [
        "/@{}/chat/completions",
        "//{}/v1/chat/completions",
        "http://{}/v1/chat/completions",
        "/..//..//@{}/",
        "/chat/completions?to=http://{}/",
    ],
)
@library_only
def test_no_path_leads_to_another_host(
    session: Session, plan: ScriptedProvider, stranger: ScriptedProvider, path: str
) -> None:
    """The SDKs accept whole URLs where they expect a path."""
    where, body = path.format(f"127.0.0.1:{stranger.port}"), {"model": "m1", "messages": QUESTION}
    refused = ""
    with openai_client(session) as client:
        try:
            client.post(where, cast_to=object, body=body)
        except openai.BadRequestError as error:
            refused = str(error)
    hosts = [seen.headers["host"] for seen in plan.requests]
    if refused:
        assert (hosts, "nothing was sent" in refused) == ([], True)
    else:
        assert hosts == [f"127.0.0.1:{plan.port}"]
    assert not stranger.requests


@pytest.mark.parametrize("way", HALF, ids=str)
@library_only
def test_the_environment_lends_no_key_url_or_proxy(
    house: House, session: Session, stranger: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """NousResearch/hermes-agent#28660: the key of one vendor, found in the environment, went to another
    host."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, "sk-ambient")
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, stranger.url)
    assert way.say(session) == TEXT


def test_a_cookie_of_one_provider_does_not_follow_the_session_to_another(
    house: House, plan: ScriptedProvider
) -> None:
    house.own("b")
    plan.follow(ok(headers=(("set-cookie", "route=one; Path=/"),)))
    other = house.provider()
    house.write(entry("plan", plan, "a"), entry("other", other, "b"))
    with house.open() as held:
        session = held.session("work", "plan/m1")
        with openai_client(session) as client:
            for pin in ("plan/m1", "plan/m1", "other/m1"):
                session.switch(pin)
                client.chat.completions.create(model="m1", messages=QUESTION)
    assert not [seen for seen in (*plan.calls, *other.calls) if "cookie" in seen.headers]


def test_a_model_that_names_another_provider_brings_that_providers_key(
    house: House, plan: ScriptedProvider
) -> None:
    house.own("b")
    other = house.provider()
    house.write(entry("plan", plan, "a"), entry("other", other, "b", models=("m2",)))
    with house.open() as held:
        session = held.session("work", "plan/m1")
        for model in ("m1", "other/m2", "m2", "m1"):
            ask(session, model=model)
        assert str(session.pin) == "plan/m1"
    assert [(seen.key, seen.model) for seen in plan.calls] == [(value_of("a"), "m1")] * 2
    assert [(seen.key, seen.model) for seen in other.calls] == [(value_of("b"), "m2")] * 2


# Nowhere else
# ------------------------------------------------------------------------------------------------------------

CANARY = "Hunter2~canary~of~no~known~shape"
MISHAPS: dict[str, Behaviour] = {
    "good": ok(),
    "401": status(401, bad_key()),
    "401 that repeats the key": status(
        401, {"error": {"message": f"Incorrect API key provided: {CANARY}.", "code": "invalid_api_key"}}
    ),
    "400 that repeats the headers": status(
        400,
        {
            "error": {
                "message": f"authorization: Bearer {CANARY} is malformed",
                "type": "invalid_request_error",
            }
        },
    ),
    "404 as a page that repeats the key": status(404, f"<html>no route for {CANARY}</html>"),
    "500": status(500),
    "an error event that repeats the key": error_event(f"bad key {CANARY}"),
    "an error event after output": error_event(f"bad key {CANARY}", after=3),
    "a cut stream": truncated(),
    "a reset": reset(),
    "a reset after output": reset(after=3),
}


def printed(error: BaseException) -> str:
    """All that an error can print: itself, its causes, its traceback, and what the SDKs attach to it."""
    text = "".join(traceback.format_exception(error)) + repr(error)
    for message in (getattr(error, "response", None), getattr(error, "request", None)):
        text += f"{message!r} {list(message.headers.raw)}" if message is not None else ""
    return text + str(getattr(error, "body", ""))


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("way", [WAYS[0], WAYS[7], WAYS[9]], ids=str)
def test_a_canary_is_never_found_anywhere(
    house: House,
    held: Holdfast,
    session: Session,
    plan: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: Way,
    mishap: str,
) -> None:
    monkeypatch.setenv("KEY_A", CANARY)
    house.keys.add(CANARY)
    for name in (
        None,
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "openai",
        "anthropic",
        "asyncio",
        "holdfast",
    ):
        caplog.set_level(logging.DEBUG, logger=name)
    plan.follow(MISHAPS[mishap])
    shown = ""
    for _ in range(2):
        try:
            shown += way.say(session)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hold the key
            # What began as output passes as it comes, unread: only what we keep and say of it is ours.
            shown += printed(error) if "after output" not in mishap else ""
    assert plan.calls[0].key == CANARY
    engine: Any = held.engine
    secret = engine.vault.secret(held.config.providers[session.pin.provider].keys[0])
    for holder in (
        held,
        session,
        session.row,
        held.config,
        engine,
        engine.vault,
        engine.health,
        engine.store,
        secret,
        session.attempts(),
        session.for_openai(),
    ):
        shown += f"{holder!r} {holder}"
    shown += f"{vars(engine)}{vars(engine.health)}{attempts(session)}{session.why()}"
    assert CANARY not in shown
    assert CANARY not in caplog.text
    assert CANARY not in str([record.__dict__ for record in caplog.records])
    engine.journal_writer.flush()
    for path in house.path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path.name
