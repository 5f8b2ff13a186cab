"""What `--json` prints: one rule for every command, and the members that docs/reference/cli.md names."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from cli.furnishing import Cli
from holdfast.cli import app
from holdfast.core.faults import Reply
from holdfast.core.identity import ProviderName
from holdfast.core.provisioning_state import Capability, Record
from holdfast.engine.unclassified import UnclassifiedReplies
from holdfast.gateway.registry import SERVE, registered
from holdfast.providers import profiles
from holdfast.store.journal_events import Event, SessionResumed
from holdfast.store.sqlite import SqliteStore
from holdfast.store.usage import Usage, day_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
JSON_TABLE = re.compile(r"^\| command \| prints \| members \|\n(.*?)\n\n", re.MULTILINE | re.DOTALL)

LINES = {
    "check": "check local/small --no-probe",
    "config path": "config path",
    "config upgrade": "config upgrade",
    "doctor": "doctor",
    "import": "import env",
    "key list": "key list",
    "models": "models",
    "models --harness": "models --harness pi",
    "provider list": "provider list",
    "provider presets": "provider presets xiaomi",
    "provider show": "provider show mimo",
    "provision status": "provision status",
    "report --list": "report --list",
    "run --list": "run --list",
    "session list": "session list",
    "session move": "session move --from mimo --to both",
    "session show": "session show s",
    "status": "status",
    "store prune": "store prune",
    "store status": "store status",
    "store vacuum": "store vacuum",
    "token list": "token list",
    "token new": "token new",
    "token revoke": "token revoke {token}",
    "usage": "usage",
    "why": "why s",
}
ELSEWHERE = ("demo", "heal", "heal hermes", "provision adopt", "provision obtain", "provision repair")
ELSEWHERE += ("provision resolve", "provision retire", "provision verify", "serve")
"""Commands that need more than a home: tests of their own look at what they print."""
BY_NAME = ("detail", "endpoints", "entries", "fallbacks", "model_facts", "roles")
"""Members whose own members are not named in the table: they are the user's names, or have a page."""
REFUSAL = "a refusal, on stderr"
WITHOUT = {
    "classify": "lines of JSON",
    "completion": "a script",
    "config schema": "JSON",
    "env": "a script",
    "logs": "a log",
    "session export": "JSON",
}
"""What is printed by the commands that show something and have no `--json`. All others change something."""
CHANGES = (
    "config edit|connect|disconnect|init|key add|key login|key remove|key reset|provider add|provider edit|"
    "provider endpoint|provider remove|provider rename|session import|session pin|session remove|setup|stop|"
    "store pepper"
).split("|")


def leaves(command: click.Command, path: str = "") -> Iterator[tuple[str, bool]]:
    """Yield every command by its words, and whether it has `--json`."""
    if isinstance(command, click.Group):
        if any("--json" in option.opts for option in command.params):
            yield path, True
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, f"{path} {name}".strip())
    else:
        yield path, any("--json" in option.opts for option in command.params)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the rows of the table by command: what is printed, and the names of its members."""
    match = JSON_TABLE.search(DOCUMENT.read_text("utf-8"))
    assert match is not None
    matches: dict[str, tuple[str, set[str]]] = {}
    for line in match[1].splitlines()[1:]:
        commands, prints, members = (cell.strip() for cell in line.strip("|").split(" | "))
        for name in re.findall(r"`([^`]+)`", commands) or [commands]:
            matches[name] = prints, set(re.findall(r"`([^`]+)`", members))
            for other in re.findall(r"those of `([^`]+)`", members):
                matches[name][1].update(matches[other][1])
    return matches


def test_every_command_has_json_or_says_what_it_prints_instead() -> None:
    every = dict(leaves(app))
    assert sorted(name for name, has in every.items() if not has) == sorted([*WITHOUT, *CHANGES])
    with_json = {name for name, has in every.items() if has}
    assert {name.partition(" --")[0] for name in documented()} == with_json | {REFUSAL}
    assert {name.partition(" --")[0] for name in LINES} | {*ELSEWHERE} == with_json


@pytest.fixture
def populated(cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A home in which each command has something to show; gives the id of a token."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-openai-0123456789")
    cli("session", "pin", "s", "mimo/mimo-pro", "--key", "team")
    cli("session", "pin", "broken", "mimo/mimo-pro")
    token = json.loads(cli("token", "new", "--label", "laptop", "--json").stdout)["id"]
    with (
        SqliteStore(furnished / "state.db") as store,
        registered(furnished, "g", "http://127.0.0.1:9", SERVE),
    ):
        UnclassifiedReplies(furnished).keep(Reply(600), profiles.load(None), store.now())
        store.record([Event(store.now(), SessionResumed(), "s", pin="mimo/mimo-pro")])
        store.add_usage([Usage(day_of(store.now()), "s", "team", "mimo/mimo-pro", 1, 2, 3)])
        for name in ("team", "lost"):
            store.save_provision(Record(ProviderName(name), "litellm", Capability.REPLAYABLE), None)
        with closing(sqlite3.connect(furnished / "state.db")) as database, database:
            database.execute("UPDATE provision SET record = '{' WHERE name = 'lost'")
            database.execute("UPDATE session SET pin = 'odd' WHERE id = 'broken'")
        yield token


def test_every_command_prints_the_documented_json_and_ends_as_it_does_without(
    cli: Cli, populated: str
) -> None:
    table, wrong = documented(), list[str]()
    for name, line in LINES.items():
        words = line.format(token=populated).split()
        text, result = cli(*words), cli(*words, "--json")
        prints, members = table[name]
        if result.exit_code != text.exit_code:
            wrong.append(f"{name}: exit code {result.exit_code}, as text {text.exit_code}")
        shown = json.loads(result.stdout)
        if (isinstance(shown, list), bool(shown)) != (prints == "array", True):
            wrong.append(f"{name}: prints no {prints}, or an empty one")
        if isinstance(shown, list) and len({frozenset(item) for item in shown}) != 1:
            wrong.append(f"{name}: its objects have different members")
        wrong += [f"{name}: '{member}' is not documented" for member in sorted(names_in(shown) - members)]
        if "\x1b" in result.output:
            wrong.append(f"{name}: colours")
    assert not wrong, "\n".join(wrong)


def names_in(shown: Any) -> set[str]:
    """Return the names of all members, also of objects within."""
    if isinstance(shown, list):
        return set().union(*map(names_in, shown))
    if not isinstance(shown, dict):
        return set()
    within = (value for name, value in shown.items() if name not in BY_NAME)
    return set(shown).union(*map(names_in, within))


def test_every_refusal_is_json_where_json_was_asked_for(cli: Cli, furnished: Path) -> None:
    for name, has in leaves(app):
        if has:
            result = cli(*name.split(), "--json", "--no-such-option")
            error = json.loads(result.stderr)["error"]
            assert (name, result.stdout, result.exit_code, error["exit_code"]) == (name, "", 2, 2)
            assert set(error) <= documented()[REFUSAL][1], name
    assert cli("run", "nosuch", "--", "--json").stderr.startswith("holdfast: ")
