"""How users must not write: type checkers have to refuse every line of this file. `make types` says where one
would not, since an unused `ignore` is an error."""

from __future__ import annotations

import anthropic
import httpx2
import openai

import holdfast


def the_arguments_of_one_class_are_refused_for_another(session: holdfast.Session) -> None:
    chat, chat_async = session.for_openai(), session.for_openai_async()
    messages, messages_async = session.for_anthropic(), session.for_anthropic_async()
    openai.AsyncOpenAI(**chat)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    openai.OpenAI(**chat_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    anthropic.AsyncAnthropic(**messages)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    anthropic.Anthropic(**messages_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def the_arguments_of_one_sdk_are_refused_for_the_other(session: holdfast.Session) -> None:
    chat, chat_async = session.for_openai(), session.for_openai_async()
    messages, messages_async = session.for_anthropic(), session.for_anthropic_async()
    anthropic.Anthropic(**chat)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
    anthropic.AsyncAnthropic(**chat_async)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
    openai.OpenAI(**messages)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
    openai.AsyncOpenAI(**messages_async)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]


def a_transport_is_refused_for_a_client_of_the_other_kind(session: holdfast.Session) -> None:
    blocking, waiting = session.transport(), session.async_transport()
    httpx2.AsyncClient(transport=blocking)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    httpx2.Client(transport=waiting)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def arguments_of_another_type_are_refused(
    hf: holdfast.Holdfast, session: holdfast.Session, pin: holdfast.Pin
) -> None:
    holdfast.open(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    holdfast.open(keys=["sk-a-key"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    holdfast.open(keys={"corp": "sk-a-key"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    holdfast.open(limits=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    holdfast.open(verify=False)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hf.ensure_ready("amazee", ["chat"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hf.session(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hf.session("q", 123)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hf.ensure_ready("amazee", consent=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hf.ensure_ready("amazee", agreed="ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    session.switch(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session.why("9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session.model = "m2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    session.pin = pin  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
