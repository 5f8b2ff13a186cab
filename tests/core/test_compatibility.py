"""The gate and the model's truth: dialects decide who may be handed what, and names are compared by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.core.compatibility import dialect_for, spoken_to
from holdfast.core.errors import CannotHandOver, ModelDropped
from holdfast.core.identity import (
    Auth,
    Connection,
    Dialect,
    Endpoint,
    Key,
    Provider,
    ProviderName,
    Translates,
)
from holdfast.wire.answered_model import confirm_model, same_model

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES


def entry(name: str, *dialects: Dialect) -> Provider:
    endpoints = tuple(Endpoint(f"https://{name}.example", dialect) for dialect in dialects)
    return Provider(ProviderName(name), endpoints, (Key(ProviderName(name), "K", "env:K"),))


def chosen_at_maker(model: str, **answers_as: str) -> Connection:
    provider = Provider(
        ProviderName("maker"),
        (Endpoint("https://maker.example", auth=Auth.NONE),),
        answers_as=tuple(answers_as.items()),
    )
    return Connection(provider, CHAT, None, model)


@pytest.mark.parametrize(
    ("chosen", "answered"),
    [
        ("gpt-4", "gpt-4-0613"),
        ("gpt-4-1106-preview", "gpt-4-1106-preview"),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        ("claude-opus-4-0", "claude-opus-4-20250514"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gemini-2.5-pro", "gemini-2.5-pro-preview-05-06"),
        ("gemini-flash-latest", "gemini-2.5-flash-preview-09-2025"),
        ("gemini-pro-latest", "gemini-3-pro-preview"),
        ("kimi-latest", "moonshot-v1-8k"),
        ("moonshotai/kimi-k2-instruct", "moonshotai/kimi-k2-instruct-0905"),
        ("grok-4", "grok-4-0709"),
        ("grok-code-fast", "grok-code-fast-1"),
        ("llama3", "llama3:latest"),
        ("llama3:8b", "llama3:8b"),
        ("deepseek/deepseek-chat:floor", "deepseek/deepseek-chat"),
        ("openrouter/auto", "anthropic/claude-sonnet-4.5"),
    ],
)
def test_a_maker_may_answer_with_its_own_name_for_the_chosen_model(chosen: str, answered: str) -> None:
    assert same_model(chosen, answered)
    assert confirm_model(chosen_at_maker(chosen), answered) is None


@pytest.mark.parametrize(
    ("chosen", "answered"),
    [
        ("gpt-4o-2024-05-13", "gpt-4o-2024-11-20"),
        ("gpt-4-0314", "gpt-4-0613"),
        ("llama3:8b", "llama3:70b"),
        ("llama3:8b", "llama3"),
        ("gemini-flash-latest", "gemini-2.5-flash-lite"),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        ("kimi-k2", "moonshot-v1-8k"),
        ("grok-4", "grok-3"),
        ("claude-sonnet-4-0", "claude-opus-4-20250514"),
        ("good-model", "auto"),
    ],
)
def test_another_model_by_its_maker_s_names_is_reported_with_both_names(chosen: str, answered: str) -> None:
    dropped = confirm_model(chosen_at_maker(chosen), answered)
    assert isinstance(dropped, ModelDropped)
    assert answered in dropped.what
    assert f"maker/{chosen}" in dropped.what
    assert dropped.next_step == "holdfast models --provider maker"


def test_a_provider_that_names_no_model_is_not_accused() -> None:
    assert confirm_model(chosen_at_maker("m"), "") is None
    assert not same_model("m", "")


@pytest.mark.parametrize(
    ("answered", "is_told"),
    [("gpt-5-2025-08-07", False), ("gpt-5", False), ("ours", False), ("gpt-5-mini", True), ("gpt-4o", True)],
)
def test_a_name_of_the_user_s_own_is_answered_by_the_model_that_they_wrote_for_it(
    answered: str, is_told: bool
) -> None:
    assert (confirm_model(chosen_at_maker("ours", ours="gpt-5"), answered) is not None) is is_told


def test_what_one_name_answers_as_says_nothing_of_another() -> None:
    assert confirm_model(chosen_at_maker("theirs", ours="gpt-5"), "gpt-5") is not None


def test_a_refusal_at_the_gate_names_who_would_do() -> None:
    others = [entry("router", RESPONSES, CHAT), entry("plain", CHAT)]
    with pytest.raises(CannotHandOver) as caught:
        dialect_for("codex", (RESPONSES,), entry("mimo", CHAT, MESSAGES), others, translates=False)
    assert (
        caught.value.what
        == "codex speaks openai-responses; provider 'mimo' has openai-chat, anthropic-messages"
    )
    assert caught.value.details == ("of your providers, 'router' speaks openai-responses",)


def test_a_program_whose_dialect_is_translated_asks_in_its_own() -> None:
    assert dialect_for("codex", (RESPONSES,), entry("mimo", CHAT)) is RESPONSES
    assert dialect_for("agent", (RESPONSES, CHAT), entry("mimo", CHAT)) is CHAT, "native comes first"


TRANSLATIONS = [
    (RESPONSES, (CHAT, MESSAGES), {}, CHAT),
    (RESPONSES, (MESSAGES,), {}, MESSAGES),
    (MESSAGES, (RESPONSES, CHAT), {}, CHAT),
    (MESSAGES, (RESPONSES,), {}, RESPONSES),
    (CHAT, (RESPONSES, MESSAGES), {}, MESSAGES),
    (CHAT, (CHAT, MESSAGES), {}, CHAT),
    (CHAT, (MESSAGES,), {"translates": Translates.NEVER}, CHAT),
    (CHAT, (CHAT, MESSAGES), {"forced": (CHAT,)}, MESSAGES),
    (CHAT, (CHAT,), {"forced": (CHAT,)}, CHAT),
    (CHAT, (MESSAGES,), {"translates": Translates.EXACT}, MESSAGES),
]


@pytest.mark.parametrize(("asked", "served", "settings", "spoken"), TRANSLATIONS)
def test_a_provider_is_asked_in_the_callers_dialect_or_in_one_that_it_is_translated_into(
    asked: Dialect, served: tuple[Dialect, ...], settings: dict[str, Any], spoken: Dialect
) -> None:
    assert spoken_to(replace(entry("mimo", *served), **settings), asked) is spoken


def test_a_program_with_a_wire_of_its_own_is_refused_by_that_name() -> None:
    with pytest.raises(
        CannotHandOver, match="gemini speaks generateContent; provider 'mimo' has openai-chat"
    ):
        dialect_for("gemini", (), entry("mimo", CHAT), wire="generateContent")
