"""Between two equal requests of a program anything may happen that the full path looks at: the second one
takes it then. What concerns only others changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from gateway.test_what_ends_the_fast_path import BODY, CONFIG, ENDS, GOES_ON
from holdfast.testing import ScriptedProvider
from tables import rows

HEADERS = {"content-type": "application/json"}


class Program:
    """A program with sessions, with what the events of a session's life need of a gateway."""

    def __init__(self, home: Path) -> None:
        self.home, self.holdfast = home, holdfast.open(home)

    def post(self, route: str, body: dict[str, Any], *, holdfast_session: str, **headers: str) -> int:
        session = self.holdfast.session(holdfast_session, "mine/scripted-1")
        with httpx2.Client(transport=session.transport(), base_url="http://nowhere.invalid") as client:
            return client.post(f"/{route}", json=body, headers=HEADERS | headers).status_code

    def is_recalled(self, **headers: str) -> bool:
        """Send the request once more; return whether it took the fast path, and not the full one instead."""
        fast_path, recalled = self.holdfast.engine.fast_path, []
        recall = fast_path.recall
        fast_path.recall = lambda *given: recalled.append(recall(*given)) or recalled[-1]
        self.post("chat/completions", BODY, holdfast_session="s", **headers)
        fast_path.recall = recall
        return recalled != [] and recalled[-1] is not None


@pytest.fixture
def homes(tmp_path: Path, provider: ScriptedProvider) -> Iterator[Any]:
    """Gives programs whose session `s` has had the same answer before."""
    programs: list[Program] = []

    def begin(patch: pytest.MonkeyPatch) -> Program:
        for name in "ABC":
            patch.setenv(f"KEY_{name}", f"sk-{name.lower() * 4}-0123456789abcdef")
        home = tmp_path / str(len(programs))
        home.mkdir(mode=0o700)
        (home / "holdfast.toml").write_text(CONFIG.format(url=provider.url))
        programs.append(Program(home))
        for _ in range(3):
            assert programs[-1].post("chat/completions", BODY, holdfast_session="s") == 200
            programs[-1].holdfast.engine.journal_writer.flush()
        return programs[-1]

    yield begin
    for program in programs:
        program.holdfast.close()


@rows("event", ENDS)
def test_what_concerns_a_session_sends_its_next_request_on_the_full_path(event: str, homes: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        program = homes(patch)
        assert program.is_recalled()
        ENDS[event](program, patch)
        program.holdfast.engine.look_again()
        program.post = _told_anyway(program)
        assert not program.is_recalled()


def _told_anyway(program: Program) -> Any:
    """A request whose session may be gone: its client holds it already."""
    session = holdfast.Session(program.holdfast, "s")

    def post(route: str, body: dict[str, Any], **_: Any) -> None:
        with httpx2.Client(transport=session.transport(), base_url="http://nowhere.invalid") as client:
            client.post(f"/{route}", json=body, headers=HEADERS)

    return post


@rows("event", GOES_ON)
def test_what_concerns_others_leaves_a_session_on_the_fast_path(event: str, homes: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        program = homes(patch)
        GOES_ON[event](program, patch)
        program.holdfast.engine.look_again()
        assert program.is_recalled()


def test_a_repetition_or_a_deadline_takes_the_full_path(homes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = homes(monkeypatch)
    assert program.is_recalled()
    assert not program.is_recalled(**{"x-stainless-retry-count": "1"})
    assert not program.is_recalled(**{"holdfast-deadline": "9"})
    assert program.is_recalled()


def test_headers_that_change_from_call_to_call_stay_on_the_fast_path(
    homes: Any, monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    program = homes(monkeypatch)
    session = program.holdfast.session("s")
    with httpx2.Client(transport=session.transport(), base_url="http://nowhere.invalid") as client:
        for number in range(3):
            client.post("/chat/completions", json=BODY, headers={"x-trace-id": f"t{number}"})
            client.post("/chat/completions", json=BODY | {"n": 10**number}, headers={"x-trace-id": "same"})
    ids = [request.headers["x-trace-id"] for request in provider.requests[-6:]]
    assert ids == ["t0", "same", "t1", "same", "t2", "same"]
    assert all(int(request.headers["content-length"]) == len(request.body) for request in provider.requests)


def test_one_variable_sends_every_request_on_the_full_path(
    homes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_FAST_PATH", "off")
    program = homes(monkeypatch)
    assert not program.is_recalled()
    assert not program.holdfast.engine.fast_path._known
