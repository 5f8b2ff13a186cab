"""`holdfast provider endpoint`: an entry gets another dialect, keeps the ones it has, and the file its
comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.furnishing import Cli, write
from holdfast.config import load
from holdfast.config.home import Home
from holdfast.core.identity import Auth, Dialect, Provider

MESSAGES = "anthropic-messages=https://x.example/anthropic"
HAS = {Dialect.OPENAI_CHAT: "https://x.example/v1", Dialect.ANTHROPIC_MESSAGES: "https://x.example/anthropic"}
OF_GROQ = dict.fromkeys((Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES), "https://api.groq.com/openai/v1")

ENTRIES = {
    "a url": ('url = "https://x.example/v1"', HAS),
    "a url of a dialect": (
        'url = "https://x.example/v1"\ndialect = "openai-responses"',
        {
            Dialect.OPENAI_RESPONSES: "https://x.example/v1",
            Dialect.ANTHROPIC_MESSAGES: "https://x.example/anthropic",
        },
    ),
    "a url over a preset": ('preset = "groq"\nurl = "https://x.example/v1"', HAS),
    "a preset": ('preset = "groq"', {**OF_GROQ, Dialect.ANTHROPIC_MESSAGES: "https://x.example/anthropic"}),
    "endpoints in a line": ('endpoints = { openai-chat = "https://x.example/v1" }   # mine', HAS),
    "endpoints in a table": ('[provider.x.endpoints]   # mine\nopenai-chat = "https://x.example/v1"', HAS),
    "an address to replace": (
        'endpoints = { anthropic-messages = "https://old.example", openai-chat = "https://x.example/v1" }',
        HAS,
    ),
    "headers in a table": ('url = "https://x.example/v1"\n[provider.x.headers]\nX-Team = "a"', HAS),
}


def written(home: Path, text: str) -> None:
    write(
        home / "holdfast.toml",
        f'# my own words\n[provider.x]\n{text}\n\n# the next\n[provider.y]\npreset = "groq"\n',
    )


def the_provider() -> Provider:
    return load(Home.find()).providers["x"]  # type: ignore[index]


@pytest.mark.parametrize(("text", "means"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_any_form_gets_the_endpoint_and_keeps_its_others(
    cli: Cli, home: Path, text: str, means: dict[Dialect, str]
) -> None:
    written(home, text)
    done = cli("provider", "endpoint", "x", MESSAGES)
    assert (done.exit_code, done.stderr) == (0, "")
    assert {endpoint.dialect: endpoint.url for endpoint in the_provider().endpoints} == means
    assert "provider 'x' speaks anthropic-messages at https://x.example/anthropic" in done.stdout
    after = (home / "holdfast.toml").read_text()
    assert after.startswith("# my own words\n")
    assert "# the next\n[provider.y]" in after
    assert ("# mine" in after) == ("# mine" in text)
    assert load(Home.find()).providers["y"].preset == "groq"  # type: ignore[index]


def test_a_keys_own_url_becomes_the_endpoint_that_it_was(cli: Cli, home: Path) -> None:
    written(
        home,
        'url = "https://x.example/v1"\nkeys = ["env:A", { from = "env:B", url = "https://eu.example/v1" }]',
    )
    assert cli("provider", "endpoint", "x", MESSAGES).exit_code == 0
    plain, own = the_provider().keys
    assert (plain.endpoints, [(endpoint.dialect, endpoint.url) for endpoint in own.endpoints]) == (
        (),
        [(Dialect.OPENAI_CHAT, "https://eu.example/v1")],
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((MESSAGES,), Auth.BEARER),
        ((MESSAGES, "--auth", "x-api-key"), Auth.X_API_KEY),
        (("anthropic-messages=https://api.anthropic.com",), Auth.X_API_KEY),
    ],
)
def test_the_key_is_shown_as_said_else_as_a_preset_of_the_host_says(
    cli: Cli, home: Path, given: tuple[str, ...], shown: Auth
) -> None:
    written(home, 'url = "https://x.example/v1"')
    assert cli("provider", "endpoint", "x", *given).exit_code == 0
    assert [endpoint.auth for endpoint in the_provider().endpoints] == [Auth.BEARER, shown]


def test_a_providers_own_auth_style_holds_for_the_new_endpoint_too(cli: Cli, home: Path) -> None:
    written(home, 'url = "https://x.example/v1"\nauth = "api-key"')
    assert cli("provider", "endpoint", "x", MESSAGES).exit_code == 0
    assert [endpoint.auth for endpoint in the_provider().endpoints] == [Auth.API_KEY, Auth.API_KEY]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://x.example", "'https' is not DIALECT=URL"),
        ("openai-chat=https://a.example openai-chat=https://b.example", "'openai-chat' is given twice"),
        ("openai=https://x.example", "must be one of openai-chat"),
        ("anthropic-messages=https://x.example/v1", "is what precedes '/v1'"),
        ("openai-chat=nonsense", "is not an http(s) URL"),
    ],
)
def test_what_is_no_endpoint_is_refused_and_nothing_is_changed(
    cli: Cli, home: Path, given: str, expected: str
) -> None:
    written(home, 'url = "https://x.example/v1"')
    before = (home / "holdfast.toml").read_bytes()
    refused = cli("provider", "endpoint", "x", *given.split())
    assert refused.exit_code == 2
    assert expected in refused.stderr
    assert "run: holdfast provider endpoint --help" in refused.stderr
    assert (home / "holdfast.toml").read_bytes() == before


KEYS_AT_THE_HOST = {
    "a url": 'url = "URL"\nkeys = [{ from = "env:B", url = "URL" }]\n',
    "endpoints": 'endpoints = { openai-chat = "URL" }\nkeys = [{ from = "env:B", url = "URL" }]\n',
    "lists of tables": 'endpoints.openai-chat = "URL"\n[[provider.x.keys]]\nfrom = "env:B"\nurl = "URL"\n',
}


@pytest.mark.parametrize("text", KEYS_AT_THE_HOST.values(), ids=KEYS_AT_THE_HOST)
def test_the_command_that_doctor_prints_adds_the_dialect(text: str, home: Path, cli: Cli) -> None:
    url = "https://token-plan-cn.xiaomimimo.com/v1"
    write(home / "holdfast.toml", "[provider.x]\n" + text.replace("URL", url))
    command = "provider endpoint x anthropic-messages=https://token-plan-cn.xiaomimimo.com/anthropic"
    assert f"run: holdfast {command} " in cli("doctor").stdout
    added = cli(*command.split())
    assert (added.exit_code, added.stderr) == (0, "")
    assert "provider endpoint" not in cli("doctor").stdout
