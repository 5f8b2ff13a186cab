"""Records of providers that programs set up."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace

from ...core.identity import ProviderName
from ...core.model_roles import Role
from ...core.provisioning_state import Capability, Consent, Record, State
from ..base import Store
from .given import START, OpenedStore

RECORD = Record(
    name=ProviderName("amazee"),
    kind="amazee",
    capability=Capability.ONE_SHOT,
    state=State.RESOLVED,
    reason="budget",
    detail="said ☹",
    epoch=2,
    intent="i2",
    intent_at=START,
    minted=1,
    consent=Consent("one trial", "me", START),
    settings={"url": "https://a.example", "budget": 5, "models": ["m"]},
    url="https://l.example",
    key="store:amazee-2",
    expires_at=START + 9,
    roles=(Role("answer", ("*sonnet*", "pin:m")),),
    bound={"answer": "m"},
    models=("m", "n"),
    gone={"o": 4.0},
    tries=3,
    next_at=START + 1.5,
    since=START,
    verified_at=None,
    version=7,
)


class ProvisionContract(OpenedStore):
    """A record is read as it was written, and overwritten only by a writer that had read its last version."""

    def test_a_record_comes_back_as_it_was(self, store: Store) -> None:
        assert store.provision("amazee") is None
        assert store.save_provision(RECORD, None)
        assert store.provision("amazee") == RECORD
        assert (store.provisions(), store.broken_provisions()) == ([RECORD], [])

    def test_of_two_that_change_a_record_the_later_learns_that_it_was_changed(self, store: Store) -> None:
        store.save_provision(RECORD, None)
        assert not store.save_provision(RECORD, None)
        first, second = (
            replace(RECORD, version=8, detail="first"),
            replace(RECORD, version=8, detail="second"),
        )
        assert store.save_provision(first, 7)
        assert not store.save_provision(second, 7)
        assert store.provision("amazee") == first

    def test_a_changed_record_moves_the_revision_and_a_removed_one_is_gone(self, store: Store) -> None:
        before = store.revision()
        store.save_provision(RECORD, None)
        after = store.revision()
        assert after != before
        assert store.remove_provision("amazee")
        assert not store.remove_provision("amazee")
        assert store.revision() != after
