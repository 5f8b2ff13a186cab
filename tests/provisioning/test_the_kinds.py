"""What each kind of service wants and gives: the questions as they arrive there, and what becomes of the
answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from holdfast.core.errors import HoldfastError, NotReady
from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Record, State
from holdfast.engine.provisioning import Provisioning, Ready
from holdfast.fake_provider import ScriptedProvider, SeenRequest, status
from holdfast.fake_provider.control import cut, halved
from holdfast.fake_provider.router import RouterPlane
from holdfast.provisioning import amazee, openrouter
from holdfast.provisioning.base import MalformedAnswer
from holdfast.provisioning.litellm import root_of
from holdfast.sdk import api

from .conftest import GENERATE, Rig


def asked(provider: ScriptedProvider, path: str) -> list[dict[str, Any]]:
    return [json.loads(seen.body) for seen in provider.requests if seen.path == path]


# -- LiteLLM
# ------------------------------------------------------------------------------------------------------------


def test_a_proxys_key_has_our_own_value_its_limits_and_no_alias(rig: Rig) -> None:
    rig.kind = "litellm"
    settings = rig.settings | {
        "budget": 5,
        "budget_period": "30d",
        "expires_in": "90d",
        "models": ["claude-sonnet-4-5"],
        "rpm": 60,
    }
    with rig.open() as held:
        record = held.provisioning.provision(held.provisioning.begin("trial", "litellm", settings), "a test")
        (sent,) = asked(rig.provider, GENERATE)
        assert sent.pop("key") == f"sk-{held.provisioning.tools(record).derive(record.intent)}"
        assert sent.pop("metadata") == {"holdfast": f"trial {record.intent}"}
        assert sent == {
            "max_budget": 5,
            "budget_duration": "30d",
            "duration": "90d",
            "models": ["claude-sonnet-4-5"],
            "rpm_limit": 60,
        }
        assert record.models == ("claude-sonnet-4-5",)
        assert record.consent is not None
        assert "budget 5" in record.consent.what
        assert held.provisioning.retire(record) == (held.engine.store.provision("trial"), True)
        assert rig.gateway.keys == {}
        assert held.config.providers[record.name].models == ()


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("https://llm.example", "https://llm.example"),
        ("https://llm.example/v1/", "https://llm.example"),
        ("https://llm.example/v1/chat/completions", "https://llm.example"),
        ("https://llm.example/region/chat/completions", "https://llm.example/region"),
        ("https://llm.example/proxy/v1/messages", "https://llm.example/proxy"),
    ],
)
def test_a_proxys_address_is_read_however_it_was_written(written: str, root: str) -> None:
    assert root_of(written) == root


def test_an_admin_key_that_cannot_be_read_has_made_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.kind = "litellm"
    monkeypatch.delenv("PROXY_ADMIN")
    assert rig.start() == "refused"
    assert rig.mints == []
    assert (rig.record().minted, rig.record().detail.startswith("SecretMissing")) == (0, True)


# -- Amazee
# ------------------------------------------------------------------------------------------------------------


def test_a_trial_is_asked_for_without_a_body_a_key_or_an_address_of_anybody(rig: Rig) -> None:
    assert isinstance(rig.start(), Ready)
    trial = rig.provider.requests[0]
    assert (trial.method, trial.body, trial.key) == ("POST", b"", None)
    assert "referer" not in trial.headers
    assert trial.headers["user-agent"] == "holdfast"


def test_a_trial_whose_key_may_list_nothing_is_resolved_from_the_public_list(rig: Rig) -> None:
    rig.gateway.lists_openly = True
    for path in ("/v1/models", "/model/info"):
        rig.gateway.spoil(path, lambda _: status(403, {"detail": "not allowed to call this route"}))
    ready = rig.start()
    assert isinstance(ready, Ready)
    assert str(ready.pin("answer")) == "trial/claude-sonnet-4-5"


UNUSABLE = """
    http://llm.example ftp://x.example http://169.254.169.254 https://2852039166 https://0xa9.0xfe.0xa9.0xfe
    https://[64:ff9b::a9fe:a9fe] https://[fd00:ec2::254] https://metadata.google.internal. https://0
    https://100.100.100.200
""".split()


@pytest.mark.parametrize("url", [*UNUSABLE, "", "not a url", 7, None])
def test_a_key_is_never_sent_to_an_address_that_no_service_should_name(rig: Rig, url: object) -> None:
    rig.gateway.spoil(
        "/auth/generate-trial-access",
        lambda _: status(200, {"key": {"litellm_token": "sk-x", "litellm_api_url": url}}),
    )
    assert rig.start() == "needs_operator"
    assert {seen.path for seen in rig.provider.requests} == {"/auth/generate-trial-access"}


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "127.1", "localhost.", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_control_plane_elsewhere_cannot_send_the_key_to_this_machine(
    rig: Rig, scheme: str, host: str
) -> None:
    with rig.open() as held:
        settings = {"url": "https://control.example"}
        record = held.provisioning.begin("trial", "amazee", settings, [Role("answer", ("*",))])
    document = {"litellm_token": "sk-not-a-real-key-0000", "litellm_api_url": f"{scheme}://{host}:8443"}
    with pytest.raises(HoldfastError, match="an address of this machine"):
        amazee._provisioned(record, document)


def signed_in(rig: Rig, provisioning: Provisioning) -> Record:
    record = provisioning.begin(
        "trial",
        "amazee-account",
        {"url": rig.provider.root, "session": "store:session"},
        [Role("answer", ("*sonnet*",))],
    )
    amazee.mail_code(record, "me@home.example", provisioning.tools(record))
    token = amazee.sign_in(record, "me@home.example", rig.gateway.code, provisioning.tools(record))
    provisioning.engine.vault.file.put("trial", "session", token)
    return record


def test_an_account_signs_in_as_the_service_wants_it_and_names_its_key(rig: Rig) -> None:
    with rig.open() as held:
        record = held.provisioning.provision(signed_in(rig, held.provisioning), "a test")
        assert (record.state, record.bound) == (State.RESOLVED, {"answer": "claude-sonnet-4-5"})
    assert asked(rig.provider, "/auth/sign-in") == [
        {"username": "me@home.example", "verification_code": "123456"}
    ]
    assert asked(rig.provider, "/private-ai-keys") == [
        {"region_id": 1, "name": f"holdfast-trial-{record.intent}"}
    ]


@pytest.mark.parametrize("spoiler", [cut, halved])
def test_an_accounts_key_whose_answer_was_lost_is_found_by_its_name(rig: Rig, spoiler: Any) -> None:
    rig.gateway.spoil("/private-ai-keys", spoiler)
    with rig.open() as held:
        record = held.provisioning.provision(signed_in(rig, held.provisioning), "a test")
        assert record.state is State.INTENT
        held.provisioning.runner.change(
            record, lambda current, now: current.to(current.state, now, next_at=0.0)
        )
        assert held.provisioning.heal(record).state is State.RESOLVED
    assert rig.gateway.minted == 1


def test_a_wrong_code_or_a_region_that_is_not_there_is_reported(rig: Rig) -> None:
    with rig.open() as held:
        provisioning = held.provisioning
        record = signed_in(rig, provisioning)
        with pytest.raises(NotReady, match="Incorrect email"):
            amazee.sign_in(record, "me@home.example", "000000", provisioning.tools(record))
        elsewhere = provisioning.begin("trial", "amazee-account", {**record.settings, "region": "mars"})
        assert provisioning.provision(elsewhere, "a test").detail.startswith(
            "which region? there are: eu-west-1"
        )


# -- OpenRouter
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def router(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Provisioning, RouterPlane, ScriptedProvider]]:
    gateway = RouterPlane()
    monkeypatch.setenv("ROUTER_ADMIN", gateway.master)
    with ScriptedProvider(gateway, models=None) as provider, api.open(home) as held:
        yield held.provisioning, gateway, provider


def begin(provisioning: Provisioning, provider: ScriptedProvider, **more: Any) -> Record:
    settings = {"url": f"{provider.root}/api/v1", "admin": "env:ROUTER_ADMIN", **more}
    return provisioning.begin("router", "openrouter", settings, [Role("answer", ("*sonnet*",))])


def test_a_key_that_openrouter_made_and_never_showed_is_deleted_before_another_is_made(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    gateway.named["hash-of-somebody-else"] = "production"
    gateway.spoil("/api/v1/keys", cut)
    record = provisioning.provision(begin(provisioning, provider, budget=5), "a test")
    assert (record.state, gateway.minted) == (State.INTENT, 1)
    provisioning.runner.change(record, lambda current, now: current.to(current.state, now, next_at=0.0))
    record = provisioning.heal(record)
    assert (record.state, record.bound) == (State.RESOLVED, {"answer": "anthropic/claude-sonnet-4.5"})
    assert (len(gateway.keys), list(gateway.named)) == (1, ["hash-of-somebody-else", "hash-2"])
    assert [body["limit"] for body in asked(provider, "/api/v1/keys")] == [5, 5]
    assert provisioning.retire(record)[1]
    assert list(gateway.named) == ["hash-of-somebody-else"]


def test_while_openrouter_does_not_say_which_keys_there_are_none_is_made(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    gateway.spoil("/api/v1/keys", cut, lambda _: status(500))
    record = provisioning.provision(begin(provisioning, provider), "a test")
    provisioning.runner.change(record, lambda current, now: current.to(current.state, now, next_at=0.0))
    after = provisioning.heal(record)
    assert (after.state, after.reason, gateway.minted) == (State.INTENT, "mint_unknown", 1)


def sign_in(
    provisioning: Provisioning, gateway: RouterPlane, provider: ScriptedProvider, code: str
) -> Record:
    settings = {"url": f"{provider.root}/api/v1", "attempt": "0"}
    record = provisioning.begin("router", "openrouter-signin", settings)
    page = urlsplit(openrouter.consent_page(record, "http://localhost:3000/", provisioning.tools(record)))
    query = {name: value[0] for name, value in parse_qs(page.query).items()}
    assert (page.netloc, query["callback_url"], query["code_challenge_method"]) == (
        "openrouter.ai",
        "http://localhost:3000/",
        "S256",
    )
    gateway.challenge = query["code_challenge"]
    return provisioning.begin("router", "openrouter-signin", {**settings, "code": code})


def test_a_sign_in_brings_a_key_of_the_users_own(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    record = provisioning.provision(sign_in(provisioning, gateway, provider, "the-code"), "a test")
    assert (record.state, "code" in record.settings) == (State.RESOLVED, False)
    assert [sorted(body) for body in asked(provider, "/api/v1/auth/keys")] == [
        ["code", "code_challenge_method", "code_verifier"]
    ]


def test_a_code_serves_once_and_a_lost_answer_is_the_users_to_repeat(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    gateway.spoil("/api/v1/auth/keys", cut)
    record = provisioning.provision(sign_in(provisioning, gateway, provider, "the-code"), "a test")
    assert (record.state, record.reason) == (State.ABSENT, "interrupted")
    assert provisioning.heal(record).state is State.ABSENT
    assert len(asked(provider, "/api/v1/auth/keys")) == 1


# -- other tools' tokens
# ---------------------------------------------------------------------------------------------------


def test_a_token_of_another_tool_is_used_where_it_is_and_kept_nowhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH", "ghp_not_a_real_token_at_all_0000")

    def github(seen: SeenRequest) -> Any:
        return (
            status(200, [{"id": "openai/gpt-5"}])
            if seen.path == "/catalog/models" and seen.key == "ghp_not_a_real_token_at_all_0000"
            else status(401)
        )

    with ScriptedProvider(github, models=None) as provider, api.open(home) as held:
        ready = held.ensure_ready(
            "gh",
            {"answer": ["openai/*"]},
            kind="github-models",
            settings={"url": provider.root, "ref": "env:GH"},
            consent="a test",
        )
        assert str(ready.pin("answer")) == "gh/openai/gpt-5"
        entry = held.config.providers[ready.name]
        assert ([key.ref for key in entry.keys], entry.endpoints[0].url) == (
            ["env:GH"],
            f"{provider.root}/inference",
        )
    assert not (home / "secrets.toml").exists()


def test_any_endpoint_can_have_a_token_that_a_program_prints(home: Path) -> None:
    def bed(seen: SeenRequest) -> Any:
        return status(200, {"data": [{"id": "m1"}]}) if seen.key == "tok-1234" else status(401)

    with ScriptedProvider(bed, models=None) as provider, api.open(home) as held:
        ready = held.ensure_ready(
            "bed",
            {"answer": ["m*"]},
            kind="token",
            settings={"url": provider.url, "ref": "cmd:echo tok-1234"},
            consent="x",
        )
        assert str(ready.pin("answer")) == "bed/m1"


def test_an_unknown_kind_is_refused_with_those_that_are_known(home: Path) -> None:
    with (
        api.open(home) as held,
        pytest.raises(HoldfastError, match=r"known kinds: litellm, amazee, amazee-account, openrouter"),
    ):
        held.ensure_ready("nobody", consent="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"x"',
        "{}",
        '{"key": 7}',
        '{"key": ""}',
        '{"key": {"litellm_token": "a\\nb", "litellm_api_url": "https://x.example"}}',
    ],
)
def test_an_answer_without_a_key_says_what_it_lacks_and_quotes_nothing(rig: Rig, text: str) -> None:
    with rig.open() as held:
        for kind in ("amazee", "openrouter", "litellm"):
            record = held.provisioning.begin("trial", kind, rig.settings)
            with pytest.raises(MalformedAnswer) as caught:
                held.provisioning.kinds[kind].read(record, text, held.provisioning.tools(record))
            assert str(caught.value).startswith("the response ")
