"""The real programs that speak chat, on a chat provider whose fallback speaks Messages: they work on, over
several turns with tools, a change of keys, and a second run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from chat_answers import QUOTA, answer, messages_answer, shell
from stage import CHAT, KEY, MESSAGES, Stage

from holdfast.fake_provider import Behaviour, SeenRequest, status

OTHER = "sk-canary-other-5d0c7be1a9f24e36"
WORK = {
    "pi": ("-p", "Work."),
    "opencode": ("run", "Work."),
    "copilot": ("--allow-all-tools", "-p", "Work."),
    "kimi": ("-p", "Work."),
    "hermes": ("chat", "--yolo", "-q", "Work."),
}
GO_ON = {
    "pi": ("-c", "-p", "Go on."),
    "opencode": ("run", "-c", "Go on."),
    "copilot": ("--allow-all-tools", "--continue", "-p", "Go on."),
    "kimi": ("-c", "-p", "Go on."),
    "hermes": ("chat", "--yolo", "--continue", "-q", "Go on."),
}
_MORE = """
[provider.other]
url = "{}"
dialect = "anthropic-messages"
keys = ["env:OTHER_KEY"]
models = [{{ id = "other-model", output = 9_000 }}]
[fallback]
"mimo-plan/good-model" = {{ then = ["other/other-model"] }}
"""


def is_beside_the_work(seen: SeenRequest) -> bool:
    """Whether a request is for a title or a summary, and offers no tools."""
    return not json.loads(seen.body or b"{}").get("tools")


def play(stage: Stage, *script: Behaviour) -> None:
    """Answer what a program asks with the script; what it asks beside that gets a word."""
    left = list(script)

    def next_one(seen: SeenRequest) -> Behaviour:
        if is_beside_the_work(seen):
            return answer(text="Words.") if seen.dialect is CHAT else messages_answer(text="Words.")
        reply = left.pop(0) if left else status(500)
        return reply(seen) if callable(reply) else reply

    stage.provider.follow(next_one)


def work_of(stage: Stage) -> list[SeenRequest]:
    return [call for call in stage.provider.calls if not is_beside_the_work(call)]


def blocks(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    parts = [part for turn in messages if isinstance(turn["content"], list) for part in turn["content"]]
    return [part for part in parts if part["type"] == kind]


@pytest.mark.parametrize("program", [*WORK])
def test_a_program_of_chat_works_on_at_a_fallback_of_messages_and_in_its_next_run(
    program: str, on_stage: Stage
) -> None:
    on_stage.configure(CHAT, ref='env:MIMO_KEY", "env:OTHER_KEY')
    on_stage.more = {"OTHER_KEY": OTHER}
    file = on_stage.home / "holdfast.toml"
    file.write_text(file.read_text() + _MORE.format(on_stage.provider.root))
    both = shell(program, "echo beta > b.txt"), shell(program, "echo gamma > c.txt")
    down = status(402, {"error": {"message": "Insufficient balance", "code": "insufficient_quota"}})
    play(
        on_stage,
        answer(*both, text="I look."),
        QUOTA,
        answer(shell(program, "cat b.txt c.txt")),
        down,
        messages_answer(shell(program, "cat b.txt > d.txt"), text="Elsewhere."),
        messages_answer(text="All done."),
    )
    ended = on_stage.run(program, *WORK[program])
    assert ended.code == 0, ended.err
    assert "All done." in ended.out
    assert (on_stage.project / "c.txt").read_text() == "gamma\n"
    assert (on_stage.project / "d.txt").read_text() == "beta\n"
    seen = [(call.key, call.dialect) for call in work_of(on_stage)]
    assert seen == [(KEY, CHAT)] * 2 + [(OTHER, CHAT)] * 2 + [(OTHER, MESSAGES)] * 2
    play(on_stage, messages_answer(text="Went on."))
    resumed = on_stage.run(program, *GO_ON[program], pin=None)
    assert resumed.code == 0, resumed.err
    assert "Went on." in resumed.out
    last = work_of(on_stage)[-1]
    assert (last.key, last.model, last.dialect) == (OTHER, "other-model", MESSAGES)
    messages = json.loads(last.body)["messages"]
    called, results = blocks(messages, "tool_use"), blocks(messages, "tool_result")
    assert [call["id"] for call in called] == [result["tool_use_id"] for result in results]
    assert [call["input"]["command"].split()[0] for call in called] == ["echo", "echo", "cat", "cat"]
    assert re.search(r"beta\\+ngamma", json.dumps(results[2]["content"]))
    assert "Go on." in json.dumps(messages[-1])
    assert on_stage.files_with_key() == []
    assert ended.leaks | resumed.leaks == set()
