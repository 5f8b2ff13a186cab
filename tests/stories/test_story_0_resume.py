"""Story 0: identity lost on resume.

What was reported (NousResearch/hermes-agent#44108 and its relatives): an agent stores what it resolved,
`custom`, instead of the entry its user named. On resume it finds no provider, or sends a placeholder key and
gets a 401, or, where two entries share one URL, sends somebody else's key without any error. What must be
true: a resume restores exactly what was chosen, or refuses and says how to mend it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import openai
import pytest

from holdfast.core.config import Config
from holdfast.core.errors import ConfigError, ConnectionLost, IdentityError
from holdfast.core.identity import KINDS, Dialect
from holdfast.fake_provider import ScriptedProvider, ok, status
from holdfast.importers.legacy_rows import LegacyRow, recover_pin
from holdfast.sdk.api import Session
from holdfast.values.key_labels import label_of
from stories.faces import at_leisure_with_two_workers, library_only
from stories.story import (
    TEXT,
    WAYS,
    House,
    Way,
    ask,
    bad_key,
    entry,
    keys_seen,
    openai_client,
    refusal,
    value_of,
    workers,
)


@pytest.fixture
def plan(house: House) -> ScriptedProvider:
    """One URL, and two entries that share it: team A's account and team B's."""
    house.own("a", "b")
    plan = house.provider()
    house.write(entry("team-a", plan, "a"), entry("team-b", plan, "b"))
    return plan


def choose_team_b(house: House) -> None:
    """A session on the second of the two entries, with one good turn. The program that made it has ended."""
    with house.open() as held:
        assert ask(held.session("work", "team-b/m1")) == TEXT


def lost(session: Session) -> str:
    """What the SDK's user reads when the choice no longer resolves; nothing else happens."""
    error = refusal(session, model="m1")
    assert (error.status_code, error.response.headers["x-should-retry"]) == (409, "false")
    return str(error)


@library_only
def test_a_session_resumes_exactly_in_another_process_after_kill_9_in_the_middle_of_an_answer(
    house: House, plan: ScriptedProvider
) -> None:
    plan.follow(ok("word " * 500, event_delay=0.05))
    with workers("work", "streams", 1, "team-b/m1") as (first,):
        first.go()
        while "word" not in first.line():
            pass
        first.kill()
    plan.follow(ok())
    with workers("work", "turns", 2) as (second,):
        second.go()
        assert second.result() == {"200": 2}
    with house.open() as held:
        assert str(held.session("work").pin) == "team-b/m1"
        assert ask(held.session("work")) == TEXT
    assert keys_seen(plan) == ["b"] * 4


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
def test_two_entries_on_one_url_never_mix(house: House, plan: ScriptedProvider, way: Way) -> None:
    for _ in range(2):
        with house.open() as held:
            for team in ("a", "b"):
                assert way.say(held.session(team, f"team-{team}/m1")) == TEXT
    assert keys_seen(plan) == ["a", "b", "a", "b"]


def test_what_is_stored_is_what_the_user_typed_and_nothing_that_was_resolved(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    with closing(sqlite3.connect(house.path / "state.db")) as stored:
        stored.row_factory = sqlite3.Row
        (row,) = [dict(columns) for columns in stored.execute("SELECT * FROM session")]
    assert row["pin"] == "team-b/m1"
    written = str(row)
    assert plan.url not in written
    assert value_of("b") not in written


@at_leisure_with_two_workers
def test_a_resume_keeps_the_choice_whatever_default_a_program_offers(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    with house.open() as held:
        assert str(held.session("work", "team-a/m1").pin) == "team-b/m1"


@at_leisure_with_two_workers
def test_a_provider_that_is_renamed_takes_its_sessions_along(house: House, plan: ScriptedProvider) -> None:
    choose_team_b(house)
    done = house.command("provider", "rename", "team-b", "blue")
    assert done.returncode == 0, done.stderr
    with house.open() as held:
        session = held.session("work")
        assert str(session.pin) == "blue/m1"
        assert ask(session) == TEXT
    assert keys_seen(plan) == ["b", "b"]


def test_a_rename_does_not_disturb_a_program_that_is_running(house: House, plan: ScriptedProvider) -> None:
    with house.open() as held:
        session = held.session("work", "team-b/m1")
        with openai_client(session) as client:
            for new, old in (("team-b", "team-b"), ("blue", "team-b"), ("red", "blue")):
                if new != old:
                    assert house.command("provider", "rename", old, new).returncode == 0
                assert (
                    client.chat.completions.create(model="m1", messages=[]).choices[0].message.content == TEXT
                )
                assert str(session.pin) == f"{new}/m1"
    assert keys_seen(plan) == ["b"] * 3


def by_hand(house: House, old: str, new: str) -> None:
    """The user's own edit of holdfast.toml."""
    file = house.path / "holdfast.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_provider_renamed_by_hand_is_refused_with_the_name_it_could_have_now(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    by_hand(house, "[provider.team-b]", "[provider.blue]")
    with house.open() as held:
        with pytest.raises(ConnectionLost, match="there is no provider 'team-b'") as refused:
            held.session("work")
        assert "blue/m1" in refused.value.candidates
        assert refused.value.exit_code == 3
        assert "holdfast session pin work" in str(refused.value)
    assert len(plan.calls) == 1, "nothing is sent on a guess"
    assert house.command("session", "pin", "work", "blue/m1").returncode == 0
    with house.open() as held:
        assert ask(held.session("work")) == TEXT
    assert keys_seen(plan) == ["b", "b"]


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
def test_a_provider_that_was_removed_is_refused_and_its_neighbour_never_steps_in(
    house: House, plan: ScriptedProvider, way: Way
) -> None:
    with house.open() as held:
        session = held.session("work", "team-b/m1")
        house.write(entry("team-a", plan, "a"))
        # A program looks at the file twice a second; this story does not wait for it.
        held.engine.config_watch.expire()
        with pytest.raises(way.sdk.ConflictError, match="there is no provider 'team-b'"):
            way.say(session, max_retries=5)
    with house.open() as held:
        for pin in (None, "team-b/m2", "team-c/m1"):
            with pytest.raises(ConnectionLost, match="there is no provider 'team-b'"):
                held.session("work", pin)
    assert plan.calls == []


@library_only
def test_a_pin_that_is_asked_for_is_served_while_the_sessions_own_provider_is_gone(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    by_hand(house, "[provider.team-b]", "[provider.blue]")
    with house.open() as held:
        assert ask(held.session("work", "team-a/m1")) == TEXT
        assert [str(row.pin) for row in held.sessions()] == ["team-b/m1"], "only the user changes the choice"
        with pytest.raises(ConnectionLost):
            held.session("work")
    assert keys_seen(plan) == ["b", "a"]


@library_only
def test_removing_a_provider_tells_whose_sessions_it_strands_and_loses_none(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    done = house.command("provider", "remove", "team-b")
    assert "work" in done.stdout + done.stderr
    if done.returncode == 0:
        with house.open() as held, pytest.raises(ConnectionLost):
            held.session("work")
    with house.open() as held:
        assert [str(row.pin) for row in held.sessions()] == ["team-b/m1"], "only the user changes the choice"


def test_a_provider_that_moved_to_another_url_is_followed_there_with_its_own_key(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    moved = house.provider()
    house.write(entry("team-a", plan, "a"), entry("team-b", moved, "b"))
    with house.open() as held:
        assert ask(held.session("work")) == TEXT
    assert keys_seen(moved) == ["b"]
    assert len(plan.calls) == 1


def test_what_is_known_of_a_key_stays_with_the_url_where_it_was_learnt(
    house: House, plan: ScriptedProvider
) -> None:
    choose_team_b(house)
    moved = house.provider(status(401, bad_key()))
    house.write(entry("team-b", moved, "b"))
    with house.open() as held:
        error = refusal(held.session("work"))
    assert error.response.headers["holdfast-fault"] == "endpoint_mismatch", (
        "the key works at the old URL: it is not called bad"
    )
    assert len(moved.calls) == 1


def test_a_session_on_a_chosen_key_refuses_when_that_key_is_gone(
    house: House, plan: ScriptedProvider
) -> None:
    house.write(entry("team", plan, "a", "b"))
    with house.open() as held:
        session = held.session("work", "team/m1", key="b")
        assert ask(session) == TEXT
        house.write(entry("team", plan, "a"))
        held.engine.config_watch.expire()
        assert "has no key 'b'" in lost(session)
    with house.open() as held:
        with pytest.raises(ConnectionLost, match="has no key 'b'") as refused:
            held.session("work")
        assert refused.value.candidates == ("a",)
    assert house.command("session", "show", "work").stdout.count("has no key 'b'") == 1
    assert keys_seen(plan) == ["b"]


def key_file(house: House, label: str) -> str:
    """A file with the key of this label; the reference to it."""
    house.own(label)
    (house.path / label).write_text(value_of(label))
    return f"file:{house.path / label}"


def pool(plan: ScriptedProvider, *references: str) -> str:
    """The table of a provider whose keys have no labels of their own."""
    return f'[provider.team]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = {list(references)!r}\n'


def test_a_chosen_key_without_a_label_stays_the_session_s_wherever_it_stands(
    house: House, plan: ScriptedProvider
) -> None:
    first, second = key_file(house, "a"), key_file(house, "b")
    house.write(pool(plan, first, second))
    with house.open() as held:
        session = held.session("work", "team/m1", key=label_of(second))
        assert ask(session) == TEXT
        house.write(pool(plan, second, first))
        held.engine.config_watch.expire()
        assert ask(session) == TEXT
    assert keys_seen(plan) == ["b", "b"]


def test_a_chosen_key_that_is_gone_is_refused_everywhere_also_when_one_is_left(
    house: House, plan: ScriptedProvider
) -> None:
    first, second = key_file(house, "a"), key_file(house, "b")
    house.write(pool(plan, first, second))
    repair = f"holdfast session pin work team/m1 --key {label_of(first)}"
    with house.open() as held:
        session = held.session("work", "team/m1", key=label_of(second))
        house.write(pool(plan, first))
        held.engine.config_watch.expire()
        refused = lost(session)
        assert f"has no key '{label_of(second)}'" in refused
        assert f"could be: {label_of(first)}" in refused
        assert f"run: {repair}" in refused
    with house.open() as held, pytest.raises(ConnectionLost, match=repair):
        held.session("work")
    (row,) = json.loads(house.command("session", "list", "--json").stdout)
    assert (row["resumes"], row["candidates"], row["run"]) == (False, [label_of(first)], repair)
    for command in (("session", "show", "work"), ("doctor",), ("run", "claude", "--session", "work")):
        done = house.command(*command)
        assert label_of(first) in done.stdout + done.stderr, command
        assert repair in done.stdout + done.stderr, command
    assert (
        f"no entry of the configuration: provider 'team' has no key '{label_of(second)}'"
        in house.command("why", "work").stdout
    )
    assert plan.calls == []
    assert house.command(*repair.split()[1:]).returncode == 0
    with house.open() as held:
        assert ask(held.session("work")) == TEXT
    assert keys_seen(plan) == ["a"]


@library_only
def test_a_session_that_was_removed_is_not_created_again_by_a_running_program(
    house: House, plan: ScriptedProvider
) -> None:
    with house.open() as held:
        session = held.session("work", "team-b/m1")
        ask(session)
        assert house.command("session", "remove", "work").returncode == 0
        assert "there is no session 'work' any more" in lost(session)
        assert held.sessions() == []
    assert len(plan.calls) == 1


# A placeholder key does not exist
# -----------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_sent_and_the_message_names_the_variable(
    house: House, plan: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEY_B")
    with house.open() as held:
        session = held.session("work", "team-b/m1")
        with (
            openai_client(session) as client,
            pytest.raises(openai.AuthenticationError, match=r"No key was sent: cannot read env:KEY_B"),
        ):
            client.chat.completions.create(model="m1", messages=[])
    assert plan.requests == []


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
def test_an_endpoint_without_keys_gets_none_not_even_the_sdks(house: House, way: Way) -> None:
    local = house.provider()
    dialect_url = local.url.removesuffix("/v1") if way.dialect is Dialect.ANTHROPIC_MESSAGES else local.url
    house.write(
        "[provider.local]\n"
        f'endpoints = {{ {way.dialect} = {{ url = "{dialect_url}", auth = "none" }} }}\nmodels = ["m1"]\n'
    )
    with house.open() as held:
        assert way.say(held.session("work", "local/m1")) == TEXT
    assert [seen.key for seen in local.calls] == [None]
    assert not {"authorization", "x-api-key", "api-key"} & local.calls[0].headers.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
@library_only
def test_a_kind_is_never_accepted_as_a_name(house: House, plan: ScriptedProvider, kind: str) -> None:
    with house.open() as held, pytest.raises(IdentityError, match="is a kind, not a name"):
        held.session("work", f"{kind}/m1")
    house.write(entry(kind, plan, "a"))
    with pytest.raises(ConfigError, match=f"'{kind}' is a kind, not a name"), house.open():
        pass


# Rows that older software left
# --------------------------------------------------------------------------------------------

PLAN, GATEWAY, BOTH = "https://token-plan-cn.example/v1", "https://gateway.example/v1", "https://both.example"
CHAT, MESSAGES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES


@pytest.fixture
def known(house: House) -> Config:
    """What the user has now: two teams on one URL, a gateway of their own, a host that speaks two dialects
    under two entries."""
    house.write(
        f'[provider.team-a]\nurl = "{PLAN}"\nmodels = ["pro", "flash"]\nkeys = ["env:KEY_A"]\n',
        f'[provider.team-b]\nurl = "{PLAN}"\nmodels = ["pro", "vision"]\nkeys = ["env:KEY_B"]\n',
        f'[provider.my-gateway]\nurl = "{GATEWAY}"\nkeys = ["env:KEY_C"]\n',
        f'[provider.both-chat]\nurl = "{BOTH}/v1"\nmodels = ["m"]\nkeys = ["env:KEY_D"]\n',
        (
            f'[provider.both-messages]\nurl = "{BOTH}"\ndialect = "anthropic-messages"\nmodels = ["m"]\n'
            'keys = ["env:KEY_E"]\n'
        ),
        '[provider.router]\npreset = "openrouter"\nkeys = ["env:KEY_F"]\n',
    )
    with house.open() as held:
        return held.config


@pytest.mark.parametrize(
    ("report", "row", "pin"),
    [
        ("#44108: the class instead of the name", LegacyRow("custom", GATEWAY, "any"), "my-gateway/any"),
        (
            "#44022: only the class for billing, and a URL",
            LegacyRow("custom", GATEWAY + "/", "x/y:free"),
            "my-gateway/x/y:free",
        ),
        (
            "#102725: one URL twice, the model is known to one entry",
            LegacyRow("custom", PLAN, "vision"),
            "team-b/vision",
        ),
        ("#45578: the repaired form keeps the name", LegacyRow("custom:team-b", PLAN, "pro"), "team-b/pro"),
        ("#45578: and a display name", LegacyRow("custom:Team B", PLAN, "pro"), "team-b/pro"),
        (
            "#102725: one URL and model twice, the dialect is known",
            LegacyRow("custom", BOTH, "m", MESSAGES),
            "both-messages/m",
        ),
        (
            "#16878: stored without /v1",
            LegacyRow("custom", "https://gateway.example", "any"),
            "my-gateway/any",
        ),
        (
            "#57588: a genuine OpenRouter session under a name of its user's",
            LegacyRow("openrouter", "https://openrouter.ai/api/v1", "any"),
            "router/any",
        ),
        ("#74628: the entry's own name, no URL", LegacyRow("my-gateway", "", "any"), "my-gateway/any"),
    ],
)
@library_only
def test_a_row_of_older_software_is_healed_when_exactly_one_entry_can_be_meant(
    known: Config, report: str, row: LegacyRow, pin: str
) -> None:
    assert str(recover_pin(known, row)) == pin, report


@pytest.mark.parametrize(
    ("report", "row", "candidates"),
    [
        (
            "#14141: two entries, one URL: the first one's key was sent",
            LegacyRow("custom", PLAN, "pro"),
            {"team-a/pro", "team-b/pro"},
        ),
        (
            "#102725: one URL and model twice, the dialect is not known",
            LegacyRow("custom", BOTH, "m"),
            {"both-chat/m", "both-messages/m"},
        ),
        ("#74628: the bare class: another provider's key went out", LegacyRow("custom", "", "any"), set()),
        ("#44022: `auto` fell back to the global default", LegacyRow("auto", "", "any"), set()),
        (
            "#109765: a URL that nobody has: OpenRouter was billed",
            LegacyRow("custom", "https://gone.example/v1", "any"),
            set(),
        ),
        ("#44022: no model: the old model's name on a new provider", LegacyRow("custom", GATEWAY, ""), set()),
        ("#45578: a model that neither entry has", LegacyRow("custom", PLAN, "elsewhere"), set()),
        (
            "#45578: the name of one entry and the URL of another",
            LegacyRow("custom:team-a", GATEWAY, "pro"),
            {"team-a/pro", "my-gateway/pro"},
        ),
    ],
)
@library_only
def test_a_row_that_none_or_several_entries_match_asks_and_takes_none(
    known: Config, report: str, row: LegacyRow, candidates: set[str]
) -> None:
    with pytest.raises(ConnectionLost, match="holdfast session pin") as asked:
        recover_pin(known, row)
    assert set(asked.value.candidates) == candidates, report


def test_a_recovered_session_sends_the_key_of_the_entry_it_was_recovered_to(house: House) -> None:
    house.own("a", "b")
    plan = house.provider()
    house.write(entry("team-a", plan, "a", models=("pro",)), entry("team-b", plan, "b", models=("vision",)))
    with house.open() as held:
        pin = recover_pin(held.config, LegacyRow("custom", plan.url, "vision", Dialect.OPENAI_CHAT))
        assert ask(held.session("recovered", pin)) == TEXT
    assert keys_seen(plan) == ["b"]
