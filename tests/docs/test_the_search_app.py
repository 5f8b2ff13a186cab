"""The example application: it degrades where everybody can see it, heals by itself, and never obtains a key
without a yes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.fake_provider import ScriptedProvider, empty, ok, status
from holdfast.fake_provider.control import AmazeePlane, refusing
from holdfast.sdk import api

ROOT = Path(__file__).parents[2]
LISTS = ("/v1/models", "/model/info")


@pytest.fixture
def module() -> Any:
    spec = importlib.util.spec_from_file_location("search_app", ROOT / "examples" / "search_app.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["search_app"] = program
    spec.loader.exec_module(program)
    return program


@pytest.fixture
def gateway() -> Iterator[tuple[AmazeePlane, ScriptedProvider]]:
    gateway = AmazeePlane()
    gateway.lists_openly = False
    with ScriptedProvider(gateway, models=None) as provider:
        gateway.root = provider.root
        yield gateway, provider


def test_the_search_app_degrades_visibly_and_heals_by_itself(
    home: Path, module: Any, gateway: tuple[AmazeePlane, ScriptedProvider]
) -> None:
    service, provider = gateway
    (home / "holdfast.toml").write_text("[settings]\nprobe_delays = [0.01]\n")
    corpus = ["Kelp grows in cold water", "A holdfast is no root"]
    with api.open(home) as hf:
        app = module.SearchApp(hf, corpus, settings={"url": provider.root})
        page = app.search("kelp")
        assert (page.results, page.summary) == (corpus[:1], "")
        assert "obtaining one needs your consent (holdfast provision amazee --accept)" in page.notice
        assert provider.requests == [], "a page view obtains nothing"

        for path in LISTS:
            service.spoil(path, refusing(403, {"detail": "not allowed to call this route"}))
        with pytest.raises(api.HoldfastError, match="models are not known yet"):
            app.agree("the administrator")
        page = app.search("kelp")
        assert (page.results, page.summary, provider.calls) == (corpus[:1], "", [])
        assert "its models are not known yet" in page.notice

        record = hf.engine.store.provision("amazee")
        assert record is not None
        hf.provisioning.runner.change(
            record, lambda old, now: old.to(old.state, now, old.reason, old.detail, next_at=0.0)
        )  # half a minute later
        page = app.search("kelp")
        assert (page.summary, page.notice) == (ok().text, "")
        assert {seen.model for seen in provider.calls} == {"claude-haiku-4-5", "claude-sonnet-4-5"}

        service.models["claude-sonnet-4-20250514"] = service.models.pop("claude-sonnet-4-5")
        page = app.search("kelp")
        assert (page.summary, page.notice) == (ok().text, ""), (
            "a withdrawn model is replaced within the same page"
        )

        service.refuse("/v1/chat/completions", *[empty()] * 4)
        page = app.search("kelp")
        assert page.results == corpus[:1]
        assert page.summary == ""
        assert "sent an empty answer" in page.notice, "an empty answer is no summary"
        for key in service.keys.values():
            key.blocked = True
        assert "deleted, blocked or reported as leaked" in app.search("kelp").notice
        assert hf.provisioning.jobs.settle()
        assert "is no longer accepted (holdfast provision repair amazee)" in app.search("kelp").notice
    assert (service.minted, service.attempts) == (1, 1)


def test_with_a_key_of_its_users_own_the_search_app_asks_for_no_other(
    home: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN", "sk-own-key-of-the-user")
    with ScriptedProvider(lambda seen: ok() if seen.dialect else status(500), models=None) as provider:
        entry = (
            f'[provider.amazee]\nurl = "{provider.url}"\nkeys = ["env:OWN"]\n'
            'models = ["my-sonnet-4", "my-haiku-4"]\n'
        )
        (home / "holdfast.toml").write_text(entry)
        with api.open(home) as hf:
            assert module.SearchApp(hf, ["kelp"]).search("kelp").summary == ok().text
        assert {seen.key for seen in provider.requests} == {"sk-own-key-of-the-user"}
        assert len(provider.calls) == len(provider.requests) == 2
