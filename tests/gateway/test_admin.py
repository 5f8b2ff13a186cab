"""The admin pages: what they tell, to whom, and that no key is among it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from gateway.test_models_list import FakePlane
from holdfast.core.changes import Cooldown, CooldownStarted, KeySucceeded
from holdfast.core.errors import ConfigError, StoreError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.store.journal_events import Event, RequestRefused
from holdfast.store.token import Token
from holdfast.store.usage import Usage

CANARY = "sk-canary-5e0f6c1b9d3a4728"
URL = "https://mimo.example/v1"
CONFIG = (
    f'[provider.mimo]\nurl = "{URL}"\nmodels = ["m"]\n'
    f'keys = ["env:MIMO_KEY", {{ from = "env:MISSING", label = "gone", account = "team" }}]\n'
)
ANYBODY = Token("t", "", "laptop")
ADMIN = [
    "/metrics",
    "/holdfast/status",
    "/holdfast/providers",
    "/holdfast/sessions",
    "/holdfast/session/a",
    "/holdfast/requests/r1",
]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MIMO_KEY", CANARY)
    (tmp_path / "holdfast.toml").write_text(CONFIG)
    with holdfast.open(tmp_path) as held:
        held.session("a", "mimo/m")
        held.session("b", "mimo/m")
        engine = held.engine
        key = held.config.providers["mimo"].keys[0]  # type: ignore[index]
        engine.vault.secret(key)
        mark, now = engine.fingerprint(key), engine.store.now()
        fault = Fault(FaultClass.RATE_LIMITED, status=429, scope=Scope.KEY, excerpt=f"no more for {CANARY}")
        engine.store.apply(
            [
                KeySucceeded(str(mark), URL, "m", "", now - 60, True),
                CooldownStarted(Cooldown(f"key:{mark}@{URL}", now + 60, now, 1, fault)),
            ],
            now,
        )
        engine.store.record(
            [
                Event(
                    at=now,
                    detail=RequestRefused(FaultClass.RATE_LIMITED, "MIMO_KEY", now + 60),
                    session="a",
                    request="r1",
                    pin="mimo/m",
                )
            ]
        )
        yield engine


def asked(engine: Any, path: str, token: Token | None = ANYBODY) -> tuple[int, Any]:
    path, _, query = path.partition("?")
    answer = AdminRoutes(Metrics(), "1.2").answer(FakePlane(engine), path, query, [], token)  # type: ignore[arg-type]
    if answer is None:
        return 0, None
    status, headers, body = answer  # type: ignore[misc]
    return status, json.loads(body) if (b"content-type", b"application/json") in headers else body.decode()


def test_only_what_says_nothing_needs_no_token() -> None:
    assert {
        "/health/live",
        "/health/ready",
        "/health/liveliness",
        "/health/readiness",
    } == AdminRoutes.OPEN


@pytest.mark.parametrize("path", [*ADMIN, "/", *sorted(AdminRoutes.OPEN), "/v1/models", "/v1/models/mimo/m"])
def test_no_page_holds_a_key_or_a_traceback(path: str, engine: Any) -> None:
    status, answer = asked(engine, path)
    assert status == 200
    assert CANARY[3:] not in json.dumps(answer)
    assert "Traceback" not in json.dumps(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/holdfast",
        "/holdfast/",
        "/holdfast/session/",
        "/holdfast/nothing",
        "/v1",
        "/health",
        "/metrics/x",
        "/models/",
    ],
)
def test_a_path_that_is_none_is_left_to_others(path: str, engine: Any) -> None:
    assert asked(engine, path) == (0, None)
    assert not AdminRoutes(Metrics(), "1.2").serves(path)


def test_a_provider_is_shown_with_what_its_keys_did_and_what_rests(engine: Any) -> None:
    _, (entry,) = asked(engine, "/holdfast/providers")
    first, gone = entry["keys"]
    assert (entry["name"], first["label"], first["kept_in"], gone["label"], gone["account"]) == (
        "mimo",
        "MIMO_KEY",
        "env",
        "gone",
        "team",
    )
    (resting,) = first["resting"]
    assert (resting["fault"], resting["about"], resting["url"]) == ("rate_limited", "key", URL)
    (seen,) = first["evidence"]
    assert seen["url"] == URL
    assert seen["last_ok"] < engine.store.now()
    assert (gone["read"], gone["evidence"], gone["resting"]) == (False, [], [])


def test_sessions_and_requests_are_shown_with_their_history(engine: Any) -> None:
    _, rows = asked(engine, "/holdfast/sessions")
    assert {row["id"] for row in rows} == {"a", "b"}
    _, session = asked(engine, "/holdfast/session/a")
    assert (session["pin"], session["resumes"]) == ("mimo/m", True)
    assert "nothing sent on mimo/m" in session["why"][-1]
    _, request = asked(engine, "/holdfast/requests/r1")
    assert (request["session"], request["events"][0]["kind"]) == ("a", "refused")
    assert asked(engine, "/holdfast/session/nobody")[0] == asked(engine, "/holdfast/requests/none")[0] == 404


def test_a_session_that_would_not_resume_says_why(engine: Any) -> None:
    engine.home.config.write_text(CONFIG.replace("provider.mimo", "provider.other"))
    engine.look_again()
    _, session = asked(engine, "/holdfast/session/a")
    assert (session["resumes"], session["why_not"]) == (
        False,
        "there is no provider 'mimo', which 'mimo/m' names",
    )


def test_a_token_of_one_session_sees_nothing_else(engine: Any) -> None:
    bound = Token("t", "", "", "b")
    assert {path: asked(engine, path, bound)[0] for path in ADMIN} == {
        "/metrics": 403,
        "/holdfast/status": 403,
        "/holdfast/providers": 403,
        "/holdfast/sessions": 200,
        "/holdfast/session/a": 404,
        "/holdfast/requests/r1": 404,
    }
    assert [session["id"] for session in asked(engine, "/holdfast/sessions", bound)[1]] == ["b"]
    assert asked(engine, "/holdfast/session/b", bound)[0] == 200


def test_readiness_tells_the_reason_only_to_whoever_has_a_token(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(engine, "/health/ready", None) == (200, "")
    assert asked(engine, "/health/ready") == (
        200,
        {"ready": True, "store": "ok", "config": "ok", "draining": False},
    )
    ending = FakePlane(engine)
    for ending.draining, ending.replaced, ready in ((True, False, 503), (True, True, 200)):
        answer = AdminRoutes(Metrics(), "1").answer(ending, "/health/ready", "", [], None)  # type: ignore[arg-type]
        assert answer == (ready, [], b"")
    engine.config_watch.error = ConfigError("holdfast.toml is wrong", next_step="holdfast doctor")
    status, health = asked(engine, "/health/ready")
    assert (status, health["ready"]) == (200, True)  # the last good one serves on
    assert "holdfast.toml is wrong" in health["config"]

    def failing(_: str) -> None:
        raise StoreError("the store is gone")

    monkeypatch.setattr(engine.guard.inner, "session", failing)
    assert engine.session("a") is not None, "it is served all the same"
    assert asked(engine, "/health/ready", None) == (200, "")
    assert asked(engine, "/health/ready?strict=1", None) == (503, "")
    assert asked(engine, "/health/ready")[1]["store"] == "the store is gone"
    assert asked(engine, "/health/live", None) == (200, "")
    assert asked(engine, "/health/live") == (200, {"live": True})


def test_the_first_page_says_what_this_is_and_where_everything_is(engine: Any) -> None:
    _, page = asked(engine, "/")
    for word in ("Holdfast gateway 1.2", "/health/ready", "/metrics", "/v1/models", "holdfast token new"):
        assert word in page


def test_sessions_come_in_pages_and_the_answer_names_the_next(engine: Any) -> None:
    rows = [
        Session(f"s{number:03}", Pin.parse("mimo/m"), changed_at=9.0 - number % 3) for number in range(120)
    ]
    for row in [*rows, Session("other", Pin.parse("mimo/x"), changed_at=1.0)]:
        engine.store.save_session(row, None)
    everything = [session.id for session in engine.store.sessions()]
    limited = Token("t", "", "ci", pins=(Pin.parse("mimo/x"),))
    for token, limit, expected in (
        (ANYBODY, "", everything),
        (ANYBODY, "?limit=50", everything),
        (ANYBODY, "?limit=0", everything),
        (limited, "?limit=50", ["other"]),
    ):
        seen, path, pages = [], f"/holdfast/sessions{limit}", 0
        while path:
            plain, _, query = path.partition("?")
            answer = AdminRoutes(Metrics(), "1.2").answer(FakePlane(engine), plain, query, [], token)  # type: ignore[arg-type]
            assert isinstance(answer, tuple)
            status, headers, body = answer
            assert status == 200
            seen += [shown["id"] for shown in json.loads(body)]
            path, pages = dict(headers).get(b"link", b"").decode().partition(">")[0][1:], pages + 1
            assert len(json.loads(body)) <= {"": 100, "?limit=50": 50, "?limit=0": 1}[limit]
        assert (seen, pages > 1 or token is limited) == (expected, True)
    status, refused = asked(engine, "/holdfast/sessions?after=nothing")
    assert (status, refused["error"]["code"]) == (400, "bad_page")
    assert "leave out after" in refused["error"]["holdfast"]["next_step"]


def test_a_session_is_shown_with_its_usage(engine: Any) -> None:
    engine.store.add_usage([Usage("2026-11-30", "a", "MIMO_KEY", "mimo/m", 3, 1200, 40)])
    _, shown = asked(engine, "/holdfast/session/a")
    assert shown["usage"] == [{"pin": "mimo/m", "requests": 3, "tokens_in": 1200, "tokens_out": 40}]
