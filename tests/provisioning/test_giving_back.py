"""Given back is given back: what the service answered is what is said, a key that is still being made is
given back too, and no key is made beside one that is there."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import IdentityError, NotReady
from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Record, State
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.engine.provisioning import Provisioning, Ready
from holdfast.fake_provider import ScriptedProvider, SeenRequest, status
from holdfast.fake_provider.control import Granted, cut, slow
from holdfast.fake_provider.router import RouterPlane
from holdfast.provisioning.base import is_intent_of
from holdfast.sdk import api
from holdfast.sdk.api import Holdfast
from holdfast.values.secret import Secret

from .conftest import GENERATE, ROLES, TRIAL, Rig

OTHER = "sk-rotated-by-an-admin-0000"
ACCOUNT = {"session": "store:session"}


def record_of(held: Holdfast, name: str = "trial") -> Record:
    record = held.engine.store.provision(name)
    assert record is not None
    return record


def retired(held: Holdfast, **more: Any) -> str:
    """Retire, and return the reason of the record and whether it says that the key was given back."""
    record, given_back = held.provisioning.retire(record_of(held), **more)
    assert given_back is (record.reason == "given_back")
    assert record.state is State.RETIRED
    return record.reason


def stored_keys(rig: Rig) -> tuple[str, ...]:
    return tuple(
        label for label in SecretsFile(rig.home / "secrets.toml").labels("trial") if label != "session"
    )


def test_a_key_that_an_admin_rotated_and_the_user_adopted_is_the_one_that_is_deleted(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        rig.gateway.keys = {OTHER: Granted(OTHER)}
        held.provisioning.adopt(record_of(held), Secret(OTHER), rig.provider.root)
        assert retired(held) == "given_back"
    assert (rig.gateway.keys, stored_keys(rig)) == ({}, ())
    bodies = b"".join(seen.body for seen in rig.provider.requests if seen.path == "/key/delete")
    assert OTHER.encode() not in bodies, "the service knows it by its digest"


def test_both_the_adopted_key_and_the_one_that_was_made_are_given_back(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        rig.gateway.keys[OTHER] = Granted(OTHER)
        held.provisioning.adopt(record_of(held), Secret(OTHER), rig.provider.root)
        assert retired(held) == "given_back"
    assert (rig.gateway.keys, stored_keys(rig)) == ({}, ())


def test_a_key_that_the_service_does_not_know_was_not_given_back(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        rig.gateway.keys.clear()
        assert retired(held) == "not_known_there"
        assert record_of(held).detail.startswith("the service does not know its key")
        assert retired(held) == "not_known_there"
    assert stored_keys(rig) == ()


@pytest.mark.parametrize(
    "answer",
    [
        status(503, {}),
        status(401, {"error": {"message": "no"}}),
        status(404, {"detail": "Not Found"}),  # a proxy without this route
        status(404, {"status": "error", "code": 404, "message": "Application not found"}),  # its host
        cut,
    ],
)
def test_a_service_that_does_not_answer_changes_nothing_and_is_asked_again(rig: Rig, answer: Any) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        if callable(answer):
            rig.provider.close()
        else:
            rig.gateway.refuse("/key/delete", answer)
        with pytest.raises(NotReady, match="was not given back") as caught:
            held.provisioning.retire(record_of(held))
        assert caught.value.next_step.startswith("holdfast provision retire trial --only-here")
        assert (record_of(held).state, len(stored_keys(rig))) == (State.RESOLVED, 1)
        assert retired(held, only_here=True) == "only_here"
        assert retired(held) == "only_here", "nothing is there any more that could be given back"
    assert stored_keys(rig) == ()


def test_a_stored_key_that_was_adopted_by_its_label_is_deleted_here_too(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        held.engine.vault.file.put("trial", "by-hand", Secret(OTHER))
        rig.gateway.keys[OTHER] = Granted(OTHER)
        record = held.provisioning.begin("trial", "litellm", rig.settings, [Role("answer", ("*sonnet*",))])
        held.provisioning.adopt(record, None, rig.provider.root, "store:by-hand")
        assert retired(held) == "given_back"
    assert (rig.gateway.keys, stored_keys(rig)) == ({}, ())


def test_a_second_retirement_says_what_the_first_one_did_and_asks_nothing(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        assert retired(held) == "given_back"
        asked = len(rig.provider.requests)
        assert retired(held) == "given_back"
        assert len(rig.provider.requests) == asked


def test_an_adopted_key_without_an_admin_key_is_deleted_only_here(rig: Rig) -> None:
    with rig.open() as held:
        record = held.provisioning.begin("trial", "litellm", None, [Role("answer", ("*",))])
        rig.gateway.keys[OTHER] = Granted(OTHER)
        held.provisioning.adopt(record, Secret(OTHER), rig.provider.root)
        assert retired(held) == "only_here"
    assert (list(rig.gateway.keys), stored_keys(rig)) == ([OTHER], ())


# -- an intent that is retired


def account(rig: Rig) -> None:
    """A signed-in account of Amazee in place of a trial."""
    SecretsFile(rig.home / "secrets.toml").put("trial", "session", Secret("jwt-of-the-account"))


def ask_of(rig: Rig, held: Holdfast) -> Ready | str:
    """Ask as `Rig.asks` does, also for an account."""
    settings = rig.settings
    if rig.kind == "amazee-account":
        account(rig)
        settings = {"url": rig.provider.root, **ACCOUNT}
    try:
        return held.ensure_ready(
            "trial", {"answer": ["*sonnet*"]}, kind=rig.kind, settings=settings, consent="a test"
        )
    except NotReady as refused:
        return refused.reason


PATHS = {"litellm": GENERATE, "amazee": TRIAL, "amazee-account": "/private-ai-keys"}
LOST = [("litellm", "given_back"), ("amazee", "unknown"), ("amazee-account", "given_back")]


@pytest.mark.parametrize("kind", PATHS)
def test_a_key_that_is_being_made_is_given_back_when_it_comes(rig: Rig, kind: str) -> None:
    rig.kind = kind
    rig.gateway.spoil(PATHS[kind], slow(0.6))
    asked = threading.Event()
    with rig.open() as held, rig.open() as operator:
        held.provisioning.host.on_step(lambda step, _: asked.set() if step == "intent" else None)
        thread = threading.Thread(target=ask_of, args=(rig, held))
        thread.start()
        assert asked.wait(10)
        reason = retired(operator)
        thread.join(20)
    assert reason == ("only_here" if kind == "amazee" else "given_back")
    assert stored_keys(rig) == ()
    assert len(rig.gateway.keys) == (kind == "amazee"), "only a trial cannot be given back"
    assert not list((rig.home / "sealed").iterdir())


@pytest.mark.parametrize(("kind", "reason"), LOST)
def test_a_key_whose_answer_was_lost_is_given_back_where_the_service_can(
    rig: Rig, kind: str, reason: str
) -> None:
    rig.kind = kind
    rig.gateway.spoil(PATHS[kind], cut)
    with rig.open() as held:
        assert ask_of(rig, held) in ("mint_unknown", "needs_operator")
        assert len(rig.gateway.keys) == 1
        assert retired(held) == reason
        assert retired(held) == reason
    assert (len(rig.gateway.keys), stored_keys(rig)) == (kind == "amazee", ())


@pytest.mark.parametrize("kind", ["litellm", "amazee"])
def test_a_key_whose_answer_was_saved_is_completed_before_it_is_given_back(rig: Rig, kind: str) -> None:
    rig.kind = kind
    rig.killed("sealed")
    with rig.open() as held:
        assert retired(held) == ("given_back" if kind == "litellm" else "only_here")
    assert (len(rig.gateway.keys), stored_keys(rig)) == (kind == "amazee", ())
    assert not list((rig.home / "sealed").iterdir())


@pytest.mark.parametrize("kind", ["litellm", "amazee"])
def test_a_key_that_comes_after_the_retirement_is_given_back_by_who_asked_for_it(rig: Rig, kind: str) -> None:
    """The lease of the program that asks has ended: it slept."""
    rig.kind = kind
    go_on, asked = threading.Event(), threading.Event()
    got: list[Ready | str] = []
    with rig.open() as held, rig.open() as operator:

        def pause(step: str, _: object) -> None:
            if step == "answered":
                asked.set()
                assert go_on.wait(10)

        held.provisioning.host.on_step(pause)
        thread = threading.Thread(target=lambda: got.append(rig.asks(held)))
        thread.start()
        assert asked.wait(10)
        rig.leases_end()
        # As if the request were still on its way.
        rig.gateway.refuse("/key/delete", status(404, {"error": {"message": "No keys found"}}))
        retired(operator)
        go_on.set()
        thread.join(20)
        assert got == ["retired"]
        assert record_of(operator).state is State.RETIRED
    assert (len(rig.gateway.keys), stored_keys(rig)) == (kind == "amazee", ())


# -- OpenRouter


@pytest.fixture
def router(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Provisioning, RouterPlane, ScriptedProvider]]:
    gateway = RouterPlane()
    monkeypatch.setenv("ROUTER_ADMIN", gateway.master)
    with ScriptedProvider(gateway, models=None) as provider, api.open(home) as held:
        yield held.provisioning, gateway, provider


def begin(provisioning: Provisioning, provider: ScriptedProvider) -> Record:
    settings = {"url": f"{provider.root}/api/v1", "admin": "env:ROUTER_ADMIN"}
    return provisioning.begin("router", "openrouter", settings, [Role("answer", ("*sonnet*",))])


def test_a_key_of_openrouter_that_was_adopted_is_found_by_its_label(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    record = provisioning.provision(begin(provisioning, provider), "a test")
    other = gateway._made("hash-of-another")
    gateway.named["hash-of-another"] = "by hand"
    record = provisioning.adopt(record, Secret(other.value), f"{provider.root}/api/v1")
    assert provisioning.retire(record)[0].reason == "given_back"
    assert (gateway.keys, gateway.named) == ({}, {})


def test_a_key_of_openrouter_whose_answer_was_lost_is_given_back(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    gateway.spoil("/api/v1/keys", cut)
    record = provisioning.provision(begin(provisioning, provider), "a test")
    assert (record.state, len(gateway.keys)) == (State.INTENT, 1)
    assert provisioning.retire(record)[0].reason == "given_back"
    assert gateway.keys == {}


def test_a_key_of_openrouter_that_was_switched_off_is_given_back_too(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    record = provisioning.provision(begin(provisioning, provider), "a test")
    gateway.disabled.update(gateway.named)
    assert provisioning.retire(record)[0].reason == "given_back"
    assert (gateway.keys, gateway.named) == ({}, {})


def test_a_sign_in_of_unknown_outcome_is_retired_as_unknown(
    router: tuple[Provisioning, RouterPlane, ScriptedProvider],
) -> None:
    provisioning, gateway, provider = router
    settings = {"url": f"{provider.root}/api/v1", "code": "the-code"}
    record = provisioning.begin("router", "openrouter-signin", settings)
    gateway.spoil("/api/v1/auth/keys", cut)
    record = provisioning.provision(record, "a test")
    assert provisioning.retire(record)[0].reason == "no_key"


def test_the_token_of_another_tool_is_only_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOK", "tok-1234")

    def answer(seen: SeenRequest) -> Any:
        return status(200, {"data": [{"id": "m1"}]})

    with ScriptedProvider(answer, models=None) as provider, api.open(home) as held:
        settings = {"url": provider.url, "ref": "env:TOK"}
        held.ensure_ready("bed", {"answer": ["m*"]}, kind="token", settings=settings, consent="x")
        record, given_back = held.provisioning.retire(record_of(held, "bed"))
        assert (record.reason, given_back) == ("only_here", False)


def test_what_was_retired_is_obtained_anew_from_where_the_application_says_now(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held, ScriptedProvider(rig.gateway, models=None) as moved:
        assert isinstance(rig.asks(held), Ready)
        assert retired(held) == "given_back"
        settings = {**rig.settings, "url": moved.root}
        held.ensure_ready("trial", ROLES, kind="litellm", settings=settings, consent="a test")
        assert record_of(held).url == moved.root


def test_a_key_that_is_adopted_for_what_was_retired_is_of_the_kind_that_is_named(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        assert isinstance(rig.asks(held), Ready)
        assert retired(held) == "given_back"
        record = held.provisioning.begin("trial", "amazee", {}, stored=record_of(held))
        held.provisioning.adopt(record, Secret(OTHER), rig.provider.root)
        record = record_of(held)
        assert (record.kind, record.key) == ("amazee", "store:amazee-2-adopted")


# -- a store that was restored


def restored(rig: Rig, before: Any) -> None:
    """Let `before` happen, keep a copy of the database, obtain a key, and put the copy back."""
    before()
    with rig.open():
        pass
    shutil.copy(rig.home / "state.db", rig.home / "backup")
    assert isinstance(rig.start(), Ready)
    for path in rig.home.glob("state.db*"):
        path.unlink()
    shutil.copy(rig.home / "backup", rig.home / "state.db")


def refused_once(rig: Rig) -> None:
    path = PATHS[rig.kind]
    rig.gateway.refuse(path, status(403, {"detail": "no"}))
    assert rig.start() == "refused"
    rig.change()


def nothing() -> None:
    return


@pytest.mark.parametrize(
    ("kind", "before", "consent"),
    [("amazee", "refused", "a test"), ("amazee", "nothing", None), ("litellm", "refused", None)],
)
def test_a_restored_store_continues_with_the_key_that_is_there(
    rig: Rig, kind: str, before: str, consent: str | None
) -> None:
    rig.kind = kind
    restored(rig, nothing if before == "nothing" else lambda: refused_once(rig))
    assert isinstance(rig.start(consent), Ready)
    with rig.open() as held:
        record = held.provisioning.begin("trial", kind, rig.settings, [Role("answer", ("*sonnet*",))])
        after = held.provisioning.provision(record, "a test")
        assert after.state in (State.RESOLVED, State.VERIFIED)
    assert (rig.gateway.minted, len(stored_keys(rig))) == (1, 1)


@pytest.mark.parametrize("kind", ["amazee", "litellm"])
def test_a_key_of_which_nobody_knows_the_address_stops_a_mint_and_can_be_adopted(rig: Rig, kind: str) -> None:
    rig.kind = kind
    restored(rig, nothing)
    (rig.home / "holdfast.toml").write_text("")
    assert [rig.start(), rig.start(consent=None)] == ["needs_operator"] * 2
    (label,) = stored_keys(rig)
    with rig.open() as held:
        record = held.provisioning.begin("trial", kind, rig.settings)
        with pytest.raises(NotReady, match="is stored here, and no other is obtained") as caught:
            held.provisioning.provision(record, "a test")
        assert caught.value.next_step == (
            f"holdfast provision adopt trial --kind {kind} --url URL --from store:{label}"
        )
        after = held.provisioning.adopt(record, None, rig.provider.root, f"store:{label}")
        assert after.state is State.RESOLVED
        assert isinstance(rig.asks(held, None), Ready)
    assert rig.gateway.minted == 1


@pytest.mark.parametrize(("kind", "consent"), [("amazee", "a test"), ("amazee", None), ("litellm", "a test")])
def test_a_restored_store_reads_a_response_that_was_saved_and_never_read(
    rig: Rig, kind: str, consent: str | None
) -> None:
    rig.kind = kind
    with rig.open():
        pass
    shutil.copy(rig.home / "state.db", rig.home / "backup")
    rig.killed("sealed")
    for path in rig.home.glob("state.db*"):
        path.unlink()
    shutil.copy(rig.home / "backup", rig.home / "state.db")
    assert isinstance(rig.start(consent), Ready)
    assert (rig.gateway.minted, len(rig.mints), len(stored_keys(rig))) == (1, 1, 1)
    assert not list((rig.home / "sealed").iterdir())


def test_a_saved_response_of_another_provider_or_address_is_not_read(rig: Rig) -> None:
    rig.kind = "litellm"
    rig.killed("sealed")
    (intent,) = (path.name for path in (rig.home / "sealed").iterdir())
    with rig.open() as held:
        tools = held.provisioning.tools(record_of(held))
        given = [("trial", rig.settings), ("other", rig.settings), ("trial", {"url": "https://b.example"})]
        records = [held.provisioning.begin(name, "litellm", settings) for name, settings in given]
        assert [is_intent_of(record, intent, tools) for record in records] == [True, False, False]


def test_a_key_that_is_here_gives_no_way_into_an_entry_of_its_user(rig: Rig) -> None:
    restored(rig, nothing)
    own = '[provider.trial]\nurl = "https://own.example/v1"\nkeys = ["env:OWN"]\n'
    (rig.home / "holdfast.toml").write_text(own)
    (label,) = stored_keys(rig)
    with rig.open() as held:
        record = held.provisioning.begin("trial", "amazee", rig.settings)
        with pytest.raises(IdentityError, match="a key of your own"):
            held.provisioning.provision(record, "a test")
        with pytest.raises(IdentityError, match="a key of your own"):
            held.provisioning.adopt(record, None, rig.provider.root, f"store:{label}")
    assert (rig.home / "holdfast.toml").read_text() == own


def test_an_operator_may_pay_for_another_key_beside_one_that_is_there(rig: Rig) -> None:
    restored(rig, nothing)
    (rig.home / "holdfast.toml").write_text("")
    with rig.open() as held:
        record = held.provisioning.begin("trial", "amazee", rig.settings)
        assert held.provisioning.provision(record, "a test", again=True).state is State.RESOLVED
    assert rig.gateway.minted == 2


def test_a_key_that_was_renewed_leaves_no_key_that_stops_the_next_one(rig: Rig) -> None:
    rig.kind = "litellm"
    for number in range(2):
        assert isinstance(rig.start(), Ready)
        assert rig.gateway.minted == number + 1
        rig.change()
        with rig.open() as held:
            held.provisioning.runner.change(
                record_of(held), lambda current, now: current.to(State.DEGRADED, now, "key_dead")
            )
