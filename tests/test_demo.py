"""The demo is a promise to strangers: it must tell the truth, also when the truth is that something broke."""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from holdfast import demo
from holdfast.core.config import Config
from holdfast.core.identity import Pin
from holdfast.demo import resume
from holdfast.demo.show import Show
from holdfast.demo.speakers import OpenAISpeaker, PlainSpeaker, Speaker, speaker
from holdfast.demo.stage import Stage, key_of
from holdfast.fake_provider import ok
from holdfast.importers.legacy_rows import LegacyRow


def shown_text(show: Show, out: io.StringIO) -> str:
    show.scene(0, "A title", "An introduction.")
    show.step("provider", "words " * 40)
    show.promise("It is so", True, "1 request")
    show.promise("It is not so", False, "2 requests")
    show.summary()
    return out.getvalue()


def test_every_promise_is_held_when_the_openai_client_speaks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = demo.main(json=True, program="openai")
    text = capsys.readouterr().out
    document = json.loads(text)
    promises = [promise for scene in document["scenes"] for promise in scene["promises"]]
    assert [promise["text"] for promise in promises if not promise["held"]] == []
    assert (code, document["held"]) == (0, True)
    assert {promise["story"] for promise in promises} == {0, 1, 2, 3, 4, None}
    assert all(promise["evidence"] for promise in promises)
    assert document["program"].startswith("the openai client")
    assert 0 < document["seconds"] < 120
    assert 0 < document["core_microseconds"] < 1000
    assert any("went on with mimo-plan/mimo-v2.5-pro key 'second'" in line for line in document["why"])
    assert key_of("") not in text
    assert list(tmp_path.iterdir()) == []


SHADOWS = "asyncio.py httpx2.py json.py logging.py secrets.py socket.py uvloop.py".split()
COMMANDS = {"command": [str(Path(sys.executable).with_name("holdfast")), "demo"]}
COMMANDS["module"] = [sys.executable, "-P", "-m", "holdfast.demo"]


class Played(NamedTuple):
    """A demo that was started in a directory whose modules leave a mark when they run."""

    done: subprocess.CompletedProcess[str]
    mark: Path
    home: Path


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Played]:
    """Starts the demo by a command of COMMANDS, each one once."""

    @functools.cache
    def start(command: str) -> Played:
        folder = tmp_path_factory.mktemp(command)
        trap, mark, home = folder / "project", folder / "ran", folder / "home"
        (trap / "holdfast").mkdir(parents=True)
        home.mkdir()
        for name in ("holdfast/__init__.py", *SHADOWS):
            (trap / name).write_text(
                f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit('hijacked')"
            )
        done = subprocess.run(
            [*COMMANDS[command], "--program", "httpx2"],
            cwd=trap,
            env=os.environ | {"HOME": str(home), "HOLDFAST_HOME": str(home / "holdfast")},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=110,
            check=False,
        )
        return Played(done, mark, home)

    return start


@pytest.mark.parametrize("command", COMMANDS)
def test_the_demo_runs_no_module_that_lies_in_the_working_directory(
    command: str, play: Callable[[str], Played]
) -> None:
    done, mark, _ = play(command)
    assert not mark.exists(), mark.read_text()
    assert (done.returncode, "BROKEN" in done.stdout) == (0, False), done.stdout + done.stderr


def test_every_promise_is_held_when_only_our_own_transport_speaks_and_a_person_can_read_it(
    play: Callable[[str], Played],
) -> None:
    done, _, home = play("module")
    assert (done.returncode, done.stderr) == (0, "")
    assert "BROKEN" not in done.stdout
    assert " promises held, in " in done.stdout
    assert "an httpx2 client" in done.stdout
    assert key_of("") not in done.stdout
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert list(home.iterdir()) == []


def test_a_guess_where_we_should_ask_is_reported_as_a_broken_promise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def guess(config: Config, row: LegacyRow) -> Pin:
        return Pin(next(iter(config.providers)), row.model)

    monkeypatch.setattr(resume, "recover_pin", guess)
    monkeypatch.setattr(demo, "SCENES", (resume.play,))
    assert demo.main(program="httpx2") == 1
    text = capsys.readouterr().out
    assert "BROKEN     A lost name is asked for, never guessed" in text
    assert "\n  broken: A lost name is asked for, never guessed\n" in text
    assert "held       Two entries on one URL never mix" in text


def test_a_scene_that_cannot_be_played_is_a_broken_promise_and_the_others_go_on() -> None:
    def stumbles(stage: Stage) -> None:
        stage.show.scene(3, "A scene", "It begins.")
        raise RuntimeError("the stage is on fire")

    show = Show(None)
    demo.play(
        show,
        PlainSpeaker(),
        [stumbles, lambda stage: stage.show.promise("The next scene was played", True, "here")],
    )
    first, second = show.promises[:2]
    assert (first.held, first.evidence) == (False, "RuntimeError: the stage is on fire")
    assert (second.held, second.text) == (True, "The next scene was played")


def test_a_key_at_a_provider_that_it_was_not_given_to_is_counted_as_misplaced() -> None:
    with Stage(Show(None), PlainSpeaker()) as stage:
        mine, foreign = stage.provider(ok()), stage.provider(ok())
        stage.entry("mine", mine, ["one"], ["m"])
        session = stage.hf.session("s", "mine/m")
        assert stage.ask(session).ok
        assert stage.strays() == []
        with httpx2.Client(trust_env=False) as client:
            client.post(
                f"{foreign.url}/chat/completions",
                headers={"authorization": f"Bearer {key_of('one')}"},
                json={"model": "m"},
            )
        assert [seen.key for seen in stage.strays()] == [key_of("one")]
        stage.grant(foreign, ["one"])
        assert len(stage.strays()) == 1, "what the user allows afterwards was not allowed before"


@pytest.mark.parametrize("program", [OpenAISpeaker, PlainSpeaker])
def test_both_programs_tell_the_words_of_a_refusal_and_of_an_answer(program: type[Speaker]) -> None:
    with Stage(Show(None), program()) as stage:
        stage.entry("one", stage.provider([ok("Yes.", model="m"), demo.transient._REFUSED]), ["k"], ["m"])
        session = stage.hf.session("s", "one/m")
        answer = stage.ask(session)
        assert (answer.status, answer.text, answer.model, answer.labels["holdfast-pin"]) == (
            200,
            "Yes.",
            "m",
            "one/m",
        )
        refusal = stage.ask(session, "unknown")
        assert (refusal.status, refusal.ok) == (404, False)
        assert refusal.text.startswith("no provider lists a model 'unknown'")


def test_without_the_openai_client_our_own_transport_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.demo.speakers.find_spec", lambda name: None)
    assert isinstance(speaker(), PlainSpeaker)


def test_a_show_has_colours_if_it_is_given_any() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    assert "\x1b" not in shown_text(Show(plain), plain)
    assert "\x1b[1;31mBROKEN" in shown_text(Show(coloured, coloured=True), coloured)


def test_a_show_without_a_single_promise_has_held_nothing() -> None:
    assert not demo.held([])
