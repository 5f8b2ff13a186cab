"""No key is obtained without a yes, whatever became of the one before."""

from __future__ import annotations

from pathlib import Path

from cli.furnishing import Cli
from holdfast.core.provisioning_state import State
from holdfast.fake_provider.control import AmazeePlane, refusing
from holdfast.store.sqlite import SqliteStore


def test_in_the_place_of_a_dead_key_none_is_obtained_without_consent_after_a_refusal(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    settings = ("--kind", "litellm", "--url", service.root, "--admin", "env:PROXY_ADMIN")
    assert cli("provision", "team", *settings, "--accept").exit_code == 0
    with SqliteStore(home / "state.db") as store:
        record = store.provision("team")
        assert record is not None
        dead = record.to(State.DEGRADED, store.now(), "key_dead", "blocked")
        assert store.save_provision(dead, record.version)
    service.spoil("/key/generate", refusing(403, {"detail": "not you"}))
    cli("provision", "team", "--accept")
    with SqliteStore(home / "state.db") as store:
        record = store.provision("team")
        assert record is not None
        assert (record.state, record.reason) == (State.ABSENT, "mint_refused")
        due = record.to(State.ABSENT, store.now(), record.reason, next_at=0.0)
        assert store.save_provision(due, record.version)
    before = {*service.keys}
    refused = cli("provision", "team")
    assert (refused.exit_code, {*service.keys}) == (4, before)
    assert "run: holdfast provision team --accept   (with your consent)" in refused.stderr
