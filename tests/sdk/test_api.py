"""The library's face: sessions that are created, resumed, switched and handed to SDKs, over a real
provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from holdfast.config import Home
from holdfast.core.errors import ConnectionLost
from holdfast.engine.opening import build_engine
from holdfast.fake_provider import ScriptedProvider, ok, status
from holdfast.store.journal_events import EventKind


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("K1", "sk-key-one-1234567")
    with ScriptedProvider(ok("hi")) as made:
        (home / "holdfast.toml").write_text(
            f'[provider.mimo]\nurl = "{made.url}"\nkeys = ["env:K1"]\n[provider.twin]\n'
            f'url = "{made.url}"\nkeys = ["env:K1"]\n[settings]\nreplay_limit = 2000\n'
        )
        yield made


def ask(session: holdfast.Session, text: str = "hi") -> httpx2.Response:
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        return client.post(
            "/chat/completions",
            json={"model": session.model, "messages": [{"role": "user", "content": text}]},
        )


def test_a_session_keeps_its_own_choice_whatever_pin_a_restart_names(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        session.switch("twin/m2")
    with holdfast.open() as hf:
        resumed = hf.session("s1", "mimo/m1")
        assert (str(resumed.pin), resumed.model) == ("twin/m2", "m2")
        assert [row.id for row in hf.sessions()] == ["s1"]
        assert [event.kind for event in resumed.attempts()] == [
            EventKind.CREATED,
            EventKind.SWITCHED,
            EventKind.RESUMED,
        ]


def test_an_explicit_pin_is_served_while_the_sessions_own_provider_is_gone(
    provider: ScriptedProvider, home: Path
) -> None:
    with holdfast.open() as hf:
        hf.session("s1", "mimo/m1")
    config = home / "holdfast.toml"
    config.write_text(config.read_text().replace("[provider.mimo]", "[provider.else]"))
    with holdfast.open() as hf:
        with pytest.raises(ConnectionLost, match="no provider 'mimo'"):
            hf.session("s1")
        with pytest.raises(ConnectionLost, match="no provider 'mimo'"):
            hf.session("s1", "mimo/m2")
        with pytest.raises(ConnectionLost, match="no provider 'mimo'"):
            hf.session("s1", "twin/m2", key="K1")
        session = hf.session("s1", "twin/m2")
        assert (str(session.pin), session.model) == ("twin/m2", "m2")
        assert ask(session).headers["holdfast-pin"] == "twin/m2"
        assert str(session.row.pin) == "mimo/m1", "only its user changes the choice"
        session.switch("else/m3")
        assert (str(session.pin), ask(session).headers["holdfast-pin"]) == ("else/m3", "else/m3")


def test_a_former_choice_is_no_explicit_pin(provider: ScriptedProvider, home: Path) -> None:
    with holdfast.open() as hf:
        hf.session("s1", "twin/m1").switch("mimo/m1")
    config = home / "holdfast.toml"
    config.write_text(config.read_text().replace("[provider.mimo]", "[provider.else]"))
    with holdfast.open() as hf, pytest.raises(ConnectionLost, match="no provider 'mimo'"):
        hf.session("s1", "twin/m1")


def test_the_last_failure_can_be_explained_to_the_user_of_an_sdk(provider: ScriptedProvider) -> None:
    provider.follow(
        status(402, {"error": {"message": "Insufficient Balance", "code": "insufficient_balance"}})
    )
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        assert session.explain() == ""
        assert ask(session).status_code == 429
        assert "Top up" in session.explain()
        assert "holdfast key reset mimo K1" in session.explain()


def test_a_body_over_the_replay_limit_is_sent_once_and_its_refusal_says_so(
    provider: ScriptedProvider,
) -> None:
    provider.follow(status(500))
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        ask(session, "x" * 5000)
        assert len(provider.requests) == 1
        assert "cannot be sent twice" in session.explain()
        ask(session)
        assert len(provider.requests) == 4


def test_a_session_that_was_removed_says_so(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        hf.engine.store.remove_session("s1")
        with pytest.raises(holdfast.ConnectionLost, match="session list"):
            session.model  # noqa: B018
        assert ask_refused(hf, session) == 409


def ask_refused(hf: holdfast.Holdfast, session: holdfast.Session) -> int:
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        return client.post("/chat/completions", json={"model": "m1", "messages": []}).status_code


def test_a_passthrough_that_fails_never_changes_the_health_of_a_key(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        provider.models = None
        provider.follow(status(403, {"error": {"message": "not allowed to list models"}}))
        with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
            assert client.get("/models").status_code == 403
        assert len(provider.requests) == 1
        assert hf.engine.store.cooldowns() == []
        assert hf.engine.store.evidence() == []
        provider.follow(ok("hi"))
        assert ask(session).status_code == 200


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which this process runs, and its file."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project" / ".holdfast.toml"


def test_a_new_session_without_a_pin_takes_the_one_that_the_project_selects(
    provider: ScriptedProvider, project: Path
) -> None:
    project.write_text('pin = "mimo/m1"\n')
    with holdfast.open() as hf:
        session = hf.session("s1")
        assert str(session.pin) == "mimo/m1"
        assert ask(session).status_code == 200
        assert f"created on mimo/m1 (project: {project})" in session.why()
        assert str(hf.session("s2", "twin/m2").pin) == "twin/m2", (
            "what the program names is before what the project selects"
        )
    project.write_text('pin = "twin/m2"\n')
    with holdfast.open() as hf:
        assert str(hf.session("s1").pin) == "mimo/m1", "what is stored is before both"


def test_a_hostile_project_neither_defines_nor_redirects_a_provider_and_leaves_no_session(
    provider: ScriptedProvider, project: Path
) -> None:
    for text, error in (
        ('pin = "evil/m"\n[provider.evil]\nurl = "https://evil.example/v1"\n', holdfast.ConfigError),
        ('pin = "mimo/m"\n[provider.mimo]\nurl = "https://evil.example/v1"\n', holdfast.ConfigError),
        ('pin = "evil/m"\n', holdfast.ConnectionLost),
    ):
        project.write_text(text)
        with holdfast.open() as hf:
            with pytest.raises(error, match=str(project)):
                hf.session("s1")
            assert hf.sessions() == []
            assert str(hf.config.providers["mimo"].endpoints[0].url) == provider.url
            assert "evil" not in hf.config.providers
    assert provider.requests == []


def test_without_pin_session_and_project_nothing_is_guessed(
    provider: ScriptedProvider, project: Path
) -> None:
    with holdfast.open() as hf, pytest.raises(holdfast.ConnectionLost, match="there is no session 's1'"):
        hf.session("s1")


def test_a_variable_that_the_program_changes_is_a_changed_key_also_while_it_serves(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holdfast.open() as hf:
        config = hf.config
    with holdfast.Holdfast(build_engine(Home.find(), serving=config)) as hf:
        session = hf.session("s1", "mimo/m1")
        ask(session)
        monkeypatch.setenv("K1", "sk-key-two-7654321")
        ask(session)
    sent = [request.headers["authorization"] for request in provider.requests]
    assert sent == ["Bearer sk-key-one-1234567", "Bearer sk-key-two-7654321"]


def test_two_programs_that_create_one_session_at_once_both_get_it(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf, holdfast.open() as other:
        create = hf.engine.store.create_sessions

        def late(new: Any) -> set[str]:
            hf.engine.store.create_sessions = create  # type: ignore[method-assign]
            other.session("s1", "twin/m2")
            return create(new)

        hf.engine.store.create_sessions = late  # type: ignore[method-assign]
        assert str(hf.session("s1", "mimo/m1").pin) == "twin/m2"
