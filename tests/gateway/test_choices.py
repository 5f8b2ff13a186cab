"""A client's configured model after its user switched the session, and where the session's own provider is
gone or has another name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.store.journal_events import FormerNameUsed, of_type
from holdfast.testing import ScriptedProvider, ok

from .conftest import Running, StartGateway, entry  # type: ignore[import-not-found]


def ask(running: Running, model: str, session: str = "s1") -> tuple[int, dict[str, str], str]:
    """Ask for a model in a session; return status, headers and the whole body."""
    status, headers, body = running.post(
        f"/s/{session}/v1/chat/completions", {"model": model, "messages": []}
    )
    return status, headers, body.decode()


def write(home: Path, *entries: str) -> None:
    (home / "holdfast.toml").write_text("\n".join(entries), "utf-8")


def without_list(name: str, provider: ScriptedProvider) -> str:
    """Return the entry of a provider that declares no models."""
    return f'[provider.{name}]\nurl = "{provider.url}"\nkeys = ["env:KEY_A"]\n'


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(ok("hi")) as made:
        yield made


def test_a_client_that_asks_for_the_former_choice_follows_its_session(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    running = gateway(provider, provider)
    assert ask(running, "mine/mine-only")[1]["holdfast-pin"] == "mine/mine-only"
    session = running.holdfast.session("s1")
    session.switch("other/other-only")
    follow = {name: ask(running, name)[1]["holdfast-pin"] for name in ("mine-only", "mine/mine-only")}
    assert set(follow.values()) == {"other/other-only"}
    assert ask(running, "mine/scripted-1")[1]["holdfast-pin"] == "mine/scripted-1", "it says another pin"
    assert ask(running, "mine/mine-only", "s2")[1]["holdfast-pin"] == "mine/mine-only", "another session"
    assert ask(running, "mine-only")[0] == 200
    noted = [event.detail for event in of_type(session.attempts(), FormerNameUsed)]
    assert noted == [FormerNameUsed(name, "mine/mine-only") for name in follow], "once for each name"
    assert "asked for 'mine-only': a name of its former choice mine/mine-only" in session.why()


def test_an_explicit_pin_is_served_while_the_sessions_provider_is_gone(
    gateway: StartGateway, home: Path, provider: ScriptedProvider
) -> None:
    running = gateway(provider, provider)
    ask(running, "mine/mine-only")
    write(home, entry("other", provider))
    running.holdfast.engine.look_again()
    assert ask(running, "other/scripted-1")[1]["holdfast-pin"] == "other/scripted-1"
    status, _, body = ask(running, "other-only")
    assert (status, json.loads(body)["error"]["holdfast"]["candidates"]) == (409, ["other/other-only"])
    assert str(running.holdfast.engine.session("s1").pin) == "mine/mine-only", "nothing was chosen"


def test_a_renamed_provider_without_a_list_of_models_is_not_asked_for_its_old_name(
    gateway: StartGateway, home: Path, provider: ScriptedProvider
) -> None:
    running = gateway(config=without_list("mine", provider))
    assert ask(running, "mine/mine-only")[0] == 200
    assert ask(running, "vendor/other")[0] == 200, "it may have such a model"
    write(home, without_list("zebra", provider))
    running.holdfast.engine.store.rename_provider("mine", "zebra")
    running.holdfast.engine.look_again()
    status, _, body = ask(running, "mine/mine-only")
    error = json.loads(body)["error"]
    assert (status, error["holdfast"]["candidates"][0]) == (404, "zebra/mine-only")
    assert ask(running, "vendor/other")[1]["holdfast-pin"] == "zebra/vendor/other"
    assert ask(running, "mine-only")[1]["holdfast-pin"] == "zebra/mine-only"


def test_the_sessions_own_model_may_be_called_like_a_pin_of_a_renamed_provider(
    gateway: StartGateway, home: Path, provider: ScriptedProvider
) -> None:
    running = gateway(config=without_list("mine", provider))
    assert ask(running, "mine/vendor/m")[0] == 200
    running.holdfast.engine.store.rename_provider("vendor", "mine")
    running.holdfast.engine.look_again()
    assert ask(running, "vendor/m")[1]["holdfast-pin"] == "mine/vendor/m"


@pytest.mark.parametrize("session", ["s1", "never seen"])
def test_a_renamed_provider_is_named_to_clients_that_ask_for_the_old_name(
    gateway: StartGateway, home: Path, provider: ScriptedProvider, session: str
) -> None:
    running = gateway(provider)
    ask(running, "mine/mine-only")
    write(home, entry("zebra", provider))
    running.holdfast.engine.store.rename_provider("mine", "zebra")
    running.holdfast.engine.look_again()
    status, _, body = ask(running, "mine/mine-only", session.replace(" ", "-"))
    error = json.loads(body)["error"]
    assert (status, error["holdfast"]["candidates"][0]) == (404, "zebra/mine-only")
    assert "'mine' is called 'zebra' now" in error["message"]


def test_a_choice_that_is_lost_has_the_same_candidates_for_every_face(
    gateway: StartGateway, home: Path, provider: ScriptedProvider
) -> None:
    running = gateway(provider)
    ask(running, "mine/mine-only")
    running.holdfast.session("s1").attempts()
    write(home, entry("zebra", provider))
    running.holdfast.engine.look_again()
    error = json.loads(ask(running, "mine-only")[2])["error"]
    assert error["holdfast"]["candidates"] == ["zebra/mine-only"], "the provider at the URL that it used last"


def test_a_bare_name_that_became_ambiguous_is_refused_with_its_candidates(
    gateway: StartGateway, home: Path, provider: ScriptedProvider
) -> None:
    running = gateway(provider, provider)
    ask(running, "mine/mine-only")
    twin = entry("twin", provider).replace('"twin-only"', '"other-only"')
    write(home, entry("mine", provider), entry("other", provider), twin)
    running.holdfast.engine.look_again()
    status, _, body = ask(running, "other-only")
    candidates = json.loads(body)["error"]["holdfast"]["candidates"]
    assert (status, candidates) == (400, ["other/other-only", "twin/other-only"])
