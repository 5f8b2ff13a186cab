"""The real programs on a provider that speaks another API than they do."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import programs
import pytest
from chat_answers import FULL, QUOTA, answer, shell
from stage import CHAT, KEY, MESSAGES, RESPONSES, Ended, Stage

from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, SeenRequest, ok, status

WIRES = [
    ("claude", CHAT),
    ("claude", RESPONSES),
    ("codex", CHAT),
    ("codex", MESSAGES),
]
PROGRAMS = pytest.mark.parametrize("program", ["claude", "codex"])
OTHER = "sk-canary-other-5d0c7be1a9f24e36"
WORK = {
    "claude": ("-p", "Work.", "--allowedTools", "Bash,Read"),
    "codex": ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Work."),
}
GO_ON = {
    "claude": ("-c", "-p", "Go on."),
    "codex": ("exec", "resume", "--last", "--skip-git-repo-check", "Go on."),
}
NAMES = {"claude": "anthropic-messages", "codex": "openai-responses"}


def configure(stage: Stage, more: str = "", *, model: str = "good-model") -> None:
    """A provider of chat with two keys; `more` are further lines of its table, and further tables."""
    stage.configure(CHAT, ref='env:MIMO_KEY", "env:OTHER_KEY')
    stage.more = {"OTHER_KEY": OTHER}
    file = stage.home / "holdfast.toml"
    file.write_text(file.read_text().replace("good-model", model) + more)


def work(stage: Stage, program: str, *script: Behaviour) -> Ended:
    stage.provider.follow(list(script))
    return stage.run(program, *WORK[program])


def sent(stage: Stage) -> list[dict[str, Any]]:
    """What arrived, all of it chat, and nothing in it that only the program is to keep."""
    assert {call.dialect for call in stage.provider.calls} == {CHAT}
    assert [call for call in stage.provider.calls if b"hf1~" in call.body] == []
    return [json.loads(call.body) for call in stage.provider.calls]


@pytest.mark.parametrize(("program", "dialect"), WIRES)
def test_a_program_works_on_a_provider_that_speaks_another_api(
    program: str, dialect: Dialect, on_stage: Stage
) -> None:
    on_stage.configure(dialect)
    ended = on_stage.run(program)
    assert ended.code == 0, ended.err
    assert {(call.key, call.model, call.dialect) for call in on_stage.provider.calls} == {
        (KEY, "good-model", dialect)
    }
    assert ended.leaks == set()
    assert f"answered 1; translated from {NAMES[program]} to {dialect} (less: " in ended.err


@PROGRAMS
def test_calls_and_thoughts_survive_a_change_of_keys_and_a_second_run(program: str, on_stage: Stage) -> None:
    configure(on_stage, 'profile = "deepseek"\n')
    both = shell(program, "echo beta > b.txt"), shell(program, "echo gamma > c.txt")
    ended = work(
        on_stage,
        program,
        answer(*both, text="I look.", thought="Two at once."),
        QUOTA,
        answer(shell(program, "cat b.txt c.txt"), thought="Read them.", finish="stop"),
        answer(text="All done."),
    )
    assert ended.code == 0, ended.err
    assert "All done." in ended.out
    assert (on_stage.project / "c.txt").read_text() == "gamma\n"
    assert [call.key for call in on_stage.provider.calls] == [KEY, KEY, OTHER, OTHER]
    on_stage.provider.follow(answer(text="Went on."))
    resumed = on_stage.run(program, *GO_ON[program], pin=None)
    assert resumed.code == 0, resumed.err
    assert "Went on." in resumed.out
    last = sent(on_stage)[-1]["messages"]
    turns = [message for message in last if message["role"] == "assistant"]
    assert [turn.get("reasoning_content") for turn in turns[:2]] == ["Two at once.", "Read them."]
    assert [len(turn.get("tool_calls", ())) for turn in turns] == [2, 1, 0]
    assert [turn["content"] for turn in turns] == ["I look.", None, "All done."]
    results = [message for message in last if message["role"] == "tool"]
    called = [call["id"] for turn in turns for call in turn.get("tool_calls", ())]
    assert [result["tool_call_id"] for result in results] == called
    assert "beta\ngamma" in results[-1]["content"]
    assert "Work." in json.dumps(last)
    assert last[-1]["content"].endswith("Go on.")


@PROGRAMS
def test_a_call_of_an_answer_that_was_cut_is_not_run_and_no_text_comes_twice(
    program: str, on_stage: Stage
) -> None:
    configure(on_stage)
    bad = shell(program, "echo bad >> bad.txt")
    ended = work(on_stage, program, answer(bad, text="I look.", whole=False), answer(text="All done."))
    assert not (on_stage.project / "bad.txt").exists()
    assert ended.out.count("I look.") <= 1
    if program == "codex":
        assert ended.code == 1
        assert "is cut short; it may have been billed, repeat the turn" in ended.err + ended.out
        return
    # Claude Code keeps what it has, and asks for the rest.
    assert ended.code == 0, ended.err
    assert [message["content"] for message in sent(on_stage)[-1]["messages"][2:3]] == ["I look."]


@PROGRAMS
def test_a_program_recognises_that_the_context_is_full(program: str, on_stage: Stage) -> None:
    configure(on_stage)
    ended = work(on_stage, program, answer(shell(program, "echo one")), FULL, answer(text="A summary."))
    if program == "codex":
        assert ended.code == 1
        assert "ran out of room in the model's context window" in ended.err + ended.out
        return
    assert ended.code == 0, ended.err
    assert any("TEXT ONLY" in json.dumps(body["messages"][-1]) for body in sent(on_stage)[2:])
    assert "being continued from a previous conversation" in json.dumps(sent(on_stage)[-1])


@PROGRAMS
def test_a_fallback_that_speaks_messages_goes_on(program: str, on_stage: Stage) -> None:
    more = (
        f'[provider.other]\nurl = "{on_stage.provider.root}"\ndialect = "anthropic-messages"\n'
        'keys = ["env:OTHER_KEY"]\nmodels = [{ id = "other-model", output = 9_000 }]\n'
        '[fallback]\n"mimo-plan/good-model" = { then = ["other/other-model"] }\n'
    )
    configure(on_stage, more)

    def down(seen: SeenRequest) -> Behaviour:
        return ok("From the other.") if seen.dialect is MESSAGES else status(503)

    on_stage.provider.follow([answer(shell(program, "echo one"), thought="Hm."), *[down] * 9])
    ended = on_stage.run(program, *WORK[program])
    assert ended.code == 0, ended.err
    assert "From the other." in ended.out
    last = on_stage.provider.calls[-1]
    assert (last.key, last.model, last.dialect) == (OTHER, "other-model", MESSAGES)
    assert b"hf1~" not in last.body
    blocks = [block for turn in json.loads(last.body)["messages"] for block in turn["content"]]
    calls = [block["input"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_use"]
    assert [shell(program, "echo one")[1]] == calls


@pytest.mark.drives(*programs.environments("codex"))
def test_codex_applies_a_patch_and_is_offered_no_search(on_stage: Stage) -> None:
    model = "gpt-5.5"  # of this one Codex knows that it is to offer the tool
    configure(on_stage, model=model)
    patch = "*** Begin Patch\n*** Add File: c.txt\n+gamma\n*** End Patch"
    on_stage.provider.follow(
        [answer(("apply_patch", {"input": patch}), model=model), answer(text="All done.", model=model)]
    )
    ended = on_stage.run("codex", *WORK["codex"], pin=f"mimo-plan/{model}")
    assert ended.code == 0, ended.err
    assert (on_stage.project / "c.txt").read_text() == "gamma\n"
    first, second = sent(on_stage)
    offered = {tool["function"]["name"] for tool in first["tools"]}
    assert "apply_patch" in offered
    assert "web_search" not in offered
    assert second["messages"][-1]["role"] == "tool"
    assert "Success" in second["messages"][-1]["content"]
    assert "unrecognized configuration" not in ended.out + ended.err
    assert {request.method for request in on_stage.provider.requests} == {"POST"}


def picture(folder: Path) -> Path:
    """A picture of 8 x 8 white points, as PNG (RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head, points = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0), zlib.compress(8 * (b"\0" + 24 * b"\xff"))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", points) + chunk(b"IEND", b"")
    path = folder / "white.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


@PROGRAMS
def test_a_picture_that_the_program_shows_is_seen_by_the_model(program: str, on_stage: Stage) -> None:
    configure(on_stage)
    shown = picture(on_stage.project)
    if program == "claude":
        on_stage.provider.follow([answer(("Read", {"file_path": str(shown)})), answer(text="It is white.")])
        ended = on_stage.run(program, *WORK[program])
    else:
        on_stage.provider.follow([answer(text="It is white.")])
        words = ("exec", "--skip-git-repo-check", "-i", str(shown), "--", "What is it?")
        ended = on_stage.run(program, *words)
    assert ended.code == 0, ended.err
    assert "It is white." in ended.out
    parts = [
        part
        for message in sent(on_stage)[-1]["messages"]
        for part in (message["content"] if isinstance(message["content"], list) else [])
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert [url.partition(";")[0] for url in urls] == ["data:image/png"]
