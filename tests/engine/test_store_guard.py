"""Which calls of a store its guard takes for reads: they go on while it can only be read."""

from __future__ import annotations

import inspect

import pytest

from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine.store_guard import READS, guarded
from holdfast.store.base import Store, StoreAway
from holdfast.store.memory import MemoryStore

WRITES = {
    name: why
    for why, names in {
        "its id, version or mark is taken once": "add_token claim create_sessions relabel_once "
        "save_provision save_session",
        "the number of its batch is taken once": "add_usage record",
        "of two times the later counts": "apply keep_first_keys save_models save_objects",
        "it is gone, ended or renamed already": "clear compact forget forget_sessions prune prune_objects "
        "prune_to_size release remove_provision remove_session rename_provider revoke_token shorten_usage "
        "vacuum",
        "it ends by itself": "lease renew renew_token",
        "a bound that is reached too early harms nobody": "add_begun",
    }.items()
    for name in names.split()
}
"""Each call that writes, with why it may be made again where nobody knows whether it was done."""
NOT_GUARDED = {"close", "glance", "now", "wait"}


def test_somebody_decided_about_every_call_of_a_store() -> None:
    calls = {name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")}
    assert calls == READS | {*WRITES} | NOT_GUARDED
    assert not READS & {*WRITES}


def test_lists_are_read_while_nothing_can_be_written() -> None:
    with MemoryStore() as store:
        store.create_sessions([(Session("s", Pin.parse("p/m")), ())])
        used, guard = guarded(store, lambda: None)
        guard.writes = StoreAway("it can be read but not written")
        assert [session.id for session in used.sessions_named(["s"])] == ["s"]
        assert used.newest() >= 0
        with pytest.raises(StoreAway):
            used.clear("x")
