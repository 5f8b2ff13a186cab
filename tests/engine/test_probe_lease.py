"""A key that worked and is refused is tested by one request for all: the lease on the test lasts until there
is a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.config import Home
from holdfast.core.faults import Reply
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.core.steps import Answer, Probe, Refresh, Send
from holdfast.credentials import Vault
from holdfast.engine.request import RequestRun
from holdfast.engine.state import Engine
from holdfast.store.memory import MemoryStore
from world import BAD_KEY, CHAT

CONFIG = (
    '[provider.mimo]\nurl = "https://mimo.example/v1"\nkeys = ["env:MIMO"]\n[settings]\n'
    "probe_delays = [0, 0]\n"
)


def sent(request_run: RequestRun, reply: Reply | None) -> None:
    """The request left and this came back."""
    step = request_run.step
    assert isinstance(step, Send)
    request_run.secret(step.connection)
    now = request_run.now()
    request_run.answer(Answer(now, reply, sent_at=now))


def test_reading_a_refused_key_again_does_not_let_a_second_request_test_it(home: Path) -> None:
    its_home = Home.at(home)
    its_home.config.write_text(CONFIG, "utf-8")
    store = MemoryStore()
    store.save_session(Session("s1", Pin.parse("mimo/m1")), None)
    engine = Engine(
        its_home,
        Vault(its_home.secrets, environ={"MIMO": "sk-mimo-12345678"}),
        store,
        lambda connection, secret: (),
    )

    first = engine.start_request("s1", CHAT, None)
    assert first.perform(), "the key is read for the first time"
    sent(first, None)
    refused = engine.start_request("s1", CHAT, None)
    sent(refused, BAD_KEY)
    assert isinstance(refused.step, Refresh)
    assert refused.perform()
    assert isinstance(refused.step, Probe)

    # It has not begun its test yet when another request, which has read nothing again so far, takes the lease
    # before it.
    tester = engine.start_request("s1", CHAT, None)
    assert isinstance(tester.step, Probe)
    assert tester.perform()
    sent(tester, BAD_KEY)
    assert isinstance(tester.step, Refresh)
    assert not refused.perform(), "the test is under way"
    assert tester.perform()
    assert not refused.perform()
    sent(tester, None)
    assert refused.perform()
    assert isinstance(refused.step, Send)
    assert not refused.step.probe, "the verdict is known: the key is good"
    sent(refused, None)
    assert [
        request_run.outcome is not None and request_run.outcome.fault
        for request_run in (first, tester, refused)
    ] == [
        None,
        None,
        None,
    ]
    engine.close()


def test_a_caller_who_leaves_while_the_lease_is_being_taken_does_not_block_it(home: Path) -> None:
    """A cancelled task does not wait for the thread that takes its step (asyncio), and that thread ends after
    it."""
    its_home = Home.at(home)
    its_home.config.write_text(CONFIG, "utf-8")
    store = MemoryStore()
    store.save_session(Session("s1", Pin.parse("mimo/m1")), None)
    engine = Engine(
        its_home,
        Vault(its_home.secrets, environ={"MIMO": "sk-mimo-12345678"}),
        store,
        lambda connection, secret: (),
    )
    first = engine.start_request("s1", CHAT, None)
    assert isinstance(first.step, Probe)
    name = f"probe:{first.step.fingerprint}@{first.step.connection.endpoint.url}"
    taken = store.lease

    def lease(*asked: Any) -> Any:
        first.abandon()
        return taken(*asked)

    store.lease = lease  # type: ignore[assignment, method-assign]
    first.perform()
    assert first.outcome is None
    assert store.holder(name) is None
    engine.close()
