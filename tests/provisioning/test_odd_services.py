"""Services that answer in an odd way when keys are made and given back: what was not said is not taken as
said, and no answer leaves a record that goes neither on nor back."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from holdfast.core.errors import NotReady
from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Record, State
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import status
from holdfast.fake_provider.control import cut
from holdfast.fake_provider.router import RouterPlane
from holdfast.sdk.api import Holdfast
from holdfast.values.secret import Secret

from .conftest import GENERATE, Rig

PORTAL = "<html><title>Sign in to continue</title></html>"
NOT_DELETED = [
    status(200, PORTAL),
    status(200, "null"),
    status(200, []),
    status(200, {"error": {"message": "database is locked"}}),
    status(200, {"deleted_keys": []}),
    status(200, {"deleted_keys": 0}),
    status(200, {"deleted": False}),
    status(404, PORTAL),
    status(404, {"detail": "Not Found"}),
    status(404, {"status": "error", "code": 404, "message": "Application not found"}),
    status(302, "", headers={"location": "https://sso.example/login"}),
]
PATHS = {
    "litellm": "/key/delete",
    "amazee-account": "/private-ai-keys/1",
    "openrouter": "/api/v1/keys/hash-1",
}
"""Where the first key of a service is deleted."""


@pytest.fixture
def held(rig: Rig) -> Iterator[Holdfast]:
    with rig.open() as held:
        yield held


def obtained(rig: Rig, held: Holdfast, kind: str) -> Record:
    """A record with a key of this kind."""
    roles = [Role("answer", ("*sonnet*",))]
    settings = {"url": rig.provider.root, "admin": "env:PROXY_ADMIN"}
    if kind == "openrouter":
        plane: Any = RouterPlane()
        plane.master = rig.gateway.master
        rig.provider.follow(plane)
        rig.gateway, settings["url"] = plane, f"{rig.provider.root}/api/v1"
    if kind == "amazee-account":
        SecretsFile(rig.home / "secrets.toml").put("trial", "session", Secret("jwt-of-the-account"))
        settings = {"url": rig.provider.root, "session": "store:session"}
    record = held.provisioning.provision(held.provisioning.begin("trial", kind, settings, roles), "a test")
    assert record.state is State.RESOLVED
    return record


@pytest.mark.parametrize("kind", PATHS)
def test_what_does_not_say_that_a_key_was_deleted_gives_none_back(
    rig: Rig, held: Holdfast, kind: str
) -> None:
    record = obtained(rig, held, kind)
    for answer in NOT_DELETED:
        rig.gateway.refuse(PATHS[kind], answer)
        with pytest.raises(NotReady, match="was not given back"):
            held.provisioning.retire(record)
        stored = held.engine.store.provision("trial")
        assert stored is not None
        assert (stored.state, len(rig.gateway.keys)) == (State.RESOLVED, 1), answer.body
    assert held.provisioning.retire(record)[1]
    assert rig.gateway.keys == {}


@pytest.mark.parametrize("rows", [[{"name": 1}], [{"id": None}], {"data": []}, [3, None]])
def test_an_account_whose_keys_are_listed_in_an_odd_way_keeps_its_key(
    rig: Rig, held: Holdfast, rows: Any
) -> None:
    record = obtained(rig, held, "amazee-account")
    (value,) = rig.gateway.keys
    odd = [{**row, "litellm_token": value} if isinstance(row, dict) else row for row in rows]
    rig.gateway.refuse("/private-ai-keys", status(200, odd if isinstance(rows, list) else rows))
    with pytest.raises(NotReady, match="was not given back"):
        held.provisioning.retire(record)
    assert held.provisioning.retire(record)[1]


def test_a_list_of_keys_that_is_nested_without_end_is_an_answer_that_says_nothing(
    rig: Rig, held: Holdfast
) -> None:
    record = obtained(rig, held, "openrouter")
    rig.gateway.refuse("/api/v1/keys", status(200, '{"data":' + "[" * 100_000))
    with pytest.raises(NotReady):
        held.provisioning.retire(record)


@pytest.mark.parametrize("answer", [{"data": []}, {"detail": "down for a while"}, [3]])
def test_a_list_that_is_none_is_no_proof_that_an_account_has_no_such_key(rig: Rig, answer: Any) -> None:
    with rig.open() as held:
        SecretsFile(rig.home / "secrets.toml").put("trial", "session", Secret("jwt-of-the-account"))
        rig.gateway.spoil("/private-ai-keys", cut, lambda _: status(200, answer))
        settings = {"url": rig.provider.root, "session": "store:session"}
        begun = held.provisioning.begin("trial", "amazee-account", settings)
        record = held.provisioning.provision(begun, "a test")
        for minted in (1, 1):
            rig.change()
            assert held.provisioning.heal(record).state is not State.ABSENT
            assert rig.gateway.minted == minted


@pytest.mark.parametrize("url", ["http://llm.example", "ftp://llm.example", "not a url", 7, None])
def test_a_key_that_is_found_again_for_an_address_that_is_none_is_looked_for_later(
    rig: Rig, url: object
) -> None:
    with rig.open() as held:
        SecretsFile(rig.home / "secrets.toml").put("trial", "session", Secret("jwt-of-the-account"))
        rig.gateway.spoil("/private-ai-keys", cut)
        settings = {"url": rig.provider.root, "session": "store:session"}
        begun = held.provisioning.begin("trial", "amazee-account", settings)
        record = held.provisioning.provision(begun, "a test")
        row = {"name": f"holdfast-trial-{record.intent}", "litellm_token": "sk-x", "litellm_api_url": url}
        rig.gateway.refuse("/private-ai-keys", status(200, [row]))
        rig.change()
        after = held.provisioning.heal(record)
        assert (after.state, after.reason, after.key) == (State.INTENT, "mint_unknown", "")
        assert after.next_at > held.engine.store.now()
        assert rig.gateway.minted == 1


@pytest.mark.parametrize("page", [{"data": [{"name": "ours"}]}, {"data": [None]}, {"data": {}}, {}])
def test_a_list_that_cannot_be_read_is_no_proof_that_a_router_has_no_such_key(rig: Rig, page: Any) -> None:
    plane: Any = RouterPlane()
    plane.master = rig.gateway.master
    rig.provider.follow(plane)
    with rig.open() as held:
        plane.spoil("/api/v1/keys", cut, lambda _: status(200, page))
        settings = {"url": f"{rig.provider.root}/api/v1", "admin": "env:PROXY_ADMIN"}
        record = held.provisioning.provision(held.provisioning.begin("trial", "openrouter", settings), "me")
        rig.change()
        assert held.provisioning.heal(record).state is State.INTENT
        assert plane.minted == 1


@pytest.mark.parametrize("shown", ["hash", "masked"])
def test_a_proxy_that_shows_a_key_in_another_form_has_made_the_one_that_was_asked_for(
    rig: Rig, shown: str
) -> None:
    rig.kind = "litellm"

    def hidden(answer: Any) -> Any:
        (value,) = rig.gateway.keys
        form = {"hash": sha256(value.encode()).hexdigest(), "masked": f"sk-...{value[-4:]}"}[shown]
        return status(200, {"key": form, "token": form})

    rig.gateway.spoil(GENERATE, hidden)
    assert isinstance(rig.start(), Ready)
    assert len(rig.mints) == 1


def test_a_proxy_that_chooses_the_value_itself_is_asked_for_one_key(rig: Rig) -> None:
    """Proxies that take the place of LiteLLM may ignore the value that is asked for."""
    rig.kind = "litellm"
    other = "sk-chosen-by-the-proxy-0001"

    def chosen(answer: Any) -> Any:
        (value,) = rig.gateway.keys
        key = rig.gateway.keys.pop(value)
        key.value = other
        rig.gateway.keys[other] = key
        return status(200, {"key": other})

    rig.gateway.spoil(GENERATE, chosen)
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        record = held.engine.store.provision("trial")
        assert record is not None
        assert held.provisioning.retire(record)[1]
    assert (rig.gateway.keys, len(rig.mints)) == ({}, 1)
