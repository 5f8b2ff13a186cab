"""What one of several processes does to one store; each is started anew, so that it shares nothing with the
others."""

from __future__ import annotations

import os

from holdfast.core.changes import KeyFailed
from holdfast.core.faults import FaultClass
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store import StaleSession
from holdfast.store.journal_events import Event, SessionResumed
from holdfast.store.postgres import PostgresStore

ROUNDS = 50


def count_up(url: str, number: int) -> None:
    """Raise the one session's version as often as agreed, whoever else does so meanwhile, and write down
    evidence and a line each time."""
    with PostgresStore(url) as store:
        for turn in range(ROUNDS):
            store.apply(
                [
                    KeyFailed(
                        f"{number}-{turn}", "https://p.example/v1", FaultClass.AUTH_REJECTED, float(turn)
                    )
                ],
                float(turn),
            )
            store.record([Event(float(turn), SessionResumed(), "shared", pin="p/m")])
            _choose(store)


def _choose(store: PostgresStore) -> None:
    while True:
        row = store.session("shared")
        assert row is not None
        try:
            return store.save_session(row.choose(Pin.parse(f"p/{row.version + 1}"), 1.0), row.version)
        except StaleSession:
            continue


def act_alone(url: str, number: int) -> int:
    """Take the lease as often as it is free; how often that was."""
    held = 0
    with PostgresStore(url) as store:
        while held < ROUNDS // 5:
            lease = store.lease("one", str(number), 5.0)
            if lease is not None:
                assert store.holder("one") == lease, "while we hold it nobody else does"
                held += 1
                store.release(lease)
    return held


def start(url: str, number: int) -> None:
    """Open a database for the first time."""
    with PostgresStore(url) as store:
        store.save_session(Session(f"s{number}", Pin.parse("p/m")), None)


def fork(url: str, _: int) -> int:
    """Go on in a forked child while the parent goes on too; the child's exit code."""
    with PostgresStore(url) as store:
        child = os.fork()
        if child == 0:
            store.save_session(Session("child", Pin.parse("p/m")), None)
            os._exit(0 if store.session("child") is not None else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert store.session("child") is not None
        return code
