"""Full disks, broken records, edited files, missing keys: nothing is obtained twice, nothing is read as
absent that is not."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from holdfast.core.errors import ConfigError, HoldfastError, IdentityError, NotReady, StoreError
from holdfast.core.provisioning_state import State, granted
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.engine.provisioning import Ready
from holdfast.engine.provisioning_host import ProvisioningHost
from holdfast.fake_provider import status
from holdfast.provisioning.sealed_replies import SealedReplies
from holdfast.sdk.api import Holdfast
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import Secret
from stories.story import ask, refusal

from .conftest import TRIAL, Rig

TOKEN = "sk-amazee-trial-0001-not-a-real-key"


def full(*_: object, **__: object) -> None:
    raise StoreError("the store failed: the disk is full", next_step="holdfast doctor")


def full_directory(*_: object, **__: object) -> None:
    raise ConfigError("cannot write it: No space left on device", next_step="df")


# -- a full disk
# -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name", "how"),
    [(SqliteStore, "save_provision", full), (SealedReplies, "reserve", full_directory)],
)
def test_where_nothing_can_be_written_nothing_is_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, how: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, how)
        for _ in range(3):
            with pytest.raises(HoldfastError):
                rig.start()
    assert rig.mints == []
    assert isinstance(rig.start(), Ready)
    assert rig.gateway.minted == 1


@pytest.mark.parametrize(
    ("owner", "name", "how"),
    [(SecretsFile, "put", full_directory), (ProvisioningHost, "enter", full_directory)],
)
def test_a_disk_that_fills_up_after_the_answer_loses_no_key(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, how: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, how)
        for _ in range(3):
            with pytest.raises(ConfigError):
                rig.start()
    assert isinstance(rig.start(consent=None), Ready)
    assert (rig.gateway.minted, len(rig.mints)) == (1, 1)


def test_an_answer_that_the_disk_refuses_is_held_by_the_process_that_got_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig.open() as held:
        with monkeypatch.context() as patch:
            patch.setattr(SealedReplies, "fill", full_directory)
            with pytest.raises(ConfigError):
                rig.asks(held)
        assert isinstance(rig.asks(held, consent=None), Ready)
    assert (rig.gateway.minted, len(rig.mints)) == (1, 1)


def test_room_for_the_answer_is_on_the_disk_before_it_is_asked_for(rig: Rig) -> None:
    rig.killed("intent")
    (room,) = (rig.home / "sealed").iterdir()
    assert room.stat().st_size == 65536
    assert room.stat().st_mode & 0o777 == 0o600
    assert room.parent.stat().st_mode & 0o777 == 0o700
    sealed = SealedReplies(rig.home / "sealed")
    assert sealed.text(room.name) is None
    sealed.fill(room.name, "short")
    assert (sealed.text(room.name), room.stat().st_size) == ("short", 5)


# -- broken records
# --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[]", "null", '{"format": 2}', '{"format": 1}', '{"format": 1, "state": "verified"}'],
    ids=["nothing", "cut off", "empty", "list", "null", "newer", "no fields", "one field"],
)
def test_a_record_that_cannot_be_read_is_quarantined_and_never_taken_for_absent(rig: Rig, text: str) -> None:
    assert isinstance(rig.start(), Ready)
    rig.sql("UPDATE provision SET record = ?", text)
    before = len(rig.provider.requests)
    assert [rig.start() for _ in range(3)] == ["quarantined"] * 3
    assert len(rig.provider.requests) == before
    with rig.open() as held:
        assert held.engine.store.provisions() == []
        assert [lost.name for lost in held.engine.store.broken_provisions()] == ["trial"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "wonderful"),
        ("models", []),
        ("key", ""),
        ("bound", {"answer": ""}),
        ("roles", [{"name": "x"}]),
    ],
)
def test_a_record_that_says_what_cannot_be_is_quarantined(rig: Rig, field: str, value: object) -> None:
    rig.start()
    with rig.open() as held:
        stored = json.loads(held.engine.store._read("SELECT record FROM provision", {})[0][0])  # type: ignore[attr-defined]
    rig.sql("UPDATE provision SET record = ?", json.dumps(stored | {field: value}))
    assert rig.start() == "quarantined"


def test_a_record_whose_entry_was_deleted_by_hand_is_entered_again_and_costs_nothing(rig: Rig) -> None:
    rig.start()
    (rig.home / "holdfast.toml").write_text("# tidied up\n")
    with rig.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        held.provisioning.heal(record)
        assert str(held.config.providers[record.name].models) == "('claude-sonnet-4-5', 'claude-haiku-4-5')"
    assert len(rig.mints) == 1


def test_the_store_never_holds_the_key_and_the_vault_does(rig: Rig) -> None:
    rig.start()
    with rig.open() as held:
        held.engine.journal_writer.flush()
    stored = b"".join(path.read_bytes() for path in rig.home.glob("state.db*"))
    assert TOKEN.encode() not in stored
    assert TOKEN not in (rig.home / "holdfast.toml").read_text()
    assert TOKEN in (rig.home / "secrets.toml").read_text()
    assert list((rig.home / "sealed").iterdir()) == [], "the answer is forgotten when its key is in the vault"


# -- whose provider it is
# --------------------------------------------------------------------------------------------------


def test_a_provider_that_the_user_wrote_is_never_completed_and_no_service_is_asked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN", "sk-own-key-of-the-user")
    entry = f'[provider.trial]\nurl = "{rig.provider.url}"\nkeys = ["env:OWN"]\nmodels = ["my-sonnet-4"]\n'
    (rig.home / "holdfast.toml").write_text(entry)
    with rig.open() as held:
        ready = rig.asks(held)
        assert isinstance(ready, Ready)
        assert (ready.own, {role: str(pin) for role, pin in ready.pins.items()}) == (
            True,
            {"answer": "trial/my-sonnet-4"},
        )
        with pytest.raises(IdentityError, match="a key of your own"):
            held.provisioning.provision(held.provisioning.begin("trial", "amazee", rig.settings), "a test")
    assert rig.provider.requests == []
    assert (rig.home / "holdfast.toml").read_text() == entry


def test_the_users_keys_and_settings_stay_in_an_entry_that_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN", "sk-own-key-of-the-user")
    rig.start()
    path = rig.home / "holdfast.toml"
    path.write_text(path.read_text().replace("keys = [", 'strategy = "round-robin"\nkeys = ["env:OWN", '))
    rig.change(gone={"claude-sonnet-4-5": time.time()})
    rig.gateway.models["claude-sonnet-4-20250514"] = "chat"
    with rig.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        held.provisioning.runner.relist(record)
        provider = held.config.providers[record.name]
        assert [key.ref for key in provider.keys] == [record.key, "env:OWN"]
        assert provider.strategy == "round-robin"


def _unconsented(held: Holdfast, rig: Rig) -> None:
    rig.asks(held, consent=None)
    held.provisioning.jobs.settle()
    held.sessions()


@pytest.mark.parametrize("state", [None, State.ABSENT, State.RETIRED, State.AMBIGUOUS])
def test_without_consent_no_path_obtains_a_key(rig: Rig, state: State | None) -> None:
    if state is not None:
        rig.killed("intent")
        with rig.open() as held:
            record = held.engine.store.provision("trial")
            assert record is not None
            held.provisioning.runner.change(record, lambda current, now: current.to(state, now))
    with rig.open() as held:
        _unconsented(held, rig)
        for record in held.engine.store.provisions():
            held.provisioning.heal(record)
            held.provisioning.watch.heal_soon(record)
        assert held.provisioning.jobs.settle()
    with rig.open() as held:
        _unconsented(held, rig)
    assert rig.mints == []


def test_a_refusal_names_its_reason_for_programs_and_a_command_for_people(rig: Rig) -> None:
    rig.gateway.models.clear()
    with rig.open() as held, pytest.raises(NotReady) as caught:
        held.ensure_ready(
            "trial", {"answer": ["*sonnet*"]}, kind="amazee", settings=rig.settings, consent="a test"
        )
    assert (caught.value.reason, caught.value.exit_code) == ("model_unresolved", 4)
    assert caught.value.retry_at is not None
    assert "the list is empty: this key may use no model" in str(caught.value)
    assert caught.value.next_step.startswith("holdfast provision resolve trial")
    assert TOKEN not in str(caught.value)


def test_an_adopted_key_ends_an_ambiguous_trial(rig: Rig) -> None:
    rig.killed("answered")
    assert rig.start() == "needs_operator"
    with rig.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        after = held.provisioning.adopt(record, Secret(TOKEN), rig.provider.root)
        assert (after.state, after.minted) == (State.RESOLVED, 1)
        assert isinstance(rig.asks(held, consent=None), Ready)
    assert len(rig.mints) == 1


def test_an_operator_may_pay_for_a_second_trial_and_only_by_saying_so(rig: Rig) -> None:
    rig.gateway.spoil(TRIAL, lambda answer: answer.__class__(status=200, body=b"<html>"))
    assert rig.start() == "needs_operator"
    with rig.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        assert held.provisioning.provision(record, "a test").state is State.AMBIGUOUS
        assert held.provisioning.provision(record, "a test", again=True).state is State.RESOLVED
    assert (rig.gateway.minted, len(rig.mints)) == (2, 2)


def test_a_request_in_flight_with_the_key_before_says_nothing_of_the_new_one(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        ready = rig.asks(held)
        assert isinstance(ready, Ready)
        session = held.session("work", ready.pin("answer"))
        assert ask(session)
        assert held.provisioning.jobs.settle()
        expired = status(
            401,
            {
                "error": {
                    "message": "Authentication Error - Expired Key.",
                    "type": "expired_key",
                    "code": "401",
                }
            },
        )
        rig.gateway.refuse("/v1/chat/completions", replace(expired, delay=0.5))
        thread = threading.Thread(target=lambda: refusal(session))
        thread.start()
        while len(rig.provider.calls) < 2:
            time.sleep(0.01)
        record = held.engine.store.provision("trial")
        assert record is not None
        held.provisioning.runner.change(
            record,
            lambda current, now: granted(
                current.to(State.INTENT, now), now, url=current.url, key="store:litellm-9-new"
            ),
        )
        thread.join(10)
        assert held.provisioning.jobs.settle()
    assert (rig.record().state, rig.record().reason) == (State.PROVISIONED, "")
