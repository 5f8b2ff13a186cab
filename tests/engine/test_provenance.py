"""Why a connection is what it is: each part names what set it, where that is written, and what changed it
last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import holdfast
from holdfast.core.faults import FaultClass
from holdfast.engine.origins import request_origin
from holdfast.engine.provenance import SetBy, Why
from holdfast.fake_provider import ScriptedProvider, ok, status

THROTTLED = status(
    429,
    {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}},
    headers={"retry-after": "30"},
)
DOWN = status(529, {"error": {"message": "Overloaded", "type": "overloaded_error"}})


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("K1", "sk-key-one-1234567")
    monkeypatch.setenv("K2", "sk-key-two-1234567")
    with ScriptedProvider(ok("hi")) as made:
        (home / "holdfast.toml").write_text(
            f'[provider.mimo]\nurl = "{made.url}"\nkeys = ["env:K1", "env:K2"]\n\n'
            f'[provider.twin]\nurl = "{made.url}"\nkeys = ["env:K1"]\n\n[fallback]\n'
            f'"mimo/m1" = {{ then = ["twin/m2"] }}\n'
        )
        yield made


def ask(session: holdfast.Session, model: str = "") -> str:
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        answer = client.post("/chat/completions", json={"model": model or session.model, "messages": []})
        return str(answer.headers["holdfast-request-id"])


def places(origin: Why) -> dict[str, tuple[str, str]]:
    return {part.name: (str(part.by), part.location) for part in origin.parts}


def of_request(hf: holdfast.Holdfast, session: holdfast.Session, request: str) -> Why:
    events = [event for event in session.attempts() if event.request == request]
    return Why(request, request_origin(hf.config, request, events, session.attempts()), tuple(events))


def test_each_part_of_a_session_names_what_set_it_and_the_line_that_says_so(
    provider: ScriptedProvider,
) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        ask(session)
        origin = session.origin()
    assert places(origin) == {
        "provider": (SetBy.SESSION, ""),
        "model": (SetBy.SESSION, ""),
        "endpoint": (SetBy.FILE, "holdfast.toml:2"),
        "key": (SetBy.POOL, "holdfast.toml:3"),
        "dialect": (SetBy.REQUEST, ""),
    }
    assert origin.part("provider").changed == "created"
    assert len(origin.attempts) == 1
    assert "from provider.mimo.url, holdfast.toml:2" in origin.text()


def test_a_key_that_took_over_says_from_which_and_for_which_fault(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        ask(session)
        provider.follow([THROTTLED, ok("hi")])
        request = ask(session)
        key = session.origin().part("key")
        assert (key.value, key.changed) == (
            "K2 (env:…)",
            f"before that key 'K1', left because of {FaultClass.RATE_LIMITED},",
        )
        assert of_request(hf, session, request).part("key").changed == "key 'K1' was tried first"


def test_a_key_that_its_user_chose_says_so(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        key = hf.session("s1", "mimo/m1", key="K2").origin().part("key")
    assert (key.by, key.location, key.source.endswith("chosen for this session")) == (
        SetBy.SESSION,
        "holdfast.toml:3",
        True,
    )


def test_an_address_that_was_edited_says_what_it_was_before(provider: ScriptedProvider, home: Path) -> None:
    with holdfast.open() as hf, ScriptedProvider(ok("hi")) as moved:
        session = hf.session("s1", "mimo/m1")
        ask(session)
        file = home / "holdfast.toml"
        file.write_text(file.read_text().replace(provider.url, moved.url, 1))
        hf.engine.look_again()
        ask(session)
        endpoint = session.origin().part("endpoint")
    assert endpoint.changed == f"before that {provider.url}, until"
    assert endpoint.changed_at is not None


def test_a_request_tells_its_session_its_fallback_and_its_own_model_apart(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "mimo/m1")
        plain, own = ask(session), ask(session, "twin/other")
        provider.follow([DOWN, DOWN, ok("hi")])
        fallback = ask(session)
        parts = {
            name: of_request(hf, session, request).part("model")
            for name, request in {"plain": plain, "own": own, "away": fallback}.items()
        }
        standing = session.origin().part("provider")
    assert {name: (part.value, part.by) for name, part in parts.items()} == {
        "plain": ("m1", SetBy.SESSION),
        "own": ("other", SetBy.REQUEST),
        "away": ("m2", SetBy.FALLBACK),
    }
    assert "a fallback of mimo/m1 (holdfast.toml:10)" in parts["away"].source
    assert (standing.value, standing.by, standing.location, standing.changed) == (
        "twin",
        SetBy.FALLBACK,
        "holdfast.toml:10",
        "fell back",
    )


def test_a_provider_that_is_gone_is_shown_without_an_address(provider: ScriptedProvider, home: Path) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "twin/m2")
        request = ask(session)
        file = home / "holdfast.toml"
        file.write_text("")
        hf.engine.look_again()
        origin, asked = session.origin(), of_request(hf, session, request)
    assert origin.part("endpoint").by is SetBy.NOBODY
    assert asked.part("endpoint").source == "an address that is no longer configured"
    with pytest.raises(KeyError):
        origin.part("key")
