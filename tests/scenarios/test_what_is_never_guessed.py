"""What is never guessed: a key, a URL, a model, an account, whatever else is in the environment."""

from __future__ import annotations

import pytest

from holdfast.core.errors import HoldfastError, IdentityError
from holdfast.fake_provider import Behaviour, ok, only_keys
from holdfast.providers import presets
from preset_table import replace_presets
from scenarios.stage import (
    CHAT,
    MESSAGES,
    TEXT,
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
    "T23",
    *hermes(28660, 90088),
    elsewhere=(
        "A key that lies in the environment is sent to whatever host is configured, or to openrouter.ai."
    ),
    here=(
        "A variable is read only where the configuration names it. An entry without keys sends nothing "
        "and says what to add."
    ),
)
def test_a_key_in_the_environment_is_sent_nowhere_by_itself(stage: Stage) -> None:
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"):
        stage.set(name, f"sk-ambient-{name.lower()}")
    private = stage.provider()
    stage.write(entry("private", private, "a"))
    stage.choose("work", "private/m1")
    keyless = f'[provider.private]\nurl = "{private.url}"\nmodels = ["m1"]\n'
    stage.edit(keyless)
    answer = stage.ask("work")
    assert answer.refused
    assert "holdfast key add private --from env:" in answer.message
    with pytest.raises(IdentityError, match=r"(?s)needs a key.*key add private --from env:"):
        stage.choose("another", "private/m1")
    assert private.requests == []


@scenario(
    "T24",
    *hermes(43586, 62254, 44666, 67453),
    elsewhere=(
        "`key_env` is ignored on some path: `no-key-required` is sent and earns a 401; or it works in "
        "the first session only."
    ),
    here=(
        "There is no placeholder. A variable that is not set is named, nothing is sent, and once it is "
        "set every session works."
    ),
)
def test_a_variable_that_is_not_set_is_named_and_nothing_is_sent(stage: Stage) -> None:
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    for _ in range(2):
        answer = stage.ask("work")
        assert (answer.status, answer.fault) == (401, "auth_rejected")
        assert "cannot read env:KEY_A" in answer.message
        assert "nothing was sent" in answer.message
    assert plan.requests == []
    stage.own("a")
    stage.restart()
    stage.choose("second", "plan/m1")
    assert [stage.ask("work").text, stage.ask("second").text] == [TEXT, TEXT]


@scenario(
    "T25",
    *hermes(107366, 36759),
    elsewhere=(
        "A session or a side task is billed to an account that its user never chose; a hundred dollars "
        "on a metered one, once."
    ),
    here=(
        "Without a fallback of the user's own no other provider is asked, whatever fails; a side task's "
        "model must be a listed one."
    ),
)
@pytest.mark.parametrize("failing", [refused(), broke(), None], ids=["401", "402", "down"])
def test_no_other_account_ever_pays(stage: Stage, failing: Behaviour | None) -> None:
    stage.own("a", "b")
    metered = stage.provider()
    plan = stage.provider(failing) if failing is not None else stage.refused_by()
    stage.write(entry("plan", plan, "a"), entry("metered", metered, "b"))
    stage.choose("work", "plan/m1")
    assert [stage.ask("work").refused for _ in range(3)] == [True] * 3
    answer = stage.ask("work", "summary-model")
    assert answer.status == 404
    assert metered.requests == []


@scenario(
    "W3 W26 M6",
    "anthropics/claude-code#73165",
    "icebear0828/codex-proxy#660",
    "NVIDIA/NemoClaw#994",
    *hermes(3535),
    elsewhere=(
        "A model that the provider does not have becomes its default one with HTTP 200; `/model x` on a "
        "custom entry asks openrouter.ai."
    ),
    here="A model that no provider lists is a 404 with similar names, and nothing is sent.",
)
def test_an_unknown_model_is_never_another_one(stage: Stage) -> None:
    stage.own("a", "b")
    plan, other = stage.provider(), stage.provider()
    stage.write(
        entry("plan", plan, "a", models=("m1", "coder-large")), entry("other", other, "b", models=("x9",))
    )
    stage.choose("work", "plan/m1")
    answer = stage.ask("work", "coder-larg")
    assert answer.status == 404
    assert "plan/coder-large" in answer.message
    assert (plan.requests, other.requests) == ([], [])


@scenario(
    "W26",
    "icebear0828/codex-proxy#660",
    elsewhere="Nobody notices that another model answered.",
    here=(
        "The answer is passed on; `holdfast why` shows that another model gave it, and the session keeps "
        "its choice."
    ),
)
def test_an_answer_of_another_model_is_written_down(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider(ok(model="m0-mini"))
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    why = stage.why("work")
    assert "m0-mini" in why
    assert stage.pin("work") == "plan/m1"


@scenario(
    "W8",
    "anomalyco/opencode#21737",
    "anomalyco/opencode#21738",
    elsewhere="A known provider with a base URL of the user's own loses its key.",
    here=(
        "The user's URL replaces every address of the preset, and the key goes there and nowhere else: "
        "what it does not speak is refused."
    ),
)
def test_a_known_provider_behind_an_own_url_keeps_its_key(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.own("a")
    vendor = stage.provider()
    router = {**presets.find("openrouter"), "endpoints": {CHAT: vendor.url, MESSAGES: vendor.root}}
    replace_presets(monkeypatch, {"openrouter": router})
    mine = stage.provider()
    stage.write(
        f'[provider.router]\npreset = "openrouter"\nurl = "{mine.url}"\nmodels = ["m1"]\n'
        f'keys = [{{ from = "env:KEY_A", label = "a" }}]\n'
    )
    stage.choose("work", "router/m1")
    assert stage.ask("work").text == TEXT
    answer = stage.ask("work", dialect=MESSAGES)
    assert (answer.text, answer.headers["holdfast-translated"]) == (TEXT, "anthropic-messages>openai-chat")
    assert keys_seen(mine) == ["a", "a"]
    assert {seen.path for seen in mine.calls} == {"/v1/chat/completions"}
    assert vendor.requests == []


@scenario(
    "W10 M8",
    "sudosubin/pi-frontier#19",
    "earendil-works/pi#3168",
    *hermes(90088),
    elsewhere=(
        "An entry that is not there at the start, or no configuration at all, becomes the first provider "
        "for which some key lies about."
    ),
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
    answer = stage.ask("first", "plane/m1")
    assert answer.status in (404, 409)
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
    here=(
        "Each dialect has its endpoint. A `/v1` too many is refused where it is written, with the URL to "
        "write; a slash at the end is none."
    ),
)
def test_an_address_that_another_protocol_wants_is_refused_where_it_is_written(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider()
    both = (
        '[provider.plan]\nendpoints = {{ openai-chat = "{}/v1/", anthropic-messages = "{}" }}\n'
        'models = ["m1"]\nkeys = ["env:KEY_A"]\n'
    )
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
    elsewhere=(
        "A second list of entries takes the pools of the first away; `<P>_BASE_URL` of the environment "
        "wins on one path and not on another."
    ),
    here="There is one form of an entry and one place for it; base URLs in the environment are not read.",
)
def test_a_url_in_the_environment_changes_no_address(stage: Stage) -> None:
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
    elsewhere="Logs contain keys, and do not say which key served a request.",
    here=(
        "The answer and `holdfast why` name the key by its label; the key itself is in no file, message "
        "or journal."
    ),
)
def test_the_key_that_served_is_named_and_its_value_is_never_shown(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider(
        only_keys([value_of("b")], otherwise=refused(f"Incorrect API key provided: {value_of('a')}"))
    )
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").headers["holdfast-key"] == "b"
    plan.follow(refused(f"Incorrect API key provided: {value_of('b')}"))
    answer = stage.ask("work")
    text = stage.why("work") + answer.message
    stage.restart()
    kept = b"".join(path.read_bytes() for path in stage.path.rglob("*") if path.is_file())
    for label in ("a", "b"):
        assert value_of(label) not in text
        assert value_of(label).encode() not in kept
