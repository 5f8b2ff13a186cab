"""The endpoints of a provider have one owner: its preset, or its user, never a mix. Every face of Holdfast
must go by the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import tomlkit
from click.testing import CliRunner

import holdfast
from gateway.conftest import QUICK, TOKEN, Running
from holdfast.cli import app
from holdfast.cli.run_choice import choice_of, find_harness
from holdfast.config import load
from holdfast.config.home import Home
from holdfast.config.parse import parse
from holdfast.core.errors import HoldfastError
from holdfast.core.identity import Auth, Dialect, Pin, ProviderName
from holdfast.fake_provider import ScriptedProvider
from preset_table import replace_presets

CHAT, RESPONSES, MESSAGES = Dialect
PATHS = {CHAT: "/v1/chat/completions", RESPONSES: "/v1/responses", MESSAGES: "/v1/messages"}
SPEAKERS = {CHAT: "llm", RESPONSES: "codex", MESSAGES: "claude"}
"""A program for each dialect that speaks no other."""

# Where something may be: at its preset's maker, at its user's, at the user's European address. `v1` is with
# the version.
MAKER = {
    "name": "Maker",
    "env": [],
    "endpoints": {CHAT: "vendor/v1", RESPONSES: "vendor/v1", MESSAGES: "vendor"},
}
MESSAGES_ONLY = {"name": "M", "env": [], "auth": "x-api-key", "endpoints": {MESSAGES: "vendor"}}
LOCAL = {"name": "L", "env": [], "auth": "none", "endpoints": {CHAT: "vendor/v1"}}
ROWS: Mapping[str, Mapping[str, Any]] = {"maker": MAKER, "messages-only": MESSAGES_ONLY, "local": LOCAL}
ALL_OF_VENDOR = {CHAT: "vendor", RESPONSES: "vendor", MESSAGES: "vendor"}
KEY = "env:THE_KEY"


@dataclass(frozen=True)
class Case:
    """An entry as its user writes it, and where each dialect of it is; a dialect that is not named there is
    not spoken at all."""

    entry: Mapping[str, object]
    means: Mapping[Dialect, str]


CASES = {
    "a preset alone": Case({"preset": "maker", "keys": [KEY]}, ALL_OF_VENDOR),
    "a url alone": Case({"url": "mine/v1", "keys": [KEY]}, {CHAT: "mine"}),
    "a url over a preset": Case({"preset": "maker", "url": "mine/v1", "keys": [KEY]}, {CHAT: "mine"}),
    "a url that speaks another dialect": Case(
        {"preset": "maker", "url": "mine", "dialect": MESSAGES, "keys": [KEY]},
        {MESSAGES: "mine"},
    ),
    "a url over a preset of one dialect": Case(
        {"preset": "messages-only", "url": "mine", "keys": [KEY]},
        {MESSAGES: "mine"},
    ),
    "one endpoint over a preset": Case(
        {"preset": "maker", "endpoints": {RESPONSES: "mine/v1"}, "keys": [KEY]},
        {RESPONSES: "mine"},
    ),
    "two endpoints over a preset": Case(
        {"preset": "maker", "endpoints": {CHAT: "mine/v1", MESSAGES: {"url": "mine"}}, "keys": [KEY]},
        {CHAT: "mine", MESSAGES: "mine"},
    ),
    "a key's own endpoint beside a preset": Case(
        {"preset": "maker", "keys": [{"from": KEY, "endpoints": {CHAT: "eu/v1"}}]},
        {CHAT: "eu"},
    ),
    "a key's own url over a url": Case(
        {"url": "mine/v1", "keys": [{"from": KEY, "url": "eu/v1"}]}, {CHAT: "eu"}
    ),
    "a key's own url over a url over a preset": Case(
        {"preset": "maker", "url": "mine/v1", "keys": [{"from": KEY, "url": "eu/v1"}]},
        {CHAT: "eu"},
    ),
    "a key's own endpoint in a dialect that only it has": Case(
        {"url": "mine/v1", "keys": [{"from": KEY, "endpoints": {MESSAGES: "eu"}}]},
        {MESSAGES: "eu"},
    ),
}


def placed(value: Any, places: Mapping[str, str]) -> Any:
    """The same with the names of places replaced by their addresses."""
    if isinstance(value, Mapping):
        return {str(name): placed(item, places) for name, item in value.items()}
    if isinstance(value, list):
        return [placed(item, places) for item in value]
    name, slash, version = value.partition("/")
    return f"{places[name]}{slash}{version}" if name in places else value


class Ground:
    """A home with one provider `p`, whose preset's maker, user and European address are at these places."""

    def __init__(self, home: Path, case: Case, places: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
        self.places, self.home = places, home
        rows = placed(ROWS, places)
        replace_presets(patch, rows)
        patch.setenv("THE_KEY", "sk-the-key-0123456789")
        entry = {"models": ["m"], "translate": "never", **placed(case.entry, places)}
        (home / "holdfast.toml").write_text(tomlkit.dumps({"provider": {"p": entry}}), "utf-8")

    def name_of(self, url: str) -> str:
        """The name of the place where a URL leads."""
        return next(name for name, address in self.places.items() if url.removesuffix("/v1") == address)

    def command(self, *words: str) -> Any:
        """What a command prints as JSON; a refusal is an empty list."""
        done = CliRunner().invoke(app, [*words, "--json"])
        return json.loads(done.stdout or "[]")


def as_shown(ground: Ground) -> dict[Dialect, str]:
    shown = ground.command("provider", "show", "p")["endpoints"]
    return {Dialect(endpoint["dialect"]): ground.name_of(endpoint["url"]) for endpoint in shown}


def as_listed(ground: Ground) -> dict[Dialect, str]:
    result: dict[Dialect, str] = {}
    for dialect, program in SPEAKERS.items():
        for group in ground.command("models", "--harness", program):
            (option,) = group["options"]
            result[dialect] = ground.name_of(option["connection"]["url"])
    return result


def as_connected(ground: Ground) -> dict[Dialect, str]:
    """What `connect` would list for a program, as its gateway serves it."""
    from holdfast.cli.connect import _models
    from holdfast.cli.context import CliContext

    result: dict[Dialect, str] = {}
    for dialect, program in SPEAKERS.items():
        try:
            (option,) = _models(CliContext(), find_harness(program))
        except HoldfastError:
            continue
        assert (option.translated or option.dialects[0]) is dialect
        result[dialect] = "offered"
    return result


def as_run(ground: Ground) -> dict[Dialect, str]:
    result: dict[Dialect, str] = {}
    with holdfast.open() as held:
        for dialect, program in SPEAKERS.items():
            try:
                handed = choice_of(held, find_harness(program), session="s", pin=Pin.parse("p/m"), key=None)
            except HoldfastError:
                continue
            result[dialect] = ground.name_of(handed.connection.endpoint.url)
    return result


def as_doctor_warns(ground: Ground) -> set[str]:
    """The places that `doctor` finds to be reached in the clear."""
    warnings = [
        finding["what"] for finding in ground.command("doctor")["findings"] if finding["check"] == "address"
    ]
    return {ground.name_of(what.rpartition(" ")[2]) for what in warnings}


OFFLINE = {"vendor": "http://vendor.example", "mine": "http://mine.example", "eu": "http://eu.example"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_command_names_the_same_addresses(
    case: Case, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(home, case, OFFLINE, monkeypatch)
    assert as_listed(ground) == as_run(ground) == case.means
    assert as_connected(ground) == dict.fromkeys(case.means, "offered")
    has_its_own = any(isinstance(key, dict) for key in case.entry["keys"])  # type: ignore[attr-defined]
    if not has_its_own:
        assert as_shown(ground) == case.means
        assert as_doctor_warns(ground) == set(case.means.values())
    elif case.entry.get("preset") is None or "url" in case.entry:
        assert as_doctor_warns(ground) == {"mine", "eu"}


@pytest.fixture
def online() -> Iterator[dict[str, ScriptedProvider]]:
    made = {name: ScriptedProvider(models=["m"]) for name in ("vendor", "mine", "eu")}
    yield made
    for server in made.values():
        server.close()


def arrived(online: Mapping[str, ScriptedProvider]) -> dict[Dialect, str]:
    """Which dialect was asked for where."""
    return {
        seen.dialect: name
        for name, server in online.items()
        for seen in server.calls
        if seen.dialect is not None
    }


def by_library(ground: Ground) -> None:
    with holdfast.open() as held:
        transport = held.session("s", "p/m").transport()
        with httpx2.Client(transport=transport, base_url="http://holdfast.invalid") as client:
            for path in PATHS.values():
                client.post(path, json={"model": "m", "messages": [], "input": "x", "max_tokens": 5})


def by_gateway(ground: Ground) -> None:
    running = Running(ground.home, QUICK, None, "asyncio")
    try:
        with httpx2.Client(base_url=running.root, headers={"authorization": f"Bearer {TOKEN}"}) as client:
            for path in PATHS.values():
                client.post(path, json={"model": "p/m", "messages": [], "input": "x", "max_tokens": 5})
    finally:
        running.close()


@pytest.mark.parametrize("face", [by_library, by_gateway])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_dialect_is_asked_for_where_its_owner_says_or_not_at_all(
    case: Case,
    face: Callable[[Ground], None],
    home: Path,
    online: dict[str, ScriptedProvider],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ground = Ground(home, case, {name: server.root for name, server in online.items()}, monkeypatch)
    face(ground)
    assert arrived(online) == case.means
    strangers = {name for name, server in online.items() if server.requests} - set(case.means.values())
    assert not strangers


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_check_asks_no_address_but_those_of_the_owner(
    case: Case, home: Path, online: dict[str, ScriptedProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(home, case, {name: server.root for name, server in online.items()}, monkeypatch)
    ground.command("check", "p/m")
    assert {name for name, server in online.items() if server.requests} == set(case.means.values())


# How a key is shown where the user's address replaces a preset's: as the preset shows it in that dialect.
STYLES = [
    ({"preset": "messages-only", "url": "https://x.example"}, {MESSAGES: Auth.X_API_KEY}),
    ({"preset": "messages-only", "url": "https://x.example", "dialect": CHAT}, {CHAT: Auth.BEARER}),
    ({"preset": "messages-only", "url": "https://x.example", "auth": "api-key"}, {MESSAGES: Auth.API_KEY}),
    (
        {
            "preset": "messages-only",
            "endpoints": {MESSAGES: "https://x.example", CHAT: "https://x.example/v1"},
        },
        {MESSAGES: Auth.X_API_KEY, CHAT: Auth.BEARER},
    ),
    (
        {"preset": "messages-only", "endpoints": {MESSAGES: {"url": "https://x.example", "auth": "bearer"}}},
        {MESSAGES: Auth.BEARER},
    ),
    ({"preset": "local", "url": "http://127.0.0.1:5/v1"}, {CHAT: Auth.NONE}),
    ({"preset": "maker", "url": "https://x.example/v1"}, {CHAT: Auth.BEARER}),
]


@pytest.mark.parametrize(("entry", "shown"), STYLES)
def test_a_preset_keeps_its_auth_style_where_the_user_gives_the_address(
    entry: Mapping[str, object], shown: Mapping[Dialect, Auth]
) -> None:
    rows = placed(ROWS, OFFLINE)
    config = parse({"provider": {"p": entry}}, presets=rows.get, locate=str)
    made = config.providers[ProviderName("p")]
    assert {endpoint.dialect: endpoint.auth for endpoint in made.endpoints} == shown
    assert made.preset == entry["preset"]


def test_headers_beside_a_preset_go_to_whatever_address_the_entry_has(home: Path) -> None:
    (home / "holdfast.toml").write_text(
        '[provider.p]\npreset = "deepseek"\nurl = "https://x.example/v1"\nheaders = { "X-Team" = "a" }\n'
    )
    (endpoint,) = load(Home.find()).providers[ProviderName("p")].endpoints
    assert endpoint.headers == (("X-Team", "a"),)
