"""One model list that both SDKs read: pins, only what can be reached, for what the caller speaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import holdfast
from holdfast.core.config import ModelFacts
from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.store.token import Token
from holdfast.wire.model_list import read_facts

CONFIG = """\
[provider.mimo]
url    = "https://mimo.example/v1"
models = ["mimo-pro", "org/mimo-lite"]
keys   = ["env:MIMO_KEY"]

[provider.claude]
url     = "https://claude.example"
dialect = "anthropic-messages"
models  = ["opus", "mimo-pro"]
keys    = ["env:CLAUDE_KEY"]

[provider.finds]
url  = "http://127.0.0.1:9/v1"
auth = "none"

[provider.keyless]
url    = "https://keyless.example/v1"
models = ["unreachable"]
"""
LISTED: ModelFacts = {"context": 9_000, "output": 700, "input": ("text", "image"), "reasoning": False}
ANTHROPIC = [(b"Anthropic-Version", b"2023-06-01")]
OPENAI = [(b"X-Stainless-Lang", b"python")]


class FakePlane:
    """As much of a plane as side routes need; threads are not."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.draining, self.tokens = engine, False, self
        self.open_clients = self.open_streams = 0
        self.replaced = False

    @property
    def upstreams(self) -> FakePlane:
        return self

    def open(self) -> int:
        return 0

    def check(self, value: bytes) -> Token | None:
        return Token("t", "", "laptop") if value == b"hf-good" else None

    def in_store_thread(self, call: Any) -> Any:
        return call()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "holdfast.toml").write_text(CONFIG)
    with holdfast.open(tmp_path) as held:
        held.engine.store.save_models("finds", "http://127.0.0.1:9/v1", {"zeta": LISTED, "alpha": {}}, 1.0)
        yield held.engine


def asked(engine: Any, path: str, headers: Any = (), pins: tuple[Pin, ...] = ()) -> tuple[int, Any]:
    token = Token("t", "", "laptop", pins=pins)
    status, _, body = AdminRoutes(Metrics(), "1").answer(FakePlane(engine), path, "", list(headers), token)  # type: ignore[misc, arg-type]
    return status, json.loads(body)


def ids(listed: Any) -> list[str]:
    return [model["id"] for model in listed["data"]]


def test_the_list_has_what_is_declared_and_what_was_found_and_leaves_out_what_cannot_be_reached(
    engine: Any,
) -> None:
    _, listed = asked(engine, "/v1/models")
    assert ids(listed) == [
        "mimo/mimo-pro",
        "mimo/org/mimo-lite",
        "claude/opus",
        "claude/mimo-pro",
        "finds/alpha",
        "finds/zeta",
    ]


def test_the_list_has_what_was_found_at_a_keys_own_endpoint(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        '[provider.two]\nurl = "https://two.example/v1"\nkeys = ["env:A", { from = "env:EU",'
        ' endpoints = { openai-chat = "https://eu.two.example/v1" } }]\n'
    )
    with holdfast.open(tmp_path) as held:
        held.engine.store.save_models("two", "https://two.example/v1", {"here": {}, "both": {}}, 1.0)
        held.engine.store.save_models("two", "https://eu.two.example/v1", {"both": {}, "eu-only": {}}, 1.0)
        _, listed = asked(held.engine, "/v1/models")
    assert ids(listed) == ["two/both", "two/eu-only", "two/here"]


@pytest.mark.parametrize(
    ("headers", "providers"),
    [(ANTHROPIC, {"claude"}), (OPENAI, {"mimo", "finds"}), ((), {"mimo", "claude", "finds"})],
    ids=["anthropic", "openai", "unknown"],
)
def test_a_caller_sees_what_speaks_its_api_and_what_is_translated_for_it(
    headers: Any, providers: set[str], engine: Any
) -> None:
    _, listed = asked(engine, "/models", headers)
    native = {model["owned_by"] for model in listed["data"] if not model["holdfast"]["translated"]}
    assert native == providers
    assert {model["owned_by"] for model in listed["data"]} == {"mimo", "claude", "finds"}


def test_both_sdks_read_the_same_list(engine: Any) -> None:
    _, listed = asked(engine, "/v1/models")
    assert listed["object"] == "list"
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (
        False,
        "mimo/mimo-pro",
        "finds/zeta",
    )
    for model in listed["data"]:
        assert openai.types.Model.model_validate(model, strict=True).id == model["id"]
        assert anthropic.types.ModelInfo.model_validate(model).display_name == model["display_name"]


def test_what_is_known_of_a_model_is_told_in_the_words_that_clients_look_for(engine: Any) -> None:
    _, listed = asked(engine, "/v1/models")
    items = {item["id"]: item for item in listed["data"]}
    assert (
        items["finds/zeta"].items()
        >= {
            "max_input_tokens": 9_000,
            "context_length": 9_000,
            "max_model_len": 9_000,
            "max_tokens": 700,
            "max_completion_tokens": 700,
            "supports_reasoning": False,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        }.items()
    )
    assert read_facts(listed) == {"finds/zeta": LISTED}  # a Holdfast before this one reads it too
    assert items["finds/alpha"].keys() == items["mimo/mimo-pro"].keys()
    assert items["finds/alpha"]["holdfast"]["facts"] == {}
    model = anthropic.types.ModelInfo.model_validate(items["finds/zeta"])
    assert (model.max_input_tokens, model.max_tokens) == (9_000, 700)


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text("")
    with holdfast.open(tmp_path) as held:
        assert asked(held.engine, "/v1/models") == (
            200,
            {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None},
        )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mimo/mimo-pro", "mimo/mimo-pro"),
        ("mimo/org/mimo-lite", "mimo/org/mimo-lite"),
        ("mimo%2Forg%2Fmimo-lite", "mimo/org/mimo-lite"),
        ("opus", "claude/opus"),
        ("org/mimo-lite", "mimo/org/mimo-lite"),
    ],
)
def test_one_model_is_found_by_its_pin_or_by_a_name_that_only_one_provider_has(
    name: str, expected: str, engine: Any
) -> None:
    status, answer = asked(engine, f"/v1/models/{name}")
    assert (status, answer["id"]) == (200, expected)


def test_a_name_of_several_providers_is_refused_with_the_candidates(engine: Any) -> None:
    status, answer = asked(engine, "/v1/models/mimo-pro")
    assert (status, answer["error"]["code"]) == (400, "model_ambiguous")
    assert answer["error"]["holdfast"]["candidates"] == ["mimo/mimo-pro", "claude/mimo-pro"]


def test_an_unknown_model_is_refused_in_the_callers_shape_with_a_near_name(engine: Any) -> None:
    status, answer = asked(engine, "/v1/models/claude/opsu", ANTHROPIC)
    assert (status, answer["type"], answer["error"]["type"]) == (404, "error", "not_found_error")
    assert answer["error"]["holdfast"]["candidates"][0] == "claude/opus"


def test_a_token_of_one_pin_lists_only_that(engine: Any) -> None:
    pins = (Pin.parse("claude/opus"),)
    _, listed = asked(engine, "/v1/models", pins=pins)
    assert ids(listed) == ["claude/opus"]
    status, answer = asked(engine, "/v1/models/mimo/mimo-pro", pins=pins)
    assert (status, answer["error"]["holdfast"]["candidates"]) == (404, [])


def test_a_store_that_fails_leaves_what_is_declared(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise StoreError("no")

    monkeypatch.setattr(engine.store, "models", failing)
    _, listed = asked(engine, "/v1/models")
    assert ids(listed) == ["mimo/mimo-pro", "mimo/org/mimo-lite", "claude/opus", "claude/mimo-pro"]
