"""Who answers a session: what its user chose, after restarts, renames, edits and switches, whatever else is
configured."""

from __future__ import annotations

import pytest

from holdfast.core.errors import HoldfastError
from holdfast.fake_provider import ok, only_keys
from scenarios.stage import (
    CHAT,
    MESSAGES,
    TEXT,
    Face,
    Stage,
    broke,
    entry,
    hermes,
    keys_seen,
    refused,
    scenario,
    value_of,
)


@scenario(
    "T1 W2",
    *hermes(44108, 44109, 45578),
    "anthropics/claude-code#63376",
    elsewhere=(
        "The session stores the resolved class `custom`; on resume no provider is found, or a "
        "placeholder key earns a 401."
    ),
    here=(
        "The session stores what was typed, `team-b/m1`, and every start resumes on that entry, its key "
        "and its model."
    ),
)
def test_a_session_resumes_on_the_entry_that_was_named(stage: Stage) -> None:
    stage.own("a", "b")
    first, two = stage.provider(), stage.provider()
    stage.write(entry("team-a", first, "a"), entry("team-b", two, "b", models=("m1", "m2")))
    stage.choose("work", "team-b/m2")
    for _ in range(3):
        assert stage.ask("work", "m2").text == TEXT
        stage.restart()
    assert (keys_seen(first), keys_seen(two)) == ([], ["b"] * 3)
    assert {seen.model for seen in two.calls} == {"m2"}
    assert stage.pin("work") == "team-b/m2"


@scenario(
    "T2",
    *hermes(44022, 57588, 57593),
    elsewhere=(
        "A row with a billing class only resumes on the global default provider with the session's old "
        "model name."
    ),
    here=(
        "A class is not a name: `custom`, `auto` and `default` cannot be chosen, and nothing is sent for "
        "them."
    ),
)
@pytest.mark.parametrize("kind", ["custom", "auto", "default"])
def test_a_kind_is_no_choice(stage: Stage, kind: str) -> None:
    stage.own("a")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    with pytest.raises(HoldfastError, match="is a kind, not a name"):
        stage.choose("work", f"{kind}/m1")
    stage.choose("other", "plan/m1")
    answer = stage.ask("other", f"{kind}/m1")
    assert answer.status == 404, answer
    assert plan.calls == []


@scenario(
    "T3 W5",
    *hermes(74628, 101130, 13489, 90088),
    "omnigent-ai/omnigent#7603",
    "pchalasani/claude-code-tools#143",
    elsewhere=(
        "A resume that cannot place its provider takes another one's key to the private URL, or ends the "
        "turn without a word."
    ),
    here=(
        "A refusal that names the lost entry, the candidates and the command; nothing is sent; one "
        "command repairs it."
    ),
)
def test_a_lost_entry_is_refused_and_repaired_by_one_command(stage: Stage) -> None:
    stage.own("a", "b")
    stage.set("OPENROUTER_API_KEY", "sk-or-ambient-0123456789abcdef")
    private, other = stage.provider(), stage.provider()
    stage.write(entry("private", private, "a"), entry("other", other, "b"))
    stage.choose("work", "private/m1")
    assert stage.ask("work").text == TEXT
    stage.restart()
    stage.write(entry("privat", private, "a"), entry("other", other, "b"))
    answer = stage.ask("work")
    assert answer.status == 409
    for words in ("there is no provider 'private'", "privat/m1", "holdfast session pin work"):
        assert words in answer.message
    assert (len(private.calls), other.calls) == (1, [])
    stage.choose_again("work", "privat/m1")
    assert stage.ask("work").text == TEXT


@scenario(
    "T4",
    *hermes(102384),
    elsewhere=(
        "Over HTTP the first turn on a named entry works; every later one is a 500 for the life of the "
        "session."
    ),
    here="A session's second, tenth and hundredth turn are as its first, also after a restart of the server.",
)
def test_turn_two_is_as_turn_one(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider()
    stage.write(entry("named-entry", plan, "a"))
    stage.choose("work", "named-entry/m1")
    assert [stage.ask("work").status for _ in range(5)] == [200] * 5
    stage.restart()
    assert [stage.ask("work").status for _ in range(3)] == [200] * 3


@scenario(
    "T5",
    *hermes(109765, 85215, 91726),
    elsewhere=(
        "A scheduled job keeps a snapshot of what was resolved: it goes to OpenRouter, or to a URL that "
        "nobody can change any more."
    ),
    here=(
        "A job's session keeps the name; where that leads is looked up at each run, so an edited URL "
        "holds from the next one on."
    ),
)
def test_a_scheduled_job_follows_the_entry_that_it_names(stage: Stage) -> None:
    stage.own("a")
    old, new = stage.provider(), stage.provider()
    stage.write(entry("plan", old, "a"))
    stage.choose("cron:nightly", "plan/m1")
    assert stage.ask("cron:nightly").text == TEXT
    stage.restart()
    stage.write(entry("plan", new, "a"))
    assert stage.ask("cron:nightly").text == TEXT
    assert (keys_seen(old), keys_seen(new)) == (["a"], ["a"])


@scenario(
    "T5",
    *hermes(85215),
    elsewhere="A pinned job that met one 402 stays dead for days, although the account was topped up.",
    here="After a 402 the account is not used for an hour; `holdfast key reset` ends that at once.",
)
def test_a_topped_up_account_works_again_at_the_users_word(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider([broke(), ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("cron:nightly", "plan/m1")
    assert stage.ask("cron:nightly").fault == "quota_exhausted"
    answer = stage.ask("cron:nightly")
    assert (answer.fault, len(plan.calls)) == ("quota_exhausted", 1), "answered from memory"
    assert "holdfast key reset plan a" in answer.message
    assert stage.command("key", "reset", "plan", "a").returncode == 0
    assert stage.ask("cron:nightly").text == TEXT


@scenario(
    "T6 W7",
    *hermes(14141, 9315, 81818, 19083),
    "anomalyco/opencode#6217",
    elsewhere="Two entries on one URL cannot be told apart: the first one's key pays for both.",
    here="An entry is its name. Each session sends the key of its own entry, also after a restart.",
)
def test_two_accounts_on_one_url_never_mix(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    stage.write(entry("first", plan, "a"), entry("second", plan, "b"))
    stage.choose("one", "first/m1")
    stage.choose("two", "second/m1")
    for _ in range(2):
        assert [stage.ask("two").text, stage.ask("one").text] == [TEXT] * 2
        stage.restart()
    assert keys_seen(plan) == ["b", "a"] * 2


@scenario(
    "T7",
    *hermes(102725),
    elsewhere=(
        "Two entries with one URL and model but different protocols: after a resume the session speaks "
        "the other's protocol."
    ),
    here=(
        "A session speaks the dialects of its own entry; a call in another one is refused, and nothing "
        "is sent."
    ),
)
def test_a_session_never_changes_its_dialect(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    keys = 'models = ["m1"]\nkeys = [{{ from = "env:KEY_{}", label = "{}" }}]\n'
    stage.write(
        f'[provider.chat]\nurl = "{plan.url}"\n' + keys.format("A", "a"),
        f'[provider.msgs]\nurl = "{plan.root}"\ndialect = "anthropic-messages"\ntranslate = "never"\n'
        + keys.format("B", "b"),
    )
    stage.choose("one", "chat/m1")
    stage.choose("two", "msgs/m1")
    for _ in range(2):
        assert stage.ask("one", dialect=CHAT).text == TEXT
        assert stage.ask("two", dialect=MESSAGES).text == TEXT
        stage.restart()
    assert [(seen.path, key) for seen, key in zip(plan.calls, keys_seen(plan), strict=True)] == [
        ("/v1/chat/completions", "a"),
        ("/v1/messages", "b"),
    ] * 2
    answer = stage.ask("two", dialect=CHAT)
    assert answer.status in (400, 409)
    assert "no openai-chat endpoint" in answer.message
    assert len(plan.calls) == 4


@scenario(
    "T8",
    *hermes(85847, 108951, 53064),
    elsewhere=(
        "A sub-agent runs on its parent's key and URL, or gets no pool because its provider was named "
        "without a prefix."
    ),
    here="A sub-agent is a session: its own entry, its own key, its own spare keys, beside the parent's.",
)
def test_a_sub_agent_has_its_own_connection_and_pool(stage: Stage) -> None:
    stage.own("a", "c", "d")
    parent, helper = stage.provider(), stage.provider(only_keys([value_of("d")], otherwise=refused()))
    stage.write(entry("big", parent, "a"), entry("helper", helper, "c", "d"))
    stage.choose("work", "big/m1")
    stage.choose("work:sub-1", "helper/m1")
    assert [stage.ask("work").text, stage.ask("work:sub-1").text, stage.ask("work").text] == [TEXT] * 3
    assert keys_seen(parent) == ["a", "a"]
    assert keys_seen(helper) == ["c", "d"]


@scenario(
    "T12 T32 W1 W13 W18",
    *hermes(47828, 25107, 51486, 113719, 14134, 16678, 111267),
    "farion1231/cc-switch#4096",
    elsewhere=(
        "A switch keeps the old URL, protocol or pool: the new key is posted to the old host, and the "
        "401 is blamed on the key."
    ),
    here=(
        "A switch replaces the whole connection; there and back, every host sees its own keys only, and "
        "errors name the right host."
    ),
)
def test_a_switch_changes_all_parts_together(stage: Stage) -> None:
    stage.own("a", "b", "c", "d")
    old, new = stage.provider(), stage.provider(only_keys([value_of("d")], otherwise=refused()))
    stage.write(entry("old", old, "a", "b"), entry("new", new, "c", "d", models=("m2",)))
    stage.choose("work", "old/m1")
    for pin, model in (("old/m1", "m1"), ("new/m2", "m2"), ("old/m1", "m1"), ("new/m2", "m2")):
        stage.choose("work", pin)
        assert stage.ask("work", model).text == TEXT
    assert keys_seen(old) == ["a", "a"]
    assert keys_seen(new) == ["c", "d", "d"], "the new provider's pool came along"
    new.follow(refused())
    answer = stage.ask("work", "m2")
    assert f"127.0.0.1:{new.port}" in answer.message
    assert f":{old.port}" not in answer.message


@scenario(
    "T30",
    *hermes(37224, 22407, 76937, 64271),
    elsewhere="Asked for and not there: choose one credential for a session, rebind a live one.",
    here=(
        "`holdfast session pin WORK PIN --key LABEL`: that key and no other, from the next turn on, also "
        "while the session runs."
    ),
)
def test_one_key_is_chosen_for_a_session_and_a_live_one_is_rebound(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1", key="b")
    assert stage.ask("work").text == TEXT
    assert stage.command("session", "pin", "work", "plan/m1", "--key", "a").returncode == 0
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["b", "a"]
    plan.follow(refused())
    stage.ask("work")
    assert keys_seen(plan)[2:].count("b") == 0, "the other key of the pool is not used for it"


@scenario(
    "T1",
    *hermes(44108),
    elsewhere="A rename, or an edit by hand, is a session lost.",
    here=(
        "The running server holds the choice over a rename; it is the name that moved, and the sessions "
        "with it."
    ),
    only=Face.GATEWAY,
)
def test_a_rename_under_a_running_gateway_takes_the_sessions_along(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert stage.command("provider", "rename", "plan", "blue").returncode == 0
    assert stage.ask("work").text == TEXT
    assert stage.pin("work") == "blue/m1"
