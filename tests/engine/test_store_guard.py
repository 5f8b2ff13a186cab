"""Which calls of a store its guard takes for reads: they go on while it can only be read."""

from __future__ import annotations

import inspect

import pytest

from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine.store_guard import READS, guarded
from holdfast.store.base import Store, StoreAway
from holdfast.store.memory import MemoryStore

WRITES = set(
    (
        "add_begun add_token add_usage apply claim clear compact create_sessions forget forget_sessions "
        "keep_first_keys lease prune prune_objects prune_to_size record relabel_once release "
        "remove_provision remove_session rename_provider renew renew_token revoke_token save_models "
        "save_objects save_provision save_session shorten_usage vacuum"
    ).split()
)
NOT_GUARDED = {"close", "glance", "now", "wait"}


def test_somebody_decided_about_every_call_of_a_store() -> None:
    calls = {name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")}
    assert calls == READS | WRITES | NOT_GUARDED
    assert not READS & WRITES


def test_lists_are_read_while_nothing_can_be_written() -> None:
    with MemoryStore() as store:
        store.create_sessions([(Session("s", Pin.parse("p/m")), ())])
        used, guard = guarded(store, lambda: None)
        guard.writes = StoreAway("it can be read but not written")
        assert [session.id for session in used.sessions_named(["s"])] == ["s"]
        assert used.newest() >= 0
        with pytest.raises(StoreAway):
            used.clear("x")
