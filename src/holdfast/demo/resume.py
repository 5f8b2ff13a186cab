"""Story 0: a session stores the name that its user chose, and a restart resumes exactly that, or refuses
(hermes-agent#44108)."""

from __future__ import annotations

import json
import os
import subprocess
from threading import Timer

from ..config import load, remove_provider
from ..core.errors import ConnectionLost
from ..distribution.interpreter import module_command
from ..fake_provider import ScriptedProvider, ok
from ..importers.legacy_rows import LegacyRow, recover_pin
from .stage import Stage, counted, key_of, keys

SESSION = "issue-42"
_PIN = "team-b/north-1"
_LONG = ok(
    "This answer is long enough for someone to pull the plug while it is still being given, word by word.",
    event_delay=0.06,
)
_ENOUGH_WORDS = 5
_LONGEST = 15.0


def play(stage: Stage) -> None:
    """Kill a program in the middle of an answer, resume its session, then take its provider away."""
    show = stage.show
    intro = (
        "Two entries, team-a and team-b, share one URL; only the key tells them apart. A program works "
        "on team-b. Elsewhere, a session stored the kind 'custom' instead of the name, and resumed on "
        "the wrong account or on none."
    )
    show.scene(0, "A restart resumes exactly what was chosen", intro)
    gateway = stage.provider(_LONG, models=("north-1",))
    for team in ("team-a", "team-b"):
        stage.entry(team, gateway, [team], ["north-1"])
    show.step("program", f"session {SESSION} on {_PIN} at {gateway.url}")
    heard, code = _killed(stage)
    show.step("kill -9", f"after “{heard}…” the process ends in mid-answer, exit code {code}")
    gateway.follow(ok())

    session = stage.restart().session(SESSION)
    reply, pin = stage.ask(session), session.pin
    show.step("holdfast", f"a new process opens session {SESSION} and names nothing else: resumed on {pin}")
    show.step("provider", f"“{reply.text}”")
    show.step("stayed", f"entry team-b, its key, {gateway.url}, model {reply.model}")
    mine = keys(gateway.calls) == ["team-b"]
    show.promise(
        "Two entries on one URL never mix, even after kill -9",
        reply.ok and code != 0 and str(pin) == _PIN and mine,
        counted(gateway.calls, "the gateway"),
    )
    _old_rows(stage, gateway)
    _removed(stage, gateway)


def _killed(stage: Stage) -> tuple[str, int]:
    """Start the child and kill it after its first words; return these words and its exit code."""
    command = module_command("holdfast.demo.child", SESSION, _PIN)
    environment = {**os.environ, "HOLDFAST_HOME": str(stage.directory)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        words: list[str] = []
        watch = Timer(_LONGEST, child.kill)
        watch.start()
        for line in child.stdout or ():
            if line.startswith("data: {"):
                words.append(
                    json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content", "")
                )
            if len(words) > _ENOUGH_WORDS:
                break
        child.kill()
        code = child.wait()
        watch.cancel()
        if not words and child.stderr is not None:
            raise RuntimeError(
                f"the program could not begin: {child.stderr.read().strip().rpartition(chr(10))[2]}"
            )
    return "".join(words).strip(), code


def _old_rows(stage: Stage, gateway: ScriptedProvider) -> None:
    """Recover a row of another program, 'custom' and a URL: healed when it can mean one entry, asked about
    when it can mean two."""
    show, before, config = stage.show, len(gateway.requests), load(stage.home)
    try:
        recovered = f"took {recover_pin(config, LegacyRow('custom', gateway.url, 'north-1'))}"
        asked = False
    except ConnectionLost as refusal:
        recovered, asked = str(refusal), refusal.candidates == ("team-a/north-1", "team-b/north-1")
    show.step("old row", f"another program stored: provider 'custom', {gateway.url}, model north-1")
    show.step("holdfast", recovered)
    named = recover_pin(config, LegacyRow("custom:team-a", gateway.url, "north-1"))
    show.step("old row", "the same row, but with 'custom:team-a'")
    show.step("holdfast", f"one entry matches: {named}")
    calm = len(gateway.requests) == before
    show.promise(
        "A lost name is asked for, never guessed",
        asked and str(named) == "team-a/north-1" and calm,
        f"{len(gateway.requests) - before} requests at the gateway meanwhile",
    )


def _removed(stage: Stage, gateway: ScriptedProvider) -> None:
    """Remove the entry, which gives a typed refusal with the command; add it again, and the session goes
    on."""
    show, before = stage.show, len(gateway.calls)
    remove_provider(stage.home, "team-b")
    show.step("you", "holdfast provider remove team-b")
    try:
        stage.restart().session(SESSION)
        refused = "nothing"
    except ConnectionLost as refusal:
        refused = str(refusal)
    show.step("holdfast", refused)
    silent = len(gateway.calls) == before
    stage.entry("team-b", gateway, ["team-b"], ["north-1"])
    reply = stage.ask(stage.restart().session(SESSION))
    show.step("you", "the entry comes back; the session goes on where it was")
    typed = "holdfast provider add team-b" in refused and silent
    back = reply.ok and {call.key for call in gateway.calls} == {key_of("team-b")}
    evidence = counted(gateway.calls[before:], "the gateway")
    if silent:
        evidence = f"0 requests while it was gone, key {', '.join(keys(gateway.calls[before:]))} after"
    show.promise(
        "A choice that is gone is refused, with the command to run",
        typed and back,
        evidence,
    )
