"""A key whose source is silent: both faces wait for it within the request's budget, and then tell it alike as
a 503 with the time to come back, never as a refused key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from holdfast.core.identity import Dialect
from holdfast.credentials import cached_source, renewal_state
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.fake_provider import ScriptedProvider, SeenRequest, ok, status
from holdfast.values.secret import Secret
from signins.authority import Authority

from .conftest import Running, StartGateway
from .test_the_faces_agree import through_both

KEY = "sk-good-0123456789abcdef"
REFUSED = status(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})


def asked(plane: Running, face: str, pin: str = "mine/scripted-1") -> Any:
    """Return the status of one request through a face, as the SDK of OpenAI sends it to the gateway."""
    if face == "library":
        session = plane.holdfast.session("s", pin)
        with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
            return client.post(
                "/chat/completions", json={"model": pin.partition("/")[2], "messages": []}
            ).status_code
    with openai.OpenAI(base_url=plane.url, api_key=plane.token, max_retries=0) as sdk:
        try:
            return sdk.chat.completions.with_raw_response.create(model=pin, messages=[]).status_code
        except openai.APIStatusError as error:
            return error.status_code


def later(seconds: float, call: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


class Helper:
    """A program that prints a key while its file is there, and else fails."""

    def __init__(self, directory: Path, provider: ScriptedProvider, more: str = "") -> None:
        self.key, program = directory / "its-key", directory / "helper"
        program.write_text(
            f"#!/bin/sh\ntest -e {self.key} || {{ echo locked >&2; exit 1; }}\ncat {self.key}\n"
        )
        program.chmod(0o755)
        self.config = (
            f'[provider.mine]\nmodels = ["scripted-1"]\nkeys = ["cmd:{program}"]\nendpoints = '
            f'{{ openai-chat = "{provider.url}", openai-responses = "{provider.url}", '
            f'anthropic-messages = "{provider.root}" }}\n{more}'
        )

    def prints(self, key: str | None) -> None:
        if key is None:
            self.key.unlink()
            return
        draft = self.key.with_suffix(".draft")
        draft.write_text(key)
        draft.replace(self.key)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sources rest a tenth as long."""
    monkeypatch.setattr(cached_source, "_FIRST_REST", 0.05)
    monkeypatch.setattr(renewal_state, "_FIRST_PAUSE", 0.1)


FACES = pytest.mark.parametrize("face", ["library", "gateway"])


@FACES
@pytest.mark.usefixtures("quick")
def test_an_outage_of_the_sign_in_service_costs_no_request(
    face: str, gateway: StartGateway, home: Path
) -> None:
    with Authority() as authority:
        authority.issue()
        now = time.time()
        grant = Grant("g", 0, Secret(authority.access), Secret(authority.refresh), now - 3600, now - 10)
        SecretsFile(home / "secrets.toml").put_grant("corp", grant)
        plane = gateway(config=authority.config())
        authority.broken = True
        timer = later(0.4, lambda: setattr(authority, "broken", False))
        assert asked(plane, face, "corp/m") == 200
        timer.join()
        assert (authority.refreshes, authority.turned_away) == (1, 0)


@FACES
@pytest.mark.usefixtures("quick")
def test_a_helper_that_fails_for_a_moment_costs_no_request(
    face: str, gateway: StartGateway, provider: ScriptedProvider, tmp_path: Path
) -> None:
    helper = Helper(tmp_path, provider)
    plane = gateway(config=helper.config)
    timer = later(0.3, lambda: helper.prints(KEY))
    assert asked(plane, face) == 200
    timer.join()
    assert [seen.key for seen in provider.calls] == [KEY]


@pytest.mark.usefixtures("quick")
def test_a_silence_beyond_the_budget_is_told_alike_by_both_faces_and_is_no_refusal(
    gateway: StartGateway, provider: ScriptedProvider, tmp_path: Path
) -> None:
    plane = gateway(config=Helper(tmp_path, provider, "[settings]\nwait_budget = 0\n").config)
    for dialect in Dialect:
        library, ours = through_both(plane, dialect)
        assert library[:6] == ours[:6]
        assert (ours.status, ours.name) == (503, "transient")
        assert ours.code == (None if dialect is Dialect.ANTHROPIC_MESSAGES else "source_silent")
        assert ours.retry[:2] == ("false", "1")
        assert ours.next_step.endswith("holdfast check mine/scripted-1")
        assert "gives none now" in ours.message
    assert provider.calls == []


@FACES
@pytest.mark.usefixtures("quick")
def test_a_refused_value_is_not_sent_again_while_its_source_is_silent(
    face: str, gateway: StartGateway, provider: ScriptedProvider, tmp_path: Path
) -> None:
    helper = Helper(tmp_path, provider)
    helper.prints(KEY)
    plane = gateway(config=helper.config)
    good = [KEY]

    def place(seen: SeenRequest) -> Any:
        return ok() if seen.key == good[0] else REFUSED

    provider.follow(place)
    assert asked(plane, face) == 200
    good[0] = "sk-next-0123456789abcdef"
    helper.prints(None)
    timer = later(0.3, lambda: helper.prints(good[0]))
    assert asked(plane, face) == 200
    timer.join()
    assert [seen.key for seen in provider.calls] == [KEY, KEY, good[0]]


def test_no_request_is_refused_while_a_file_is_rewritten(
    gateway: StartGateway, provider: ScriptedProvider, tmp_path: Path
) -> None:
    path, done, writes = tmp_path / "token", threading.Event(), [0]
    path.write_text("tok-0-end")

    def rewrite() -> None:
        while not done.wait(0.004):
            writes[0] += 1
            with path.open("w") as file:
                file.flush()
                time.sleep(0.002)
                file.write(f"tok-{writes[0]}-end")

    provider.follow(
        lambda seen: ok() if seen.key.startswith("tok-") and seen.key.endswith("-end") else REFUSED
    )
    plane = gateway(
        config=Helper(tmp_path, provider).config.replace("cmd:" + str(tmp_path / "helper"), f"file:{path}")
    )
    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        faces = ["library", "gateway"] * 20
        assert [asked(plane, face) for face in faces] == [200] * len(faces)
    finally:
        done.set()
        writer.join()
    assert writes[0] > 10
