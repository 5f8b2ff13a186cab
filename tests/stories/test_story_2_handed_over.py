"""Story 2: a custom provider handed to another program (the core's part; the harnesses' own files have tests
of their own).

What was reported: a gate refused the user's own endpoint because its kind was the name of a known vendor; the
picker never showed the models of the user's entry; another model than the chosen one answered, with HTTP 200
and no word about it; and the map from providers to environment variables was written in three files that
had drifted apart (`TOGETHERAI_API_KEY`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from holdfast.config.catalog import options
from holdfast.core.compatibility import dialect_for
from holdfast.core.config import Config, ModelFacts
from holdfast.core.errors import CannotHandOver
from holdfast.core.identity import Auth, Dialect, Endpoint, Key, Provider, ProviderName, Translates
from holdfast.providers import presets
from holdfast.wire.answered_model import same_model

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
NEVER = Translates.NEVER


def entry(
    name: str, *dialects: Dialect, models: tuple[str, ...] | None = None, keyless: bool = False
) -> Provider:
    """An entry of the user's configuration, on a host of its own."""
    owner = ProviderName(name)
    endpoints = tuple(
        Endpoint(f"https://{name}.example", dialect, Auth.NONE if keyless else Auth.BEARER)
        for dialect in dialects
    )
    return Provider(owner, endpoints, () if keyless else (Key(owner, "work", "env:WORK"),), models)


@pytest.mark.parametrize(
    ("harness", "speaks", "provider", "expected"),
    [
        ("pi", (CHAT, RESPONSES, MESSAGES), entry("mimo-plan", CHAT), CHAT),
        ("pi", (CHAT, RESPONSES, MESSAGES), entry("mimo-plan", MESSAGES, CHAT), CHAT),
        ("claude", (MESSAGES,), entry("mimo-plan", CHAT, MESSAGES), MESSAGES),
        ("codex", (RESPONSES,), entry("my-gateway", RESPONSES), RESPONSES),
        # The gate of the report looked at these names and said no; a name is only a name.
        ("claude", (MESSAGES,), entry("openrouter", MESSAGES), MESSAGES),
        ("pi", (CHAT,), entry("anthropic", CHAT), CHAT),
    ],
)
def test_the_gate_asks_only_which_dialects_both_sides_have(
    harness: str, speaks: tuple[Dialect, ...], provider: Provider, expected: Dialect
) -> None:
    assert dialect_for(harness, speaks, provider) is expected


def test_a_refusal_at_the_gate_names_what_both_sides_speak() -> None:
    with pytest.raises(
        CannotHandOver,
        match=(
            r"codex speaks openai-responses; provider 'mimo-plan' has openai-chat, "
            r"anthropic-messages[\s\S]*--harness codex"
        ),
    ):
        dialect_for("codex", (RESPONSES,), replace(entry("mimo-plan", CHAT, MESSAGES), translates=NEVER))


def test_a_program_of_another_dialect_is_translated_for_the_provider() -> None:
    assert dialect_for("codex", (RESPONSES,), entry("mimo-plan", CHAT, MESSAGES)) is RESPONSES


@pytest.mark.parametrize(
    ("chosen", "answered"),
    [
        ("mimo-v2.5-pro", "mimo-v2.5-pro"),
        ("MiMo-V2.5-Pro", "mimo-v2.5-pro"),
        ("xiaomi/mimo-v2.5-pro", "mimo-v2.5-pro"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("deepseek/deepseek-chat:free", "deepseek/deepseek-chat"),
        ("gpt-4o", "gpt-4o-2024-11-20"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
    ],
)
def test_the_chosen_model_is_recognised_in_the_spellings_providers_use(chosen: str, answered: str) -> None:
    assert same_model(chosen, answered)


@pytest.mark.parametrize(
    ("chosen", "answered"),
    [
        ("other-model", "good-model"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o"),
        ("mimo-v2.5-pro", "mimo-v2.5"),
        ("claude-opus-4-1", "claude-sonnet-4-5-20250929"),
        ("mimo-v2.5-pro", ""),
    ],
)
def test_another_model_never_passes_for_the_chosen_one(chosen: str, answered: str) -> None:
    assert not same_model(chosen, answered)


DECLARES = entry("mimo-plan", CHAT, MESSAGES, models=("mimo-v2.5-pro",))
DISCOVERS = entry("my-gateway", CHAT)
OFFERS_NOTHING = entry("embeddings", CHAT, models=())
LOCAL = entry("local", CHAT, keyless=True)
NO_KEY = Provider(ProviderName("empty"), (Endpoint("https://empty.example"),), (), ("m",))
ALL = Config({provider.name: provider for provider in (DECLARES, DISCOVERS, OFFERS_NOTHING, LOCAL, NO_KEY)})
DISCOVERED: dict[str, dict[str, ModelFacts]] = {
    "mimo-plan": {"mimo-flash": {}, "mimo-v2.5-pro": {}},
    "my-gateway": {"z": {}, "a": {}},
    "embeddings": {"never-offered": {}},
    "local": {"qwen3": {}},
}


def test_the_picker_shows_the_models_of_every_entry_and_each_carries_its_connection() -> None:
    shown = options(ALL, DISCOVERED)
    assert [str(option.pin) for option in shown] == [
        "mimo-plan/mimo-v2.5-pro",
        "mimo-plan/mimo-flash",
        "my-gateway/a",
        "my-gateway/z",
        "local/qwen3",
        "empty/m",
    ]
    assert [option.declared for option in shown] == [True, False, False, False, False, True]


def test_the_picker_says_what_prevents_a_choice_and_hides_nothing() -> None:
    shown = {str(option.pin): option for option in options(ALL, DISCOVERED, speaks={MESSAGES})}
    assert shown["mimo-plan/mimo-v2.5-pro"].dialects == (MESSAGES,)
    assert shown["mimo-plan/mimo-v2.5-pro"].why_not == ""
    assert (shown["my-gateway/a"].why_not, shown["my-gateway/a"].translated) == ("", MESSAGES)
    never = Config({name: replace(each, translates=NEVER) for name, each in ALL.providers.items()})
    untranslated = {str(option.pin): option for option in options(never, DISCOVERED, speaks={MESSAGES})}
    assert untranslated["my-gateway/a"].why_not == "it speaks openai-chat only"
    assert (
        "holdfast key add empty"
        in {str(option.pin): option for option in options(ALL, {})}["empty/m"].why_not
    )


def test_the_picker_and_the_gate_agree_on_every_option() -> None:
    for speaks in ((CHAT,), (RESPONSES,), (MESSAGES,), (MESSAGES, CHAT)):
        for option in options(ALL, DISCOVERED, speaks):
            provider = ALL.providers[option.pin.provider]
            if option.dialects:
                assert dialect_for("any harness", speaks, provider) in option.dialects
            elif option.translated is not None:
                assert dialect_for("any harness", speaks, provider) is option.translated
            else:
                with pytest.raises(CannotHandOver):
                    dialect_for("any harness", speaks, provider)


def test_each_environment_variable_has_exactly_one_provider() -> None:
    owners = Counter(variable for row in presets.rows().values() for variable in row.get("env", ()))
    assert [variable for variable, count in owners.items() if count > 1] == []


@pytest.mark.parametrize("spelling", ["TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY"])
def test_the_spelling_that_had_drifted_leads_to_the_same_provider(spelling: str) -> None:
    assert presets.owner_of_variable(spelling) == "together"
    assert presets.find("together")["env"][0] == "TOGETHER_API_KEY"
