"""A choice that does not resolve is told alike by library, command line and gateway: one reason, the same
candidates, the same next step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import holdfast
from gateway.test_models_list import FakePlane
from holdfast.core.errors import HoldfastError
from holdfast.core.identity import Pin
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.store.journal_events import Attempted, Event
from holdfast.store.token import Token

from .furnishing import Cli

URL = "https://plan.example/v1"
BEFORE = f'[provider.plan]\nurl = "{URL}"\nmodels = ["m"]\nkeys = [{{ from = "env:KEY", label = "a" }}]\n'

# What the file says later, and what the reason holds and the first candidate is then.
LATER = {
    "its provider is gone": ("", "plan", None),
    "its provider has another name": (BEFORE.replace(".plan]", ".zebra]"), "plan", "zebra/m"),
    "its key is gone": (BEFORE.replace('"a"', '"b"'), "'a'", "b"),
    "its provider has no key": (f'[provider.plan]\nurl = "{URL}"\nmodels = ["m"]\n', "key", None),
}


def asked(engine: Any, path: str) -> dict[str, Any]:
    """Return what an admin page of the gateway answers."""
    answer = AdminRoutes(Metrics(), "1").answer(
        FakePlane(engine), path=path, query="", headers=[], token=Token("t", "", "laptop")
    )
    return dict(json.loads(answer[2]))


@pytest.mark.parametrize("case", LATER)
def test_a_choice_that_no_longer_resolves_is_told_alike_by_every_face(
    case: str, cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, reason, candidate = LATER[case]
    monkeypatch.setenv("KEY", "sk-plan-0123456789")
    config = home / "holdfast.toml"
    config.write_text(BEFORE)
    config.chmod(0o600)
    with holdfast.open(home) as held:
        held.session("s", "plan/m", key="a" if "key is gone" in case else None)
        attempt = Attempted(1, "a", URL, None, 0.1)
        held.engine.store.record([Event(held.engine.store.now(), attempt, session="s", pin="plan/m")])
    config.write_text(text)
    with holdfast.open(home) as held:
        with pytest.raises(HoldfastError) as library:
            held.session("s")
        lost = library.value
        page = asked(held.engine, "/holdfast/session/s")
    shown = json.loads(cli("session", "show", "s", "--json").stdout)
    candidates = list(getattr(lost, "candidates", ()))
    assert reason in lost.what
    assert candidates[:1] == [candidate] * (candidate is not None)
    for face in (shown, page):
        assert (face["resumes"], face["why_not"], face["candidates"]) == (False, lost.what, candidates)
        assert face["run"] == lost.next_step


def test_a_choice_that_the_command_line_refuses_is_refused_by_the_library(cli: Cli, home: Path) -> None:
    config = home / "holdfast.toml"
    config.write_text(LATER["its provider has no key"][0])
    config.chmod(0o600)
    refused = cli("session", "pin", "s", "plan/m")
    with holdfast.open(home) as held, pytest.raises(HoldfastError) as library:
        held.session("s", Pin.parse("plan/m"))
    assert refused.exit_code != 0
    assert library.value.what in refused.stderr
