"""One record, several readers: applications with roles of one name, and machines of which only one has the
key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import NotReady
from holdfast.core.identity import ProviderName
from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Capability, Record, State
from holdfast.engine.provisioned_roles import stored_role, with_roles
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider.control import Granted, cut
from holdfast.sdk import api
from holdfast.sdk.api import Holdfast
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import Secret
from stories.story import ask

from .conftest import GENERATE, Rig

SONNET, GPT, HAIKU = "claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5"
A, B = {"answer": ["*sonnet*"]}, {"answer": ["gpt-*"]}


@pytest.fixture
def shared(rig: Rig) -> Rig:
    """A proxy with models for two applications."""
    rig.kind = "litellm"
    rig.gateway.models = {SONNET: "chat", GPT: "chat", HAIKU: "chat"}
    return rig


def model_of(rig: Rig, held: Holdfast, roles: Any, **more: Any) -> str:
    ready = rig.asks(held, more.pop("consent", None), roles=roles, **more)
    assert isinstance(ready, Ready), ready
    return ready.pin("answer").model


# -- roles of several applications


def test_two_applications_with_one_role_get_models_by_their_own_patterns(shared: Rig) -> None:
    with shared.open() as held:
        assert model_of(shared, held, A, consent="a test") == SONNET
        assert model_of(shared, held, B) == GPT
        assert model_of(shared, held, A) == SONNET
        other = shared.asks(held, None, roles=B)
        assert isinstance(other, Ready)
        assert set(other.pins) == {"answer"}
        for model in (SONNET, GPT):
            assert ask(held.session(f"work-{model}", f"trial/{model}"))


def test_looks_that_change_nothing_write_nothing(shared: Rig) -> None:
    with shared.open() as held:
        model_of(shared, held, A, consent="a test")
        model_of(shared, held, B)
        held.engine.journal_writer.flush()
        version, asked = shared.record().version, len(shared.provider.requests)
        lines = len(held.engine.store.journal(limit=500))
        for _ in range(50):
            assert (model_of(shared, held, A), model_of(shared, held, B)) == (SONNET, GPT)
        held.engine.journal_writer.flush()
        assert (shared.record().version, len(shared.provider.requests)) == (version, asked)
        assert len(held.engine.store.journal(limit=500)) == lines


def test_each_application_hears_of_its_own_models(shared: Rig) -> None:
    heard: dict[str, list[str]] = {"a": [], "b": []}
    with shared.open() as held:
        model_of(
            shared, held, A, consent="a test", on_models=lambda pins: heard["a"].append(pins["answer"].model)
        )
        model_of(shared, held, B, on_models=lambda pins: heard["b"].append(pins["answer"].model))
    assert (set(heard["a"]), set(heard["b"])) == ({SONNET}, {GPT})


def test_an_application_whose_role_no_model_fits_does_not_get_another_ones_model(shared: Rig) -> None:
    with shared.open() as held:
        model_of(shared, held, A, consent="a test")
        ready = shared.asks(held, None, roles={"answer": ["mistral-*"]})
        assert isinstance(ready, Ready)
        with pytest.raises(NotReady, match="no model for the role 'answer'"):
            ready.pin("answer")
        assert model_of(shared, held, A) == SONNET


def test_what_an_operator_decides_holds_for_the_application(shared: Rig) -> None:
    with shared.open() as held:
        model_of(shared, held, A, consent="a test")
        held.provisioning.resolve(shared.record(), [Role("answer", (f"pin:{HAIKU}",))])
        assert [model_of(shared, held, A) for _ in range(2)] == [HAIKU] * 2
        held.provisioning.resolve(shared.record(), [Role("answer", ("*sonnet*",))])
        assert model_of(shared, held, A) == SONNET


def test_roles_that_change_with_every_start_do_not_grow_without_bound() -> None:
    record = Record(ProviderName("trial"), "litellm", Capability.REPLAYABLE)
    for number in range(100):
        wanted = Role("answer", (f"model-{number}",))
        record = with_roles(record, (wanted,))
        stored = stored_role(record, wanted)
        assert stored is not None
        assert stored.patterns == wanted.patterns
    assert len(record.roles) == 17
    assert record.roles[0].name == "answer"


# -- two machines


@pytest.fixture
def other(shared: Rig, tmp_path: Path) -> Rig:
    """The home of another machine, with the same store."""
    home = tmp_path / "other"
    home.mkdir(mode=0o700)
    (home / "holdfast.toml").write_text("")
    return Rig(home, shared.gateway, shared.provider)


@contextmanager
def opened(first: Rig, other: Rig) -> Iterator[Holdfast]:
    with api.open(other.home, store=SqliteStore(first.home / "state.db")) as held:
        yield held


def same_pepper(first: Rig, other: Rig) -> None:
    shutil.copy(first.home / "pepper", other.home / "pepper")


def test_a_machine_with_the_same_pepper_computes_the_key_and_uses_it(shared: Rig, other: Rig) -> None:
    assert isinstance(shared.start(roles=A), Ready)
    same_pepper(shared, other)
    with opened(shared, other) as held:
        other.kind = "litellm"
        assert model_of(other, held, A) == SONNET
        assert ask(held.session("there", f"trial/{SONNET}"))
    assert (shared.gateway.minted, len(shared.mints)) == (1, 1)


def test_a_gateway_of_another_machine_computes_the_key_by_itself(shared: Rig, other: Rig) -> None:
    assert isinstance(shared.start(roles=A), Ready)
    same_pepper(shared, other)
    with opened(shared, other) as held:
        held.provisioning.watch.heal_soon(shared.record())
        assert held.provisioning.jobs.settle()
        assert ask(held.session("there", f"trial/{SONNET}"))


def test_a_key_of_an_older_version_is_not_computed_with_a_pepper_that_may_be_another(
    shared: Rig, other: Rig
) -> None:
    with shared.open() as held:
        record = held.provisioning.begin("trial", "litellm", shared.settings, [Role("answer", ("*",))])
        old = replace(record, intent="0123456789abcdef", epoch=1, key="store:litellm-1-012345")
        assert held.provisioning.kinds["litellm"].derived(old, held.provisioning.tools(old)) is None


@pytest.mark.parametrize("kind", ["litellm", "amazee"])
def test_a_key_that_is_on_another_machine_is_never_called_ready(shared: Rig, other: Rig, kind: str) -> None:
    shared.kind = other.kind = kind
    assert isinstance(shared.start(roles=A), Ready)
    (value,) = shared.gateway.keys
    before = shared.record()
    with opened(shared, other) as held:
        with pytest.raises(NotReady, match="is on another machine") as caught:
            held.ensure_ready("trial", A, kind=kind, settings=shared.settings, consent="a test")
        assert caught.value.reason == "key_elsewhere"
        assert caught.value.next_step.startswith(f"holdfast key add trial --from {before.key} ")
        assert held.provisioning.obstacle(before) is not None
        held.provisioning.heal(before)
        held.provisioning.resolve(before)
        held.provisioning.provision(before, "a test")
        held.engine.vault.file.put("trial", before.key.removeprefix("store:"), Secret(value))
        assert model_of(other, held, A) == SONNET
        assert ask(held.session("there", f"trial/{SONNET}"))
    assert shared.gateway.minted == 1
    assert (shared.record().state, shared.record().key) == (State.VERIFIED, before.key)


def test_a_request_of_another_machine_is_not_repeated_with_another_value(shared: Rig, other: Rig) -> None:
    other.kind = "litellm"
    shared.gateway.spoil(GENERATE, cut)
    assert shared.start(roles=A) == "mint_unknown"
    with opened(shared, other) as held:
        shared.change()
        assert other.asks(held, None, roles=A) == "mint_unknown"
        assert shared.record().detail.count("on another machine") == 1
        with pytest.raises(NotReady, match="was not given back"):
            held.provisioning.retire(shared.record())
    shared.change()
    assert isinstance(shared.start(consent=None, roles=A), Ready)
    assert len(shared.gateway.keys) == 1


def test_an_adopted_key_of_another_machine_is_given_back_there_or_deleted_only_here(
    shared: Rig, other: Rig
) -> None:
    assert isinstance(shared.start(roles=A), Ready)
    shared.gateway.keys["sk-rotated-0000"] = Granted("sk-rotated-0000")
    with shared.open() as held:
        held.provisioning.adopt(shared.record(), Secret("sk-rotated-0000"), shared.provider.root)
    with opened(shared, other) as held:
        with pytest.raises(NotReady, match="its value is not on this machine"):
            held.provisioning.retire(shared.record())
        assert shared.record().state is State.RESOLVED
    with shared.open() as held:
        assert held.provisioning.retire(shared.record())[1]
    assert shared.gateway.keys == {}


def test_a_key_behind_a_variable_that_is_not_set_here_is_not_ready(
    shared: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.gateway.keys["tok-1234"] = Granted("tok-1234")
    monkeypatch.setenv("TOK", "tok-1234")
    given: dict[str, Any] = {"kind": "token", "settings": {"url": shared.provider.url, "ref": "env:TOK"}}
    with shared.open() as held:
        held.ensure_ready("bed", A, consent="x", **given)
        monkeypatch.delenv("TOK")
        with pytest.raises(NotReady) as caught:
            held.ensure_ready("bed", A, **given)
        assert (caught.value.reason, "TOK" in caught.value.next_step) == ("key_unreadable", True)
