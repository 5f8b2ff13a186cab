"""A key and the tokens of a gateway are searched, in each spelling that there is, wherever a gateway, a run,
commands and the library may have left them: nowhere.

The provider gives the key back in each spelling, in errors, in answers and in streams.
"""

from __future__ import annotations

import json
import resource
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from click.testing import CliRunner

import holdfast
from gateway.served import CHAT, Served, provider, serving, write_config
from holdfast.cli import app
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status
from holdfast.secrecy.masking import spellings_of
from holdfast.values.secret import Secret
from secrecy.deep import holders
from secrecy.spelled import KEY, SPELLINGS, left_of
from tables import rows

NAMES = [*SPELLINGS]
COMMANDS = [
    "why work --json",
    "why work",
    "status --json",
    "doctor --json",
    "key list --json",
    "session show work --json",
    "session export work",
    "token list --json",
    "check p/m --json",
    "models --provider p --refresh --json",
    "report --list",
    "run pi --pin p/m",
]
PROGRAM = """#!/bin/sh
env > {0}/environ
tr '\\0' ' ' < /proc/$PPID/cmdline > {0}/argv 2>/dev/null
exit 0
"""


def spelled(seen: SeenRequest) -> Behaviour:
    """The answer that holds the key in the spelling that the question names."""
    question = str(json.loads(seen.body)["messages"][0]["content"])
    name, _, wanted = question.partition("|")
    written = SPELLINGS.get(name, str.encode)(KEY)
    if wanted == "200":
        return ok(f"It is {written.decode('latin-1')}, is it not?")
    body = b'{"error": {"message": "Unsupported value: ' + written + b'.", "type": "invalid_request_error"}}'
    shown = written.replace(b"\0", b"").decode("ascii", "ignore")
    return status(400, body, {"content-type": "application/json", "x-key": shown})


class Search:
    """Looks for secrets in what was left behind; `matches` says where they were, and in which spelling."""

    def __init__(self, **secrets: str) -> None:
        self._spellings = [(name, spellings_of(Secret(value))) for name, value in secrets.items()]
        self._parts = [
            (f"{name} as {spelling}", left_of(value, spell(value))[:3])
            for name, value in secrets.items()
            for spelling, spell in SPELLINGS.items()
        ]
        self.matches: list[str] = []

    def within(self, where: str, raw: bytes | str) -> None:
        if isinstance(raw, str):
            raw = raw.encode("utf-8", "surrogateescape")
        self.matches += [f"{name} in {where}" for name, known in self._spellings if known.spans(raw)]
        for name, parts in self._parts:
            if len(parts) == 3 and all(part in raw for part in parts):
                self.matches.append(f"{name} in {where}")


@pytest.fixture
def behind() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(spelled) as made:
        yield made


def ask_in_each_spelling(served: Served) -> dict[str, bytes]:
    """What clients are told."""
    heard: dict[str, bytes] = {}
    for name in NAMES:
        for code, streams in (("400", False), ("200", False), ("200", True)):
            body: dict[str, Any] = {
                "model": "p/m",
                "messages": [{"role": "user", "content": f"{name}|{code}"}],
            }
            if streams:
                body["stream"] = True
            answer = served.ask(CHAT, body, holdfast_session="work")
            assert answer.status_code in (200, 400), answer.text
            heard[f"{name} {code} {streams}"] = str(answer.headers).encode() + answer.content
    for path in ("/v1/models", "/metrics", "/holdfast/status", "/holdfast/sessions", "/holdfast/providers"):
        heard[path] = served.ask(path).content
    return heard


def test_no_key_and_no_token_is_left_anywhere(
    home: Path, behind: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(home, provider("p", behind.url, keys=["env:CANARY"]) + "[settings]\nmask_answers = true\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pi").write_text(PROGRAM.format(tmp_path))
    (programs / "pi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CANARY", KEY)
    with serving(home, "--access-log") as served:
        heard = ask_in_each_spelling(served)
        limit = resource.prlimit(served.process.pid, resource.RLIMIT_CORE)
        argv = Path(f"/proc/{served.process.pid}/cmdline").read_bytes()
        printed = {line: CliRunner().invoke(app, line.split()) for line in COMMANDS}
    child = (tmp_path / "environ").read_text()
    theirs = dict(line.split("=", 1) for line in child.splitlines() if "=" in line).get("HOLDFAST_TOKEN", "")
    assert theirs, "the program has a token of its own"

    everywhere, kept = Search(key=KEY, token=served.token, theirs=theirs), Search(key=KEY, token=served.token)
    for where, raw in heard.items():
        everywhere.within(f"the answer to {where}", raw)
    for line, result in printed.items():
        assert result.exception is None or isinstance(result.exception, SystemExit), line
        everywhere.within(f"what `holdfast {line}` says", result.stdout + result.stderr)
    for path in home.rglob("*"):
        if path.is_file():
            everywhere.within(path.name, path.read_bytes())
    everywhere.within("the log", "".join(served.errors))
    everywhere.within("argv", argv + (tmp_path / "argv").read_bytes())
    kept.within("the environment of a program", child)
    assert [*everywhere.matches, *kept.matches] == []
    assert limit[0] == 0, "a core dump would hold them"
    assert [seen.key for seen in behind.calls] == [KEY] * len(behind.calls)
    assert len(behind.calls) >= 3 * len(NAMES)


def test_no_traceback_with_its_locals_holds_the_key(
    home: Path, behind: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", KEY)
    write_config(home, provider("p", behind.url, keys=["env:CANARY"]))
    search = Search(key=KEY)
    with holdfast.open(home) as held, openai.OpenAI(**held.session("work", "p/m").for_openai()) as client:
        for name in NAMES[::4]:
            with pytest.raises(openai.APIStatusError) as caught:
                client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": f"{name}|400"}]
                )
            own = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            lines = [line for line in own.format() if __file__ not in line]
            search.within(f"the traceback of {name}", "".join(lines))
            assert holders(caught.value, KEY, __file__) == set()
    assert search.matches == []


@rows("name", NAMES)
def test_the_search_finds_a_key_in_each_spelling(name: str) -> None:
    spell: Callable[[str], bytes] = SPELLINGS[name]
    search = Search(key=KEY)
    search.within("a text", b"before " + spell(KEY) + b" after")
    assert search.matches
