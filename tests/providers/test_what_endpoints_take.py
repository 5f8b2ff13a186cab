"""The table of what endpoints take of their dialect: well formed, complete for the presets, and asked by the
right names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.core.config import INPUTS, Config, ModelFacts
from holdfast.core.identity import Dialect, Endpoint, Pin, Provider, ProviderName
from holdfast.providers import caps, model_facts, presets, profiles
from holdfast.translate.caps import LEVELS, Caps

MEMBERS = {field.name: field.default for field in dataclasses.fields(Caps)}
CHAT, MESSAGES, RESPONSES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES
MATCHES = {"of", "not", "dialects"}


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of the table with its path."""
    table = caps.table()
    for dialect, row in table["dialect"].items():
        yield f"dialect.{dialect}", row
    for number, row in enumerate(table["model"]):
        yield f"model[{number}]", row
    for vendor, own in table["vendor"].items():
        for name, row in own.items():
            if name != "model":
                yield f"vendor.{vendor}.{name}", row
        for number, row in enumerate(own.get("model", ())):
            yield f"vendor.{vendor}.model[{number}]", row


ROWS = dict(rows())


@pytest.mark.parametrize("path", ROWS)
def test_a_row_holds_abilities_of_the_right_type(path: str) -> None:
    row = ROWS[path]
    members = {name: value for name, value in row.items() if name not in MATCHES}
    assert members
    assert members.keys() <= MEMBERS.keys() | ({"context", "reasoning"} if "model" in path else set())
    for name, value in members.items():
        default = MEMBERS.get(name, False)
        if name in ("max_output", "context"):
            assert isinstance(value, int)
            assert value > 0
        elif name == "input":
            assert value[0] == "text"
            assert value == sorted(set(value), key=INPUTS.index)
        elif isinstance(default, tuple):
            assert value == sorted(value, key=LEVELS.index)
            assert "none" not in value
        else:
            assert type(value) is type(default)
    assert row.get("thinking", "") in {"", "adaptive", "budget"}
    assert row.get("effort_off", "") in {"", "none", "disabled"}
    assert row.get("max_tokens", "max_tokens") in {"max_tokens", "max_completion_tokens"}
    assert set(row.get("dialects", ())) <= set(Dialect)
    assert ("of" in row) is ("model" in path)


def test_the_table_has_no_other_parts() -> None:
    assert caps.table().keys() == {"usual", "dialect", "model", "vendor"}
    assert caps.table()["dialect"].keys() <= set(Dialect)
    for own in caps.table()["vendor"].values():
        assert own.keys() <= {*Dialect, "model"}


def test_each_vendor_is_a_profile_or_a_preset_without_one() -> None:
    without = {name for name, row in presets.rows().items() if "profile" not in row}
    assert caps.table()["vendor"].keys() <= without | set(profiles.names())


def test_every_endpoint_of_a_preset_has_a_row_or_is_knowingly_at_the_defaults() -> None:
    usual, there = set(caps.table()["usual"]), set()
    for name, row in presets.rows().items():
        vendor = caps.vendor_of_preset(name)
        there |= {f"{vendor}.{dialect}" for dialect in row["endpoints"]}
    owned = {
        f"{vendor}.{dialect}"
        for vendor, own in caps.table()["vendor"].items()
        for dialect in own
        if dialect != "model"
    }
    assert there - usual - owned == set()
    assert usual & owned == set()
    assert usual - there == set()


@pytest.mark.parametrize("name", presets.rows())
def test_a_preset_and_its_address_have_the_same_abilities(name: str) -> None:
    for dialect, url in presets.find(name)["endpoints"].items():
        endpoint = Endpoint(url, Dialect(dialect))
        profile = presets.find(name).get("profile")
        named = Provider(ProviderName("mine"), (endpoint,), preset=name, profile=profile)
        bare = Provider(ProviderName("mine"), (endpoint,))
        model = "some-model"
        assert caps.caps_for(named, Dialect(dialect), model) == caps.caps_for(
            bare, Dialect(dialect), model
        ), url


def of(name: str, dialect: Dialect, model: str, facts: ModelFacts | None = None) -> Caps:
    row = presets.find(name)
    endpoint = Endpoint(row["endpoints"][dialect], dialect)
    provider = Provider(ProviderName("mine"), (endpoint,), preset=name, profile=row.get("profile"))
    return caps.caps_for(provider, dialect, model, facts)


@pytest.mark.parametrize(
    ("name", "dialect", "model", "expected"),
    [
        (
            "anthropic",
            MESSAGES,
            "claude-3-5-haiku-20241022",
            {"max_output": 8192, "thinking": "", "schema": False},
        ),
        ("anthropic", MESSAGES, "claude-opus-4-1-20250805", {"max_output": 32000, "thinking": "budget"}),
        ("anthropic", MESSAGES, "claude-sonnet-4-20250514", {"max_output": 64000, "thinking": "budget"}),
        (
            "anthropic",
            MESSAGES,
            "claude-haiku-4-5",
            {"max_output": 64000, "thinking": "budget", "prefill": True},
        ),
        (
            "anthropic",
            MESSAGES,
            "claude-sonnet-4-6",
            {"max_output": 128000, "thinking": "adaptive", "top_k": True},
        ),
        (
            "anthropic",
            MESSAGES,
            "claude-opus-4-7",
            {"temperature": False, "mid_system": False, "prefill": False},
        ),
        ("anthropic", MESSAGES, "claude-sonnet-5", {"max_output": 128000, "effort_off": "disabled"}),
        (
            "anthropic",
            MESSAGES,
            "claude-opus-5-5",
            {"thinking": "adaptive", "mid_system": True, "effort_off": ""},
        ),
        ("openrouter", MESSAGES, "anthropic/claude-opus-4.7", {"thinking": "adaptive", "max_output": 128000}),
        (
            "openai",
            CHAT,
            "gpt-5.2",
            {"max_tokens": "max_completion_tokens", "stop_limit": 0, "effort_off": "none"},
        ),
        ("openai", CHAT, "gpt-4.1-mini", {"efforts": (), "max_output": 32768, "temperature": True}),
        ("openai", RESPONSES, "gpt-6.2-sol", {"efforts": ("low", "medium", "high", "xhigh", "max")}),
        ("deepseek", CHAT, "deepseek-v4-pro", {"reasoning_back": True, "efforts": ("high", "max")}),
        (
            "moonshot",
            CHAT,
            "kimi-k2.6",
            {"reasoning_back": True, "effort_off": "disabled", "temperature": False},
        ),
        ("moonshot", CHAT, "moonshot-v1-32k", {"reasoning_back": False, "temperature": True}),
        ("mistral", CHAT, "codestral-latest", {"call_id": "mistral", "usage_asked": False, "efforts": ()}),
        ("zai-coding", CHAT, "glm-5.3", {"effort_off": "", "efforts": ("low", "high", "max")}),
        ("ollama", MESSAGES, "qwen3", {"image_urls": False, "schema": False}),
        ("ollama", CHAT, "llama3.1:8b", {"efforts": (), "tool_choice": False}),
        ("ollama", MESSAGES, "gpt-oss:20b", {"thinking": "budget"}),
        ("github-models", CHAT, "openai/gpt-5-mini", {"max_tokens": "max_completion_tokens"}),
        ("gemini", CHAT, "gemini-2.5-flash", {"effort_off": "none", "seed": False}),
        ("gemini", CHAT, "gemini-2.0-flash", {"efforts": ()}),
        ("kilo", CHAT, "anything", {"max_output": None, "efforts": ("low", "medium", "high")}),
    ],
)
def test_a_model_brings_what_it_is_known_for(
    name: str, dialect: Dialect, model: str, expected: dict[str, Any]
) -> None:
    made = of(name, dialect, model)
    assert {member: getattr(made, member) for member in expected} == expected


def test_what_the_user_wrote_about_a_model_wins() -> None:
    assert of("anthropic", MESSAGES, "claude-haiku-4-5", {"output": 8000}).max_output == 8000
    assert of("anthropic", MESSAGES, "claude-haiku-4-5", {"context": 8000}).max_output == 64000
    assert of("kilo", CHAT, "x", {"output": 5}).max_output == 5


def test_the_endpoint_of_a_key_has_its_own_abilities() -> None:
    provider = Provider(ProviderName("mine"), (Endpoint("https://example.com/v1", CHAT),))
    assert caps.caps_for(provider, CHAT, "m") == Caps()
    elsewhere = Endpoint("https://api.mistral.ai/v1", CHAT)
    assert caps.caps_for(provider, CHAT, "m", endpoint=elsewhere).call_id == "mistral"
    assert caps.caps_for(provider, MESSAGES, "m").schema is False


def test_a_limit_is_lowered_by_no_pattern_that_fits_too_much() -> None:
    """Of two rows with a limit that fit one model, both must say the same."""
    names = [
        "claude-opus-4-5-20251101",
        "claude-3-5-sonnet-latest",
        "claude-haiku-5-5",
        "gpt-5.6-sol",
        "o4-mini",
    ]
    for model in names:
        plain = model.replace(".", "-")
        limits = {
            row["max_output"]
            for row in caps.table()["model"]
            if "max_output" in row and caps._fits(row, CHAT, plain)
        }
        assert len(limits) == 1, model


def test_of_what_is_known_of_a_model_the_users_word_wins_then_the_endpoints_then_the_table() -> None:
    name = ProviderName("mine")
    provider = Provider(name, (Endpoint("https://api.anthropic.com", MESSAGES),))
    known, unknown = Pin(name, "claude-haiku-4-5"), Pin(name, "of-tomorrow")
    config = Config(providers={name: provider}, facts={known: {"context": 5}})
    listed: ModelFacts = {"context": 7, "output": 8}
    table = {"context": 200_000, "output": 64_000, "input": ("text", "image"), "reasoning": True}
    assert model_facts.facts_of(Config(providers={name: provider}), known) == table
    assert model_facts.facts_of(config, known, listed) == {**table, "context": 5, "output": 8}
    assert model_facts.facts_of(config, unknown, listed) == listed
    assert model_facts.facts_of(config, unknown) == {}
    assert model_facts.facts_of(Config(), known) == {}
    assert caps.caps_for(provider, MESSAGES, "x", listed=listed).max_output == 8
    own = {"max_output": 9, "tools": False}
    made = caps.caps_for(provider, MESSAGES, "x", {"input": ("text",)}, listed=listed, own=own)
    assert (made.max_output, made.tools, made.input) == (9, False, ("text",))


def test_what_one_model_is_known_for_is_said_once() -> None:
    """No two rows of one vendor, or of none, say another context or other kinds of input of one model."""
    for model in [
        "claude-3-5-haiku-latest",
        "claude-opus-4-5",
        "claude-opus-4-6",
        "claude-sonnet-5-5",
        "gpt-5-1",
        "gpt-5-4",
        "gpt-6-1-sol",
        "o3-mini",
        "gemini-3-1-pro-preview",
        "glm-5-3-flash",
        "minimax-m3-1-flash",
        "kimi-k3-1-pro",
    ]:
        for rows_of in (
            caps.table()["model"],
            *(own.get("model", ()) for own in caps.table()["vendor"].values()),
        ):
            for fact in ("context", "input", "reasoning"):
                values = [row[fact] for row in rows_of if fact in row and caps._fits(row, CHAT, model)]
                assert len({str(value) for value in values}) <= 1, (model, fact)
