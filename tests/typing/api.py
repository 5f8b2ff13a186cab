"""How users write against the public names. Never run; `make types` checks it with mypy and with pyright."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type

import anthropic
import httpx2
import openai

import holdfast
from holdfast.core.identity import Connection, Endpoint, Key
from holdfast.testing import ScriptedProvider, ok, status
from holdfast.values.secret import Secret


def a_session_is_created_or_resumed_and_handed_to_an_sdk() -> None:
    with holdfast.open() as hf:
        session = hf.session("issue-42", "mimo-plan/mimo-v2.5-pro")
        assert_type(session, holdfast.Session)
        client = openai.OpenAI(**session.for_openai())
        client.chat.completions.create(model=session.model, messages=[{"role": "user", "content": "hi"}])
        openai.OpenAI(**session.for_openai(), timeout=20.0)
        openai.AsyncOpenAI(**session.for_openai_async())
        anthropic.Anthropic(**session.for_anthropic())
        anthropic.AsyncAnthropic(**session.for_anthropic_async())
        hf.session("issue-42", deadline=30.0)
        session.switch("deepseek/deepseek-chat", key="b")
        assert_type(session.why(), str)
        assert_type(session.explain(), str)
        assert_type(session.pin, holdfast.Pin)
        assert_type(session.row, holdfast.Row)
        assert_type(session.row.active_fallback, holdfast.ActiveFallback | None)
        assert_type(hf.sessions(), list[holdfast.Row])
        assert_type(hf.config, holdfast.Config)
        assert_type(holdfast.__version__, str)


def connections_are_opened_as_the_program_says() -> None:
    holdfast.open(limits=httpx2.Limits(max_connections=50), proxy="http://proxy.example:3128")
    holdfast.open(proxy="", verify="authorities.pem")
    holdfast.open(verify=Path("authorities"))
    holdfast.open(verify=ssl.create_default_context())


def an_sdks_arguments_can_be_kept_and_passed_on(session: holdfast.Session) -> openai.OpenAI:
    options: holdfast.OpenAIOptions = session.for_openai()
    options["max_retries"] = 0
    assert_type(options["http_client"].is_closed, bool)
    return openai.OpenAI(**options)


def a_client_of_httpx_takes_the_transport(session: holdfast.Session, module: Any) -> None:
    httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1")
    httpx2.AsyncClient(transport=session.async_transport(), base_url="http://holdfast.invalid/v1")
    assert_type(session.transport(), httpx2.BaseTransport)
    assert_type(session.transport(module), Any)


def the_journal_is_read_by_the_types_of_its_events(session: holdfast.Session) -> list[float]:
    answered: list[float] = []
    for event in session.attempts(limit=20):
        assert_type(event, holdfast.Event[holdfast.Detail])
        if isinstance(event.detail, holdfast.Attempted):
            assert_type(event.detail.seconds, float | None)
            answered.append(event.at)
    return answered


def the_origin_of_a_connection_is_a_value(session: holdfast.Session) -> None:
    origin = session.origin()
    assert_type(origin, holdfast.Why)
    assert_type(origin.part("key"), holdfast.Field)
    assert_type(origin.part("key").by, holdfast.SetBy)
    assert_type(origin.attempts, tuple[holdfast.Event[holdfast.Attempted], ...])


def a_program_supplies_keys_of_its_own(home: str) -> None:
    def give() -> tuple[str, datetime]:
        return "a key", datetime.now(UTC)

    async def give_later() -> str:
        return "a key"

    keys: Mapping[str, holdfast.Supplier] = {"corp": give, "other": give_later}
    with holdfast.open(home, keys=keys) as hf:
        assert_type(hf, holdfast.Holdfast)


def a_provider_is_set_up_for_a_user(hf: holdfast.Holdfast) -> holdfast.Pin | None:
    try:
        ready = hf.ensure_ready("amazee", {"chat": ["*sonnet*", "gpt-*"]}, consent="ann", patience=2.0)
    except holdfast.NotReady as missing:
        assert_type(missing.retry_at, float | None)
        return None
    assert_type(ready, holdfast.Ready)
    return ready.pin("chat")


def a_choice_that_is_gone_is_a_typed_refusal() -> tuple[str, ...]:
    try:
        holdfast.open().session("issue-42")
    except holdfast.ConnectionLost as lost:
        return lost.candidates
    except holdfast.ConfigError as wrong:
        assert_type(wrong.problems, tuple[holdfast.Problem, ...])
        return tuple(problem.location for problem in wrong.problems)
    return ()


def a_pin_is_one_string(text: str) -> None:
    pin = holdfast.Pin.parse(text)
    assert_type(str(pin), str)
    assert_type(pin.model, str)


def a_connection_derives_its_endpoint(connection: Connection, key: Key) -> None:
    assert_type(connection.endpoint, Endpoint)
    assert_type(connection.with_key(key), Connection)


def a_secret_is_asked_for_by_name(secret: Secret) -> None:
    assert_type(secret.reveal(), str)


def a_users_own_test_scripts_a_provider() -> None:
    with ScriptedProvider([status(429), ok("Hello.")], models=["m"]) as provider:
        assert_type(provider.url, str)
        assert_type(provider.requests[0].model, str | None)
