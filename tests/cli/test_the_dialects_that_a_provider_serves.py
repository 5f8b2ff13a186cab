"""The dialects that a provider serves are those for which it has a key, or needs none. Every face asks the
same owner: routes, the catalog, `check`, `models`, `doctor`, the choice for a program, the gateway's list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import holdfast
from cli.furnishing import CANARY, Cli, write
from holdfast.cli.run_choice import choice_of, find_harness
from holdfast.config.catalog import options
from holdfast.core.compatibility import dialect_for
from holdfast.core.errors import CannotHandOver, HoldfastError, WrongDialect
from holdfast.core.identity import Auth, Dialect, Endpoint, IdentityError, Key, Pin, Provider, ProviderName
from holdfast.core.routes import Route
from holdfast.core.session import Session
from holdfast.engine.sessions import obstacle
from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.gateway.admin.models import ANTHROPIC, OPENAI, listing

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
SPOKEN = {CHAT: "aider", RESPONSES: "codex", MESSAGES: "claude"}
"""A program that speaks this dialect alone."""
NAME = ProviderName("c")


class Row(NamedTuple):
    """An entry in holdfast.toml; URL and ROOT are addresses of a server. `served` are its dialects."""

    entry: str
    served: tuple[Dialect, ...]


BOUND = '{ from = "env:OWN", endpoints = { %s = "%s" } }'
TO_MESSAGES, TO_CHAT = BOUND % ("anthropic-messages", "ROOT"), BOUND % ("openai-chat", "URL")
THREE = 'endpoints = { openai-chat = "URL", openai-responses = "URL", anthropic-messages = "ROOT" }'
LOCAL = (
    'endpoints = { openai-chat = { url = "URL", auth = "none" }, anthropic-messages = { url = "ROOT",'
    ' auth = "x-api-key" } }'
)
ROWS = {
    "one key for all": Row(f'{THREE}\nkeys = ["env:OWN"]', (CHAT, RESPONSES, MESSAGES)),
    "a preset, and one key that is bound to messages": Row(
        f'preset = "openrouter"\nkeys = [{TO_MESSAGES}]', (MESSAGES,)
    ),
    "one key that is bound to messages": Row(f"{THREE}\nkeys = [{TO_MESSAGES}]", (MESSAGES,)),
    "one key that is bound to chat": Row(f"{THREE}\nkeys = [{TO_CHAT}]", (CHAT,)),
    "two keys, each bound to a dialect": Row(
        f"{THREE}\nkeys = [{TO_CHAT}, {TO_MESSAGES}]".replace("env:OWN", "env:ANOTHER", 1), (CHAT, MESSAGES)
    ),
    "a dialect that only a key speaks": Row(
        f'url = "URL"\nkeys = ["env:ANOTHER", {TO_MESSAGES}]', (CHAT, MESSAGES)
    ),
    "one dialect without a key, the other with none": Row(LOCAL, (CHAT,)),
    "one dialect without a key, the other with one": Row(f'{LOCAL}\nkeys = ["env:OWN"]', (CHAT, MESSAGES)),
    "no key at all": Row(THREE, ()),
}


@pytest.fixture
def server() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(ok(), models=["m", "n"]) as server:
        yield server


@pytest.fixture(params=ROWS)
def row(
    request: pytest.FixtureRequest, home: Path, server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> Row:
    """One row, written as the home's only provider."""
    entry, served = ROWS[request.param]
    entry = entry.replace("URL", server.url).replace("ROOT", server.root)
    write(home / "holdfast.toml", f'[provider.c]\nmodels = ["m"]\ntranslate = "never"\n{entry}\n')
    monkeypatch.setenv("OWN", CANARY)
    monkeypatch.setenv("ANOTHER", CANARY)
    return Row(entry, served)


def works(call: Callable[..., object], *values: Any, **named: Any) -> bool:
    try:
        call(*values, **named)
    except HoldfastError:
        return False
    return True


def test_every_face_offers_the_dialects_that_routes_can_be_built_for(row: Row, home: Path) -> None:
    with holdfast.open(home) as held:
        provider = held.config.providers[NAME]
        assert provider.served() == row.served
        for dialect in Dialect:
            program = find_harness(SPOKEN[dialect])
            served = dialect in row.served
            assert works(Route.build, provider, dialect, "m") is served
            assert works(dialect_for, "program", (dialect,), provider) is served
            chosen: dict[str, Any] = {"session": "s", "pin": Pin.parse("c/m"), "key": None}
            assert works(choice_of, held, program, **chosen) is served
            assert [not option.why_not for option in options(held.config, {}, (dialect,))] == [served]
        for spoken in (None, OPENAI, ANTHROPIC):
            listed = [model["holdfast"]["dialects"] for model in listing(held.engine, spoken, None)["data"]]
            expected = [str(dialect) for dialect in row.served if spoken is None or dialect in spoken]
            assert listed == ([expected] if expected else [])
        session = Session("s", Pin.parse("c/m"))
        assert (obstacle(held.config, session) is None) is bool(row.served)


def test_what_is_not_served_is_translated_into_what_is(row: Row, home: Path) -> None:
    text = (home / "holdfast.toml").read_text().replace('translate = "never"\n', "")
    (home / "holdfast.toml").write_text(text)
    with holdfast.open(home) as held:
        for dialect in Dialect:
            chosen: dict[str, Any] = {"session": "s", "pin": Pin.parse("c/m"), "key": None}
            program = find_harness(SPOKEN[dialect])
            assert works(choice_of, held, program, **chosen) is bool(row.served)
            if row.served:
                choice = choice_of(held, program, **chosen)
                assert choice.dialect is dialect
                assert choice.connection.dialect in row.served
                assert (choice.connection.dialect is dialect) is (dialect in row.served)
            assert works(choice_of, held, program, **chosen, direct=True) is (dialect in row.served)


def test_every_command_shows_the_dialects_that_can_be_asked_in(row: Row, cli: Cli) -> None:
    names = [str(dialect) for dialect in row.served]
    (option,) = json.loads(cli("models", "--all", "--json").stdout)
    assert (option["dialects"], bool(option["why_not"])) == (names, not names)
    steps = json.loads(cli("check", "c", "--json").stdout)["steps"]
    assert [step["what"].partition(":")[0] for step in steps if step["step"] == "models"] == names
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    missing = " ".join(item["what"] for item in findings if "has no key for" in item["what"])
    spoken = [str(dialect) for dialect in Dialect if str(dialect) in row.entry or "openrouter" in row.entry]
    if "env:ANOTHER" in row.entry and "url =" in row.entry.splitlines()[0]:
        spoken = names
    assert sorted(dialect for dialect in spoken if dialect in missing) == sorted({*spoken} - {*names})


def test_check_calls_in_every_dialect_that_has_a_key(row: Row, cli: Cli, server: ScriptedProvider) -> None:
    result = cli("check", "c/m", "--no-probe")
    assert result.exit_code == (0 if row.served else 2)
    assert [(call.dialect, call.model) for call in server.calls] == [(dialect, "m") for dialect in row.served]
    assert "needs a key" not in result.stdout + result.stderr
    refreshed = cli("models", "--refresh")
    assert (refreshed.exit_code == 0) is bool(row.served)


# ------------------------------------------------------------------ refusals
def provider(name: str, *keys: Key, auth: Auth = Auth.BEARER) -> Provider:
    endpoints = tuple(Endpoint("https://c.example", dialect, auth) for dialect in Dialect)
    return Provider(ProviderName(name), endpoints, keys, models=("m",))


def key(label: str, *dialects: Dialect, auth: Auth = Auth.BEARER, name: str = "c") -> Key:
    own = tuple(Endpoint("https://own.example", dialect, auth) for dialect in dialects)
    return Key(ProviderName(name), label, f"env:{label}", endpoints=own)


def test_another_provider_is_offered_only_in_dialects_that_it_serves() -> None:
    bound = provider("c", key("K", CHAT))
    alone = Provider(ProviderName("a"), (Endpoint("https://a.example"),), (key("A", name="a"),))
    with pytest.raises(CannotHandOver) as refused:
        dialect_for("claude", (MESSAGES,), alone, [bound], translates=False)
    assert "'c' speaks" not in str(refused.value)
    able = provider("c", key("K", CHAT, MESSAGES))
    with pytest.raises(CannotHandOver, match="'c' speaks anthropic-messages"):
        dialect_for("claude", (MESSAGES,), alone, [able], translates=False)


def test_a_dialect_without_a_key_is_refused_with_the_command_that_adds_one() -> None:
    bound = provider("c", key("K", CHAT))
    step = "holdfast key add c --from env:NAME"
    with pytest.raises(CannotHandOver, match="provider 'c' has no key for that") as refused:
        dialect_for("claude", (MESSAGES,), bound, translates=False)
    assert refused.value.next_step == step
    with pytest.raises(
        IdentityError, match="for anthropic-messages: its keys are for openai-chat only"
    ) as lost:
        Route.build(bound, MESSAGES, "m")
    assert lost.value.next_step == step


def test_a_chosen_key_decides_the_dialect_of_a_program() -> None:
    both = provider("c", key("A", CHAT), key("B", MESSAGES))
    order = (CHAT, MESSAGES)
    assert dialect_for("pi", order, both) is CHAT
    assert dialect_for("pi", order, both, only_key="B") is MESSAGES
    with pytest.raises(WrongDialect, match="key 'B' of provider 'c' has no openai-chat endpoint"):
        Route.build(both, dialect_for("aider", (CHAT,), both, only_key="B", translates=False), "m", "B")


PLACES = [places for count in range(3) for places in combinations(Dialect, count)]


@pytest.mark.parametrize("auth", [Auth.BEARER, Auth.NONE])
@pytest.mark.parametrize("own", [Auth.BEARER, Auth.NONE])
def test_a_dialect_is_served_exactly_if_it_has_a_route(auth: Auth, own: Auth) -> None:
    for first, second in product(PLACES, PLACES):
        entry = provider("c", key("A", *first, auth=own), key("B", *second), auth=auth)
        for only, dialect in product((None, "A", "B"), Dialect):
            has_route = works(Route.build, entry, dialect, "m", only)
            assert (dialect in entry.served(only)) is has_route
