"""Commands over many providers, keys and sessions: what they print stays short, and their cost follows the
number."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cli.furnishing import Cli, write
from holdfast.cli.store import shown_size
from holdfast.config import Home, load
from holdfast.core.changes import Cooldown, CooldownStarted
from holdfast.core.faults import Fault, FaultClass
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine.resting import Resting
from holdfast.store.journal_events import Event, SessionCreated
from holdfast.store.sqlite import SqliteStore
from holdfast.store.usage import Usage, day_of

DAY = 86400.0


def opened(home: Path) -> SqliteStore:
    return SqliteStore(home / "state.db")


def with_sessions(home: Path, count: int, pin: str = "mimo/mimo-pro") -> None:
    with opened(home) as store:
        for number in range(count):
            store.save_session(Session(f"s{number:02}", Pin.parse(pin), changed_at=1e9 + number), None)


def test_sessions_are_listed_by_pages_or_all_at_once(cli: Cli, furnished: Path) -> None:
    with_sessions(furnished, 25)
    names = [f"s{number:02}" for number in reversed(range(25))]
    first = cli("session", "list", "--limit", "10", "--json")
    assert [shown["id"] for shown in json.loads(first.stdout)] == names[:10]
    _, _, command = first.stderr.strip().partition("there are more: holdfast ")
    words = command.replace("'", "").split()
    assert [shown["id"] for shown in json.loads(cli(*words, "--json").stdout)] == names[10:20]
    shown = cli(*words).stdout
    assert ("s14" in shown, "s15" in shown, "run: holdfast session list --limit 10 --after" in shown) == (
        True,
        False,
        True,
    )
    whole = cli("session", "list", "--limit", "10", "--all", "--json")
    assert ([shown["id"] for shown in json.loads(whole.stdout)], whole.stderr) == (names, "")
    wrong = cli("session", "list", "--after", "s15")
    assert (wrong.exit_code, "continues no list" in wrong.stderr) == (2, True)


def test_sessions_that_nobody_uses_are_counted_first_and_then_removed(cli: Cli, furnished: Path) -> None:
    with_sessions(furnished, 25)
    with opened(furnished) as store:
        store.record([Event(1e9 + 40 * DAY, SessionCreated(), "s03")])
        store.save_session(Session("now", Pin.parse("mimo/mimo-pro"), changed_at=1e9 + 50 * DAY), None)
    counted = cli("session", "remove", "--unused-for", "30d").stdout
    assert counted.startswith("24 sessions would be removed; nothing was changed: s00, s01, s02, s04")
    assert "s24" not in counted, "the first twenty are named"
    command = counted.partition("run: holdfast ")[2].split()
    assert cli(*command).stdout == "Removed 24 sessions\n"
    with opened(furnished) as store:
        assert [session.id for session in store.sessions()] == ["now", "s03"]
    assert cli(*command).stdout == "Removed 0 sessions\n"
    assert cli(*command[:-1]).stdout == "every session was used within 30d\n"
    for wrong in ([], ["now", "--unused-for", "30d"], ["--unused-for", "soon"], ["--unused-for", "-1"]):
        refused = cli("session", "remove", *wrong)
        assert refused.exit_code == 2, refused.output


def test_long_lists_of_sessions_are_cut_where_a_command_names_them(cli: Cli, furnished: Path) -> None:
    with_sessions(furnished, 25)
    assert "s05 and 5 more" in cli("provider", "show", "mimo").stdout
    refused = cli("provider", "remove", "mimo").stderr
    assert ("used by 25 sessions" in refused, "and 5 more" in refused, "s04" in refused) == (
        True,
        True,
        False,
    )
    renamed = cli("provider", "rename", "mimo", "other").stdout
    assert renamed == "provider 'mimo' is now 'other', also in 25 sessions\n"
    (furnished / "holdfast.toml").write_text("")
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    about_sessions = [finding for finding in findings if finding["check"] == "session"]
    assert len(about_sessions) == 21
    assert about_sessions[-1]["what"].startswith("5 other sessions on other/mimo-pro would not resume either")


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions of ours and of Python's are called, a measure that no load disturbs."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_a_list_of_twice_as_many_providers_costs_twice_as_much(home: Path) -> None:
    from holdfast.cli.provider import view

    costs = []
    for count in (50, 100):
        lines = [
            f'[provider.p{n}]\nurl = "http://127.0.0.1:9/v1"\nmodels = [{{ id = "m", context = 9 }}]\n'
            for n in range(count)
        ]
        write(home / "holdfast.toml", "".join(lines))
        config = load(Home.find())

        class Facts(dict[Pin, object]):
            def __iter__(self):  # type: ignore[no-untyped-def]
                raise AssertionError("the facts of all providers are looked through")

            def items(self):  # type: ignore[no-untyped-def]
                return iter(self)

        object.__setattr__(config, "facts", Facts(config.facts))
        views = [view(config, provider) for provider in config.providers.values()]
        assert all(shown["model_facts"] == {"m": {"context": 9}} for shown in views)
        costs.append(calls_of(lambda: [view(config, each) for each in config.providers.values()]))  # noqa: B023
    assert costs[1] < 2.2 * costs[0]


def test_the_cooldowns_of_a_key_are_found_without_a_look_at_all_of_them() -> None:
    fault = Fault(FaultClass.RATE_LIMITED)
    names = [f"key:{n:04}@https://h/v1{model}" for n in range(500) for model in ("", "#m")]
    names += [
        "endpoint:https://h/v1",
        "model:m@https://h/v1",
        "model:m@https://h/v2",
        "account:p:a@https://h/v1",
    ]
    resting = Resting(CooldownStarted(Cooldown(name, 9.0, 1.0, 1, fault)).cooldown for name in names)
    findings = resting.beginning(("key:0007@", "account:p:a@", "key:0007@"))
    assert [each.subject for each in findings] == [
        "key:0007@https://h/v1",
        "key:0007@https://h/v1#m",
        "account:p:a@https://h/v1",
    ]
    assert resting.beginning(("key:9999@",)) == []
    at = [each.subject for each in resting.at_endpoint("https://h/v1")]
    assert at == ["endpoint:https://h/v1", "model:m@https://h/v1"]
    assert (bool(resting), bool(Resting([])), resting.at_endpoint("https://h")) == (True, False, ())
    assert calls_of(lambda: resting.beginning(("key:0007@",))) < 40


def test_the_store_tells_its_size_and_is_made_smaller(cli: Cli, furnished: Path) -> None:
    assert "journal" in cli("store", "status").stdout, "a home without a store can be asked"
    with_sessions(furnished, 3)
    with opened(furnished) as store:
        now = store.now()
        text = "p/" + "m" * 500
        for days, lines in ((100, 400), (50, 1), (3, 1), (0, 1)):
            store.record([Event(now - days * DAY, SessionCreated(), "s01", pin=text) for _ in range(lines)])
    with (furnished / "holdfast.toml").open("a") as file:
        file.write('\n[store]\nkeep = "30d"\nforget_sessions = "70d"\n')
    status = json.loads(cli("store", "status", "--json").stdout)
    assert status["prunable"] == {"journal": 401, "session": 2}
    assert status["settings"] == {"keep": 30 * DAY, "forget_sessions": 70 * DAY, "max_size": 256 * 1024**2}
    rows = {table["name"]: table["rows"] for table in status["tables"]}
    assert (rows["journal"], rows["session"], status["shrinks"]) == (403, 3, True)
    shown = cli("store", "status").stdout
    assert "401 lines of the journal and 2 sessions are older than they are kept" in shown
    pruned = json.loads(cli("store", "prune", "--json").stdout)
    assert pruned["deleted"] == 403
    assert pruned["size"] < pruned["size_before"] == status["size"]
    assert "run:" not in cli("store", "status").stdout
    assert cli("store", "prune").stdout.startswith("Deleted 0 rows\nThe store has ")
    with closing(sqlite3.connect(furnished / "state.db")) as plain:  # as an older version made it
        plain.execute("PRAGMA auto_vacuum = NONE")
        plain.execute("VACUUM")
    assert "run: holdfast store vacuum" in cli("store", "status").stdout
    assert set(json.loads(cli("store", "vacuum", "--json").stdout)) == {"size", "size_before"}
    assert "run:" not in cli("store", "status").stdout


def test_sizes_are_shown_for_people() -> None:
    assert [shown_size(size) for size in (0, 1023, 1536, 256 * 1024**2, 1 << 50)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "256.0 MiB",
        "1024.0 TiB",
    ]


def test_usage_is_told_by_day_and_pin_or_as_asked_for(cli: Cli, furnished: Path) -> None:
    assert cli("usage").stdout == "no request was answered in these days\n"
    with_sessions(furnished, 1)
    with opened(furnished) as store:
        today, before = day_of(store.now()), day_of(store.now() - 8 * DAY)
        store.add_usage([Usage(today, "s00", "team", "mimo/mimo-pro", 1200, 5, 6)])
        store.add_usage([Usage(before, "s00", "MIMO_KEY", "mimo/mimo-pro", 1, 1, 1)])
    assert cli("usage").stdout.splitlines()[2].split() == [today, "mimo/mimo-pro", "1,200", "5", "6"]
    by_key = json.loads(cli("usage", "--by", "key", "--days", "7", "--session", "s00", "--json").stdout)
    assert by_key == [{"key": "team", "requests": 1200, "tokens_in": 5, "tokens_out": 6}]
    assert json.loads(cli("usage", "--session", "none", "--json").stdout) == []
    assert "usage     1,201 requests, 6 tokens in, 7 out (mimo/mimo-pro)" in cli("why", "s00").stdout
