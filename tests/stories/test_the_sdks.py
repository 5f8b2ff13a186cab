"""What a user of the OpenAI and Anthropic SDKs sees, and what the provider sees, for each way a provider can
behave.

Every row runs over real sockets with the real SDKs: sync and async, streaming and not, chat completions,
responses and messages. The provider counts: whatever the SDK or the user thinks about retries, a turn costs
what the row says."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest

from holdfast.core.identity import Dialect
from holdfast.fake_provider import (
    Behaviour,
    ScriptedProvider,
    error_event,
    ok,
    reset,
    stall,
    status,
    truncated,
    wrong_door,
)
from holdfast.sdk.api import Session
from holdfast.store.journal_events import EventKind
from stories.faces import library_only
from stories.story import QUESTION, STREAMS, TEXT, WAYS, House, Way, bad_key, entry, kinds


@pytest.fixture
def provider(house: House) -> ScriptedProvider:
    """A provider in all three dialects, on which key a worked a moment ago."""
    house.own("a")
    provider = house.provider()
    house.write(entry("mimo", provider, "a"))
    return provider


@pytest.fixture
def session(house: House, provider: ScriptedProvider) -> Any:
    with house.open() as held:
        yield held.session("talk", "mimo/m1")


def after_a_good_turn(way: Way, session: Session, provider: ScriptedProvider, *script: Behaviour) -> None:
    """One good turn, so that the key is known to be good; then the provider follows the script."""
    assert way.say(session) == TEXT
    provider.requests.clear()
    provider.follow(script)


def kept(way: Way) -> int:
    """Return how many sends it may cost that a connection was kept since the turn before, and is reset before
    a byte of an answer is read: blocking clients share connections, and each event loop here has its own."""
    return 0 if way.is_async else 1


SLOW_DOWN = status(
    429,
    {"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}},
    {"retry-after": "0.1"},
)
SERVER_ERROR = status(
    500, {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
)
RECOVERED = {
    "good at once": (1, [ok()]),
    "one 401 on a key that worked": (2, [status(401, bad_key()), ok()]),
    "two 401 on a key that worked": (3, [status(401, bad_key()), status(401, bad_key()), ok()]),
    "429 with Retry-After": (2, [SLOW_DOWN, ok()]),
    "one 500": (2, [SERVER_ERROR, ok()]),
    "a reset before any answer": (2, [reset(), ok()]),
    "200 with an empty object": (2, [status(200, {}), ok()]),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("case", RECOVERED)
def test_the_user_sees_only_the_good_answer(
    session: Session, provider: ScriptedProvider, way: Way, case: str
) -> None:
    sends, script = RECOVERED[case]
    after_a_good_turn(way, session, provider, *script)
    assert way.say(session) == TEXT
    assert len(provider.calls) == sends


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_an_error_as_the_first_event_of_a_stream_is_recovered_from(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    after_a_good_turn(way, session, provider, error_event(), ok())
    assert way.say(session) == TEXT
    assert len(provider.calls) == 2


BROKEN = {httpx.TransportError, sys.modules.get("httpx2", httpx).TransportError}


def failing(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error as providers word it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class Refusal(NamedTuple):
    """A turn that cannot succeed: the script, the SDK's error class, its status, and how often the provider
    is asked."""

    script: Behaviour
    error: str
    code: int
    sends: int


REFUSALS = {
    "a bad key": Refusal(status(401, bad_key()), "AuthenticationError", 401, 4),
    "no permission": Refusal(
        status(403, failing("You do not have access to this model", "permission_error")),
        "PermissionDeniedError",
        403,
        1,
    ),
    "a wrong parameter": Refusal(
        status(400, failing("Invalid value for 'temperature'")), "BadRequestError", 400, 1
    ),
    "an unknown path": Refusal(wrong_door(), "BadRequestError", 400, 1),
    "a weekly limit": Refusal(
        status(429, failing("Weekly limit reached", "rate_limit_error"), {"retry-after": "504641"}),
        "RateLimitError",
        429,
        1,
    ),
    "a throttle without an end": Refusal(SLOW_DOWN, "RateLimitError", 429, 3),
    "a broken server": Refusal(SERVER_ERROR, "InternalServerError", 502, 3),
}


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_the_sdks_own_error_and_no_sdk_repeats_it(
    session: Session, provider: ScriptedProvider, way: Way, case: str
) -> None:
    expected = REFUSALS[case]
    after_a_good_turn(way, session, provider, expected.script)
    before = time.monotonic()
    with pytest.raises(getattr(way.sdk, expected.error)) as caught:
        way.say(session, max_retries=5)
    assert caught.value.status_code == expected.code
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(provider.calls) == expected.sends
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_a_stream_that_ends_early_is_an_error_and_never_a_finished_answer(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    after_a_good_turn(way, session, provider, truncated(after=6))
    with pytest.raises(way.sdk.APIError, match="without its terminal event"):
        way.say(session, max_retries=5)
    assert len(provider.calls) == 1, "output had begun: nothing may be sent twice"
    assert EventKind.TRUNCATED in kinds(session)


@pytest.mark.parametrize("way", STREAMS, ids=str)
@library_only
def test_a_stream_that_breaks_off_says_so_and_is_not_sent_again(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    after_a_good_turn(way, session, provider, reset(after=6))
    # Some SDKs hand out the transport's exception as it is, some wrap it in theirs.
    with pytest.raises((way.sdk.APIConnectionError, *BROKEN)) as caught:
        way.say(session, max_retries=5)
    assert "it may have been billed, repeat the turn" in f"{caught.value} {caught.value.__cause__}"
    assert len(provider.calls) <= 1 + kept(way)
    assert EventKind.TRUNCATED in kinds(session)


@pytest.mark.parametrize("way", [way for way in WAYS if not way.streams], ids=str)
@library_only
def test_a_connection_that_keeps_breaking_ends_as_the_sdks_connection_error(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    after_a_good_turn(way, session, provider, reset())
    with pytest.raises(way.sdk.APIConnectionError) as caught:
        way.say(session)
    # The provider may have done the work already: once more, not oftener.
    assert 2 <= len(provider.calls) <= 2 + kept(way)
    assert "It may have been processed, and billed." in str(caught.value.__cause__)


@pytest.mark.parametrize("way", [WAYS[0], WAYS[-2]], ids=str)
@library_only
def test_a_user_who_insists_on_the_sdks_retries_gets_no_further_sends(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    """An exception carries no `x-should-retry`, so an SDK that is configured to repeat does; its repetitions
    get the same exception at once."""
    after_a_good_turn(way, session, provider, reset())
    with pytest.raises(way.sdk.APIConnectionError) as caught:
        way.say(session, max_retries=2)
    assert {seen.retry_count for seen in provider.calls} == {0}
    assert 2 <= len(provider.calls) <= 2 + kept(way)
    assert "It may have been processed, and billed." in str(caught.value.__cause__)
    assert "max_retries=0" in str(caught.value.__cause__)
    provider.follow(ok())
    assert way.say(session) == TEXT, "a new call of the user's is sent"


@pytest.mark.parametrize("way", [way for way in WAYS if not way.streams], ids=str)
@library_only
def test_a_provider_that_says_nothing_ends_as_the_sdks_timeout(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    after_a_good_turn(way, session, provider, stall())
    with pytest.raises(way.sdk.APITimeoutError):
        way.say(session, timeout=0.3)
    assert len(provider.calls) <= 2


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
def test_an_answer_from_memory_is_the_usual_error_with_our_words(
    session: Session, provider: ScriptedProvider, way: Way
) -> None:
    """The key was never good: the provider is asked once, and the next turns get what it said then and what
    to do now."""
    provider.follow(status(401, bad_key()))
    for _ in range(3):
        with pytest.raises(way.sdk.AuthenticationError) as caught:
            way.say(session, max_retries=5)
    assert len(provider.calls) == 1
    message = str(caught.value)
    assert "It has never worked there" in message
    assert "nothing was sent" in message
    assert "holdfast key reset mimo a" in message
    assert "Incorrect API key provided" in message
    assert caught.value.response.headers["holdfast-fault"] == "auth_rejected"


# What leaves for the provider is what the SDK wrote
# ----------------------------------------------------------------------

SEARCH = {
    "type": "object",
    "properties": {"q": {"type": "string", "description": 'say "model": "m2" · ünïcode \\u2028'}},
    "required": ["q"],
}
CALLED = {
    "role": "assistant",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"model": "m9"}'}}
    ],
}
BODIES: dict[str, tuple[Any, str, Callable[[Any], object]]] = {
    "chat": (
        openai,
        "for_openai",
        lambda client: client.chat.completions.create(
            model="m1",
            messages=[*QUESTION, CALLED],
            tools=[{"type": "function", "function": {"name": "search", "parameters": SEARCH}}],
            extra_body={"x_vendor": {"model": "m3", "thinking": True}},
        ),
    ),
    "responses": (
        openai,
        "for_openai",
        lambda client: client.responses.create(
            model="m1",
            input="Where?",
            tools=[{"type": "function", "name": "search", "parameters": SEARCH, "strict": False}],
        ),
    ),
    "messages": (
        anthropic,
        "for_anthropic",
        lambda client: client.messages.create(
            model="m1", max_tokens=9, messages=QUESTION, tools=[{"name": "search", "input_schema": SEARCH}]
        ),
    ),
}


@pytest.mark.parametrize("name", BODIES)
@library_only
def test_a_request_with_tools_passes_byte_for_byte(
    house: House, session: Session, provider: ScriptedProvider, name: str
) -> None:
    sdk, options, talk = BODIES[name]
    make = sdk.OpenAI if sdk is openai else sdk.Anthropic
    with make(**getattr(session, options)()) as client:
        talk(client)
    bare = house.provider()
    house.keys.add("bare-sdk-key")
    with make(
        api_key="bare-sdk-key",
        base_url=bare.url if sdk is openai else bare.url.removesuffix("/v1"),
        max_retries=0,
    ) as client:
        talk(client)
    ours, theirs = provider.calls[0], bare.calls[0]
    assert ours.body == theirs.body
    assert ours.path == theirs.path
    ours_only = set(ours.headers.items()) - set(theirs.headers.items())
    assert {header for header, _ in ours_only} <= {"host", "authorization", "accept-encoding", "connection"}


def test_an_answer_passes_byte_for_byte(session: Session, provider: ScriptedProvider) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ü"}}
    odd = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m1",
        "choices": [choice],
        "x": [1.0, None],
    }
    body = json.dumps(odd, indent=3, ensure_ascii=False).encode()
    provider.follow(
        status(200, body, {"content-type": "application/json", "x-request-id": "kept", "x-vendor": "dropped"})
    )
    with openai.OpenAI(**session.for_openai()) as client:
        raw = client.chat.completions.with_raw_response.create(model="m1", messages=QUESTION)
    assert raw.content == body
    assert raw.headers["x-request-id"] == "kept"
    assert "x-vendor" not in raw.headers
    assert raw.headers["holdfast-pin"] == "mimo/m1"
    assert raw.headers["holdfast-attempts"] == "1"


def test_a_model_that_was_not_chosen_answers_and_the_journal_says_so(
    session: Session, provider: ScriptedProvider
) -> None:
    provider.follow([ok(model="m1-2026-01-01"), ok(model="some-other-model")])
    for model in (None, "some-other-model"):
        with openai.OpenAI(**session.for_openai()) as client:
            raw = client.chat.completions.with_raw_response.create(model="m1", messages=QUESTION)
        assert raw.headers.get("holdfast-answered-model") == model
    assert kinds(session).count(EventKind.MODEL_DIFFERS) == 1
    assert "another model answered than the one chosen: some-other-model for m1" in session.why()


def test_the_chosen_dialect_is_the_one_that_the_sdk_speaks(
    session: Session, provider: ScriptedProvider
) -> None:
    for way in WAYS:
        way.say(session)
    assert {(seen.path, seen.dialect) for seen in provider.calls} == {
        ("/v1/chat/completions", Dialect.OPENAI_CHAT),
        ("/v1/responses", Dialect.OPENAI_RESPONSES),
        ("/v1/messages", Dialect.ANTHROPIC_MESSAGES),
    }
