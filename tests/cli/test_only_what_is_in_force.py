"""Law 7: a fallback or a verdict that no request would obey any more is not shown as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.furnishing import Cli, write
from holdfast.config import Home, load
from holdfast.core.changes import Cooldown, CooldownStarted, FallbackStarted, KeyFailed, KeyKept, KeySucceeded
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.credentials import Vault
from holdfast.store.sqlite import SqliteStore

URL = "https://mimo.example/v1"
YEAR = 365 * 86_400.0


def learn(home: Path, *changes: object) -> None:
    """Store what requests learnt."""
    with SqliteStore(home / "state.db") as store:
        store.apply(list(changes), store.now())  # type: ignore[arg-type]


def now_and_mark(home: Path) -> tuple[float, str]:
    """The store's time, and the fingerprint of the key MIMO_KEY."""
    vault = Vault(home / "secrets.toml")
    key = load(Home.find()).providers["mimo"].keys[0]
    vault.secret(key)
    mark = vault.fingerprint(key, vault.pepper())
    with SqliteStore(home / "state.db") as store:
        return store.now(), mark or ""


def views(cli: Cli) -> list[str]:
    """What each command shows of session s."""
    commands = (
        ["session", "show", "s"],
        ["session", "list"],
        ["why", "s"],
        ["session", "show", "s", "--json"],
    )
    return [cli(*command).stdout for command in commands]


@pytest.mark.parametrize(
    ("seconds", "edited", "in_force"),
    [(300, False, True), (300, True, False), (-1, False, False), (YEAR, False, False)],
)
def test_a_fallback_is_shown_while_it_answers_and_no_longer(
    cli: Cli, furnished: Path, seconds: float, edited: bool, in_force: bool
) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    now, _ = now_and_mark(furnished)
    learn(furnished, FallbackStarted("s", "both/big", "transient", now + seconds))
    if edited:
        path = furnished / "holdfast.toml"
        lines = path.read_text().splitlines()
        write(path, "\n".join(line for line in lines if "both/big" not in line) + "\n")
    for text in views(cli)[:2]:
        assert ("fallback both/big" in text) == in_force, text
    assert (json.loads(views(cli)[3])["fallback"] is not None) == in_force
    why = json.loads(cli("why", "s", "--json").stdout)
    assert (why["connection"][0]["value"] == "both") == in_force


@pytest.mark.parametrize("edited", [False, True])
def test_the_key_that_a_session_used_is_shown_while_its_provider_has_it(
    cli: Cli, furnished: Path, edited: bool
) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    learn(furnished, KeyKept("s", "team"))
    if edited:
        path = furnished / "holdfast.toml"
        path.write_text(
            path.read_text().replace(', { from = "store:team", label = "team", account = "team" }', "")
        )
    assert ("team, used as long as it works" in views(cli)[0]) != edited
    assert json.loads(views(cli)[3])["kept_key"] == (None if edited else "team")


def test_a_verdict_from_before_the_clock_was_set_back_is_not_shown(cli: Cli, furnished: Path) -> None:
    now, mark = now_and_mark(furnished)
    fault = Fault(FaultClass.QUOTA_EXHAUSTED, scope=Scope.ACCOUNT)
    name = f"key:{mark}@{URL}"
    learn(
        furnished,
        KeySucceeded(mark, URL, "mimo-pro", "", now - 60, durable=True),
        KeyFailed(mark, URL, FaultClass.AUTH_REJECTED, now + YEAR),
        CooldownStarted(Cooldown(name, now + YEAR + 3600, now + YEAR, 0, fault)),
    )
    text = cli("key", "list", "mimo").stdout
    assert "worked at mimo.example" in text
    assert "quota_exhausted" not in text
    assert "auth_rejected" not in text
    assert "quota_exhausted" not in cli("doctor").stdout


def test_a_verdict_on_one_model_names_the_model_beside_what_still_works(cli: Cli, furnished: Path) -> None:
    now, mark = now_and_mark(furnished)
    fault = Fault(FaultClass.QUOTA_EXHAUSTED, scope=Scope.KEY_MODEL)
    name = f"key:{mark}@{URL}#mimo-pro"
    learn(
        furnished,
        KeySucceeded(mark, URL, "mimo-lite", "", now - 60, durable=True),
        CooldownStarted(Cooldown(name, now + 3600, now, 0, fault)),
    )
    text = cli("key", "list", "mimo").stdout
    assert "quota_exhausted for mimo-pro until" in text
    assert "quota_exhausted for mimo-pro until" in cli("doctor").stdout
