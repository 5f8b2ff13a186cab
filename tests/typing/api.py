"""How users write against the public names. Never run; `make types` checks that it type-checks."""

from __future__ import annotations

from typing import assert_type

import anthropic
import openai

import holdfast
from holdfast.core.identity import Connection, Endpoint, Key
from holdfast.core.secret import Secret


def a_session_is_created_or_resumed_and_handed_to_an_sdk() -> None:
    with holdfast.open() as hf:
        session = hf.session("issue-42", "mimo-plan/mimo-v2.5-pro")
        assert_type(session, holdfast.Session)
        client = openai.OpenAI(**session.for_openai())
        client.chat.completions.create(model=session.model, messages=[{"role": "user", "content": "hi"}])
        openai.AsyncOpenAI(**session.for_openai_async())
        anthropic.Anthropic(**session.for_anthropic())
        anthropic.AsyncAnthropic(**session.for_anthropic_async())
        session.switch("deepseek/deepseek-chat", key="b")
        assert_type(session.why(), str)
        assert_type(session.pin, holdfast.Pin)


def a_choice_that_is_gone_is_a_typed_refusal() -> tuple[str, ...]:
    try:
        holdfast.open().session("issue-42")
    except holdfast.ConnectionLost as lost:
        return lost.candidates
    except holdfast.ConfigError as wrong:
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
