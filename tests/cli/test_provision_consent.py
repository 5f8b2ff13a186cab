"""No key is obtained without a yes, whatever became of the one before, nor without what its kind needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("kind", "missing", "option"),
    [("litellm", "url", "--url URL"), ("token", "url", "--url URL"), ("openrouter", "admin", "--admin REF")],
)
def test_an_option_that_a_kind_needs_is_named_where_it_is_missing(
    cli: Cli, kind: str, missing: str, option: str
) -> None:
    refused = cli("provision", "team", "--kind", kind, "--accept")
    assert refused.exit_code == 2
    assert f"'team' has no '{missing}', which a provider of the kind {kind} needs" in refused.stderr
    assert f"run: holdfast provision team --kind {kind} {option}" in refused.stderr


def test_what_was_retired_can_be_set_up_as_another_kind(
    cli: Cli, service: AmazeePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--kind", "litellm", "--url", service.root, "--admin", "env:PROXY_ADMIN", "--accept")
    assert cli("provision", "team", *settings).exit_code == 0
    cli("provision", "retire", "team")
    missing = cli("provision", "team", "--kind", "token", "--ref", "env:TOOL_TOKEN", "--accept")
    assert "'team' has no 'url'" in missing.stderr, "the address of the other service is not used"
    monkeypatch.setenv("TOOL_TOKEN", service.master)
    token = ("--kind", "token", "--url", f"{service.root}/v1", "--ref", "env:TOOL_TOKEN", "--accept")
    assert cli("provision", "team", *token).exit_code == 0
    (shown,) = json.loads(cli("provision", "status", "--json").stdout)
    assert (shown["kind"], shown["capability"], shown["key"]) == ("token", "derived", "env:TOOL_TOKEN")
    assert shown["url"] == f"{service.root}/v1"


def test_what_was_retired_and_then_refused_has_no_key_in_status_nor_in_the_configuration(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    settings = ("--kind", "litellm", "--url", service.root, "--admin", "env:PROXY_ADMIN", "--accept")
    assert cli("provision", "team", *settings).exit_code == 0
    cli("provision", "retire", "team")
    service.spoil("/key/generate", refusing(403, {"detail": "not you"}))
    assert cli("provision", "team", *settings).exit_code == 4
    (shown,) = json.loads(cli("provision", "status", "--json").stdout)
    assert (shown["state"], shown["key"], shown["key_here"]) == ("absent", "", True)
    assert "another machine" not in cli("provision", "status").stdout
    assert "store:" not in (home / "holdfast.toml").read_text()
    assert "another machine" not in cli("heal").stdout
