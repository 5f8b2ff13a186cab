"""Who answers a session: what its user chose, after restarts, renames, edits and switches, whatever else lies about."""

from __future__ import annotations

import pytest

from holdfast.core.errors import HoldfastError
from holdfast.scripted import Behaviour, ok, only_keys
from scenarios.stage import CHAT, MESSAGES, TEXT, Face, Stage, broke, entry, hermes, keys_seen, refused, scenario, value_of


@scenario(
    "T1 W2",
    *hermes(44108, 44109, 45578),
    "anthropics/claude-code#63376",
    elsewhere="The session stores the resolved class `custom`; on resume no provider is found, or a placeholder key earns a 401.",
    here="The session stores what was typed, `team-b/m1`, and every start resumes on that entry, its key and its model.",
)
def test_a_session_resumes_on_the_entry_that_was_named(stage: Stage) -> None:
    stage.own("a", "b")
    one, two = stage.provider(), stage.provider()
    stage.write(entry("team-a", one, "a"), entry("team-b", two, "b", models=("m1", "m2")))
    stage.choose("work", "team-b/m2")
    for _ in range(3):
        assert stage.ask("work", "m2").text == TEXT
        stage.restart()
    assert (keys_seen(one), keys_seen(two)) == ([], ["b"] * 3)
    assert {seen.model for seen in two.calls} == {"m2"}
    assert stage.pin("work") == "team-b/m2"


@scenario(
    "T2",
    *hermes(44022, 57588, 57593),
    elsewhere="A row with a billing class only resumes on the global default provider with the session's old model name.",
    here="A class is not a name: `custom`, `auto` and `default` cannot be chosen, and nothing is sent for them.",
)
@pytest.mark.parametrize("kind", ["custom", "auto", "default"])
def test_a_kind_is_no_choice(stage: Stage, kind: str) -> None:
    stage.own("a")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    with pytest.raises(HoldfastError, match="is a kind, not a name"):
        stage.choose("work", f"{kind}/m1")
    stage.choose("other", "plan/m1")
    told = stage.ask("other", f"{kind}/m1")
    assert told.status == 404, told
    assert plan.calls == []


@scenario(
    "T3 W5",
    *hermes(74628, 101130, 13489, 90088),
    "omnigent-ai/omnigent#7603",
    "pchalasani/claude-code-tools#143",
    elsewhere="A resume that cannot place its provider takes another one's key to the private URL, or ends the turn without a word.",
    here="A refusal that names the lost entry, what it could mean today and the command; nothing is sent; one command mends it.",
)
def test_a_lost_entry_is_refused_aloud_and_mended_by_one_command(stage: Stage) -> None:
    stage.own("a", "b")
    stage.set("OPENROUTER_API_KEY", "sk-or-ambient-0123456789abcdef")
    private, other = stage.provider(), stage.provider()
    stage.write(entry("private", private, "a"), entry("other", other, "b"))
    stage.choose("work", "private/m1")
    assert stage.ask("work").text == TEXT
    stage.restart()
    stage.write(entry("privat", private, "a"), entry("other", other, "b"))
    told = stage.ask("work")
    assert told.status == 409
    for words in ("there is no provider 'private'", "privat/m1", "holdfast session pin work"):
        assert words in told.said
    assert (len(private.calls), other.calls) == (1, [])
    stage.choose_again("work", "privat/m1")
    assert stage.ask("work").text == TEXT


@scenario(
    "T4",
    *hermes(102384),
    elsewhere="Over HTTP the first turn on a named entry works; every later one is a 500 for the life of the session.",
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
    elsewhere="A scheduled job keeps a snapshot of what was resolved: it goes to OpenRouter, or to a URL that nobody can change any more.",
    here="A job's session keeps the name; where that leads is looked up at each run, so an edited URL holds from the next one on.",
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
    here="A 402 rests the account for an hour; `holdfast key reset` takes the verdict back at once.",
)
def test_a_topped_up_account_works_again_at_the_users_word(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider([broke(), ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("cron:nightly", "plan/m1")
    assert stage.ask("cron:nightly").fault == "quota_exhausted"
    told = stage.ask("cron:nightly")
    assert (told.fault, len(plan.calls)) == ("quota_exhausted", 1), "answered from memory"
    assert "holdfast key reset plan a" in told.said
    assert stage.command("key", "reset", "plan", "a").returncode == 0
    assert stage.ask("cron:nightly").text == TEXT


@scenario(
    "T6 W7",
    *hermes(14141, 9315, 81818, 19083),
    "anomalyco/opencode#6217",
    elsewhere="Two entries on one URL are told apart by nothing: the first one's key pays for both.",
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
    elsewhere="Two entries with one URL and model but different protocols: after a resume the session speaks the other's protocol.",
    here="A session speaks the dialects of its own entry; a call in another one is refused, and nothing is sent.",
)
def test_a_session_never_changes_its_dialect(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    keys = 'models = ["m1"]\nkeys = [{{ from = "env:KEY_{}", label = "{}" }}]\n'
    stage.write(
        f'[provider.chat]\nurl = "{plan.url}"\n' + keys.format("A", "a"),
        f'[provider.msgs]\nurl = "{plan.root}"\ndialect = "anthropic-messages"\n' + keys.format("B", "b"),
    )
    stage.choose("one", "chat/m1")
    stage.choose("two", "msgs/m1")
    for _ in range(2):
        assert stage.ask("one", dialect=CHAT).text == TEXT
        assert stage.ask("two", dialect=MESSAGES).text == TEXT
        stage.restart()
    assert [(seen.path, key) for seen, key in zip(plan.calls, keys_seen(plan), strict=True)] == [("/v1/chat/completions", "a"), ("/v1/messages", "b")] * 2
    told = stage.ask("two", dialect=CHAT)
    assert told.status in (400, 409)
    assert "no openai-chat endpoint" in told.said
    assert len(plan.calls) == 4


@scenario(
    "T8",
    *hermes(85847, 108951, 53064),
    elsewhere="A sub-agent runs on its parent's key and URL, or gets no pool because its provider was named without a prefix.",
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
    elsewhere="A switch keeps the old URL, protocol or pool: the new key is posted to the old host, and the 401 is blamed on the key.",
    here="A switch replaces the whole connection; there and back, every host sees its own keys only, and errors name the right host.",
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
    told = stage.ask("work", "m2")
    assert f"127.0.0.1:{new.port}" in told.said
    assert f":{old.port}" not in told.said


@scenario(
    "T23",
    *hermes(28660, 90088),
    elsewhere="A key that lies in the environment is sent to whatever host is configured, or to openrouter.ai.",
    here="A variable is read only where the configuration names it. An entry without keys sends nothing and says what to add.",
)
def test_a_key_in_the_environment_goes_nowhere_by_itself(stage: Stage) -> None:
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"):
        stage.set(name, f"sk-ambient-{name.lower()}")
    private = stage.provider()
    stage.write(f'[provider.private]\nurl = "{private.url}"\nmodels = ["m1"]\n')
    stage.choose("work", "private/m1")
    told = stage.ask("work")
    assert told.refused
    assert "holdfast key add private --from env:" in told.said
    assert private.requests == []


@scenario(
    "T24",
    *hermes(43586, 62254, 44666, 67453),
    elsewhere="`key_env` is ignored on some path: `no-key-required` is sent and earns a 401; or it works in the first session only.",
    here="There is no placeholder. A variable that is not set is named, nothing is sent, and once it is set every session works.",
)
def test_a_variable_that_is_not_set_is_named_and_nothing_is_sent(stage: Stage) -> None:
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    for _ in range(2):
        told = stage.ask("work")
        assert (told.status, told.fault) == (401, "auth_rejected")
        assert "env:KEY_A leads to no value here" in told.said
        assert "nothing was sent" in told.said
    assert plan.requests == []
    stage.own("a")
    stage.restart()
    stage.choose("second", "plan/m1")
    assert [stage.ask("work").text, stage.ask("second").text] == [TEXT, TEXT]


@scenario(
    "T25",
    *hermes(107366, 36759),
    elsewhere="A session or a side task is billed to an account that its user never chose; a hundred dollars on a metered one, once.",
    here="Without a ladder of the user's own nobody else is ever asked, whatever fails; a side task's model must be one that is listed.",
)
@pytest.mark.parametrize("failing", [refused(), broke(), None], ids=["401", "402", "down"])
def test_no_other_account_ever_pays(stage: Stage, failing: Behaviour | None) -> None:
    stage.own("a", "b")
    metered = stage.provider()
    plan = stage.provider(failing) if failing is not None else stage.refused_by()
    stage.write(entry("plan", plan, "a"), entry("metered", metered, "b"))
    stage.choose("work", "plan/m1")
    assert [stage.ask("work").refused for _ in range(3)] == [True] * 3
    told = stage.ask("work", "summary-model")
    assert told.status == 404
    assert metered.requests == []


@scenario(
    "T30",
    *hermes(37224, 22407, 76937, 64271),
    elsewhere="Asked for and not there: choose one credential for a session, rebind a live one.",
    here="`holdfast session pin WORK PIN --key LABEL`: that key and no other, from the next turn on, also while the session runs.",
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
    "W3 W26 M6",
    "anthropics/claude-code#73165",
    "icebear0828/codex-proxy#660",
    "NVIDIA/NemoClaw#994",
    *hermes(3535),
    elsewhere="A model that the provider does not have becomes its default one with HTTP 200; `/model x` on a custom entry asks openrouter.ai.",
    here="A model that nobody lists is a 404 with near names, and nothing is sent.",
)
def test_an_unknown_model_is_never_another_one(stage: Stage) -> None:
    stage.own("a", "b")
    plan, other = stage.provider(), stage.provider()
    stage.write(entry("plan", plan, "a", models=("m1", "coder-large")), entry("other", other, "b", models=("x9",)))
    stage.choose("work", "plan/m1")
    told = stage.ask("work", "coder-larg")
    assert told.status == 404
    assert "plan/coder-large" in told.said
    assert (plan.requests, other.requests) == ([], [])


@scenario(
    "W26",
    "icebear0828/codex-proxy#660",
    elsewhere="Nobody notices that another model answered.",
    here="The answer passes as it is; that another model gave it stands in `holdfast why`, and the session keeps its choice.",
)
def test_an_answer_of_another_model_is_written_down(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider(ok(model="m0-mini"))
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    told = stage.why("work")
    assert "m0-mini" in told
    assert stage.pin("work") == "plan/m1"


@scenario(
    "W8",
    "anomalyco/opencode#21737",
    "anomalyco/opencode#21738",
    elsewhere="A known provider with a base URL of the user's own loses its key.",
    here="The user's URL replaces the preset's, and the key goes there.",
)
def test_a_known_provider_behind_an_own_url_keeps_its_key(stage: Stage) -> None:
    stage.own("a")
    mine = stage.provider()
    stage.write(f'[provider.router]\npreset = "openrouter"\nurl = "{mine.url}"\nmodels = ["m1"]\nkeys = [{{ from = "env:KEY_A", label = "a" }}]\n')
    stage.choose("work", "router/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(mine) == ["a"]


@scenario(
    "W10 M8",
    "sudosubin/pi-frontier#19",
    "earendil-works/pi#3168",
    *hermes(90088),
    elsewhere="An entry that is not there at the start, or no configuration at all, becomes the first provider for which some key lies about.",
    here="Without an entry there is no session: the choice is refused with near names, and nothing is sent.",
)
def test_an_entry_that_is_not_there_is_not_replaced(stage: Stage) -> None:
    stage.own("a")
    stage.set("OPENAI_API_KEY", "sk-ambient-0123456789")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    with pytest.raises(HoldfastError, match="there is no provider 'plane'"):
        stage.choose("work", "plane/m1")
    stage.choose("first", "plan/m1")
    told = stage.ask("first", "plane/m1")
    assert told.status in (404, 409)
    assert plan.requests == []


@scenario(
    "W11",
    *hermes(12153),
    elsewhere="A model list that is broken or missing takes the declared models with it.",
    here="Declared models need no list.",
)
def test_declared_models_need_no_list(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider(lambda seen: ok() if seen.dialect else refused(), models=None)
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT


@scenario(
    "T31",
    *hermes(16878, 56158, 56249),
    elsewhere="A stored URL with or without `/v1`, as another protocol wants it, ends in 404.",
    here="Each dialect has its endpoint. A `/v1` too many is refused where it is written, with the URL to write; a slash at the end is none.",
)
def test_an_address_that_another_protocol_wants_is_refused_where_it_is_written(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider()
    both = '[provider.plan]\nendpoints = {{ openai-chat = "{}/v1/", anthropic-messages = "{}" }}\nmodels = ["m1"]\nkeys = ["env:KEY_A"]\n'
    stage.write(both.format(plan.root, f"{plan.root}/v1"))
    with pytest.raises(HoldfastError, match=rf'holdfast.toml:5: (?s:.)*write "{plan.root}"'):
        stage.choose("work", "plan/m1")
    stage.write(both.format(plan.root, f"{plan.root}/"))
    stage.choose("work", "plan/m1")
    assert [stage.ask("work", dialect=MESSAGES).text, stage.ask("work", dialect=CHAT).text] == [TEXT, TEXT]
    assert [seen.path for seen in plan.calls] == ["/v1/messages", "/v1/chat/completions"]


@scenario(
    "M3 M4",
    *hermes(33163),
    elsewhere="A second list of entries takes the pools of the first away; `<P>_BASE_URL` of the environment wins on one path and not on another.",
    here="There is one form of an entry and one place for it; base URLs in the environment are not read.",
)
def test_a_url_in_the_environment_moves_nobody(stage: Stage) -> None:
    stage.own("a", "b")
    plan, stranger = stage.provider(only_keys([value_of("b")])), stage.provider()
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "PLAN_BASE_URL", "OPENROUTER_BASE_URL"):
        stage.set(name, stranger.url)
    stage.write(entry("plan", plan, "a", "b"), entry("other", stranger, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a", "b"]
    assert stranger.requests == []


@scenario(
    "W30",
    "BerriAI/litellm#7603",
    "BerriAI/litellm#14034",
    elsewhere="Keys stand in logs; and which key served a request, nobody can say.",
    here="The answer names the key by its label, `holdfast why` too; the key itself stands in no file, message or journal.",
)
def test_which_key_served_is_told_and_the_key_is_nowhere(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider(only_keys([value_of("b")], otherwise=refused(f"Incorrect API key provided: {value_of('a')}")))
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").headers["holdfast-key"] == "b"
    plan.follow(refused(f"Incorrect API key provided: {value_of('b')}"))
    told = stage.ask("work")
    text = stage.why("work") + told.said
    stage.restart()
    kept = b"".join(path.read_bytes() for path in stage.path.rglob("*") if path.is_file())
    for label in ("a", "b"):
        assert value_of(label) not in text
        assert value_of(label).encode() not in kept


@scenario(
    "T1",
    *hermes(44108),
    elsewhere="A rename, or an edit by hand, is a session lost.",
    here="The running server holds the choice over a rename; it is the name that moved, and the sessions with it.",
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
