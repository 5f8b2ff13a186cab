"""What a caller that speaks chat gets, chunk by chunk and whole, judged by its own SDK and by a lint."""

from __future__ import annotations

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from holdfast.core.faults import FaultClass
from holdfast.translate.events import (
    Answer,
    BrokenOff,
    Close,
    Delta,
    End,
    Event,
    Open,
    Sealed,
    Start,
    Stop,
    Stopped,
    Usage,
    UsageSeen,
    Why,
    fold,
    replay,
)
from holdfast.translate.form import Call, Opaque, Part, Refusal, Seal, Text, Thinking, ToolKind
from holdfast.translate.to_chat import ChatWriter
from holdfast.wire.error_kinds import FAULTS
from tables import rows
from translate.lint_chat import lint
from translate.wires import MARK, SEALER, Wire, caller, written

CHUNK = TypeAdapter(ChatCompletionChunk)
SEAL = Seal(Opaque.SIGNATURE, "c2ln", MARK)
USAGE = Usage(125, 100, 20, 9, 4)
PATCH = "*** Begin Patch\n"
ANSWERS: dict[str, tuple[list[Part], Stop]] = {
    "text": ([Text("hello"), Text(" world")], Stop(Why.DONE)),
    "a call": ([Call("c1", "get_w", '{"x": 1}')], Stop(Why.TOOLS)),
    "thought, text, calls": (
        [
            Thinking("hm", SEAL),
            Text("so"),
            Call("c1", "get_w", "{}"),
            Thinking("m", SEAL),
            Call("c2", "get_w", "{}"),
        ],
        Stop(Why.TOOLS),
    ),
    "an opaque thought and no call": ([Thinking("", SEAL), Text("x")], Stop(Why.DONE)),
    "a thought that is not sealed": ([Thinking("hm"), Text("x")], Stop(Why.LENGTH)),
    "a refusal": ([Refusal("no")], Stop(Why.REFUSED)),
    "a refusal that is told with the stop": ([Text("x")], Stop(Why.REFUSED, "no")),
    "a refusal that is told twice": ([Refusal("no")], Stop(Why.REFUSED, "never")),
    "a full context": ([Text("x")], Stop(Why.CONTEXT)),
    "a stop sequence": ([Text("x")], Stop(Why.STOP_SEQUENCE, "END")),
    "nothing": ([], Stop(Why.DONE)),
    "a namespace and a long name": (
        [Call("c1", "files__list", "{}"), Call("c2", "a_b_c8687a08aa5d", "{}"), Call("c3", "else", "{}")],
        Stop(Why.TOOLS),
    ),
}


def _whole(parts: list[Part], stop: Stop) -> Answer:
    return Answer("msg_1", "claude", 55, tuple(parts), stop, USAGE, ended=True)


def _pieces(events: list[Event]) -> list[Event]:
    """Return the events with every text letter by letter."""
    made: list[Event] = []
    for event in events:
        letters = event.text if isinstance(event, Delta) else ""
        made += [event._replace(text=letter) for letter in letters] or [event]  # type: ignore[union-attr]
    return made


@rows("name", ANSWERS)
def test_a_stream_is_clean_and_the_sdk_makes_the_whole_answer_of_it(name: str) -> None:
    answer = _whole(*ANSWERS[name])
    whole = ChatWriter(caller()).whole(answer)
    ChatCompletion.model_validate(whole, strict=True)
    chunks = written(_pieces(list(replay(answer))))
    assert lint(chunks) == ([], "whole")
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(CHUNK.validate_python(chunk, strict=True))
    made = state.current_completion_snapshot.to_dict()
    (choice,), (expected,) = made["choices"], whole["choices"]  # type: ignore[misc]
    assert choice["finish_reason"] == expected["finish_reason"]
    assert made["usage"] == whole["usage"]
    assert [made[name] for name in ("id", "created", "model")] == [
        whole[name] for name in ("id", "created", "model")
    ]
    message = {name: value for name, value in expected["message"].items() if value not in (None, [])}
    got = {name: value for name, value in choice["message"].items() if value is not None and name != "parsed"}
    for call in got.get("tool_calls", ()):
        del call["index"]
        call["function"].pop("parsed_arguments", None)
    assert got == message


TOLD: dict[str, Wire] = {
    "text": {"content": "hello world", "refusal": None, "annotations": []},
    "a namespace and a long name": {
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "list", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "a b", "arguments": "{}"}},
            {"id": "c3", "type": "function", "function": {"name": "else", "arguments": "{}"}},
        ],
    },
    "a refusal that is told with the stop": {"content": "x", "refusal": "no"},
    "a refusal that is told twice": {"refusal": "no"},
    "thought, text, calls": {
        "reasoning_content": "hmm",
        "reasoning_details": [
            {"type": "reasoning.encrypted", "id": "c1", "index": 0, "data": SEALER.seal(SEAL), "length": 2},
            {"type": "reasoning.encrypted", "id": "c2", "index": 1, "data": SEALER.seal(SEAL), "length": 1},
        ],
    },
}


def test_a_message_holds_the_parts_by_the_names_of_the_caller() -> None:
    for name, members in TOLD.items():
        (choice,) = ChatWriter(caller()).whole(_whole(*ANSWERS[name]))["choices"]
        assert members.items() <= choice["message"].items(), name


def test_the_head_of_an_answer_is_the_provider_s_own_or_made() -> None:
    heads = ("id", "object", "created", "model")
    whole = ChatWriter(caller()).whole(_whole([], Stop(Why.DONE)))
    assert [whole[name] for name in heads] == ["chatcmpl-msg_1", "chat.completion", 55, "claude"]
    bare = Answer("chatcmpl-7", stop=Stop(Why.DONE), ended=True)
    assert [ChatWriter(caller()).whole(bare)[name] for name in heads] == [
        *("chatcmpl-7", "chat.completion", 99, "their/model"),
    ]
    (chunk,) = written([Start("", "")])
    assert chunk["id"].startswith("chatcmpl-")
    assert len(chunk["id"]) > len("chatcmpl-")


ENDS = {
    "a full context": ("length", {"class": "context_overflow"}),
    "a stop sequence": ("stop", None),
    "a refusal": ("content_filter", None),
    "a thought that is not sealed": ("length", None),
    "a call": ("tool_calls", None),
}


def test_a_stop_has_the_word_of_chat_and_a_note_where_chat_has_none() -> None:
    for name, (reason, note) in ENDS.items():
        answer = _whole(*ANSWERS[name])
        whole = ChatWriter(caller()).whole(answer)
        last = written(replay(answer))[-2]
        assert whole["choices"][0]["finish_reason"] == last["choices"][0]["finish_reason"] == reason
        assert whole.get("holdfast") == last.get("holdfast") == note


COUNTED: list[tuple[Usage, Wire | None]] = [
    (
        USAGE,
        {
            "prompt_tokens": 125,
            "completion_tokens": 9,
            "total_tokens": 134,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    ),
    (Usage(5, output=2), {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
    (Usage(0, output=0), {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    (Usage(5), None),
    (Usage(output=2), None),
]


def test_usage_is_what_the_provider_told_and_never_made_up() -> None:
    for usage, counts in COUNTED:
        noted = caller()
        events = [Start("a", "b"), UsageSeen(usage), Stopped(Stop(Why.DONE)), End()]
        chunks = written(events, noted)
        whole = ChatWriter(noted).whole(fold(events))
        assert whole.get("usage") == counts
        assert [chunk["usage"] for chunk in chunks if not chunk["choices"]] == [counts] * (counts is not None)
        assert noted.losses.names == ("usage",) * (counts is None)


def test_usage_ends_a_stream_only_where_it_was_asked_for() -> None:
    unasked = caller(usage_asked=False)
    chunks = written(replay(_whole([Text("x")], Stop(Why.DONE))), unasked)
    assert not any("usage" in chunk for chunk in chunks)
    assert written([Start("a", "b"), Stopped(Stop(Why.DONE)), End()], unasked)[-1]["choices"]
    assert unasked.losses.names == ()


CUSTOM: list[tuple[str, Call, str]] = [
    ("arguments of a function", Call("c", "apply_patch", json.dumps({"input": PATCH})), PATCH),
    ("a free tool there too", Call("c", "apply_patch", PATCH, ToolKind.FREE), PATCH),
    ("arguments of another shape", Call("c", "apply_patch", '{"patch": 1}'), '{"patch": 1}'),
    ("a free tool that is not known", Call("c", "else", PATCH, ToolKind.FREE), PATCH),
]


@rows("name", [name for name, _, _ in CUSTOM])
def test_a_free_tool_is_called_with_its_text(name: str) -> None:
    ((_, call, text),) = [row for row in CUSTOM if row[0] == name]
    answer = _whole([call], Stop(Why.TOOLS))
    expected = {"id": "c", "type": "custom", "custom": {"name": call.name, "input": text}}
    (choice,) = ChatWriter(caller()).whole(answer)["choices"]
    assert choice["message"]["tool_calls"] == [expected]
    chunks = written(_pieces(list(replay(answer))))
    assert lint(chunks) == ([], "whole")
    calls = [
        call
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert calls[0] == {"index": 0} | expected | {"custom": {"name": call.name, "input": ""}}
    assert "".join(each["custom"]["input"] for each in calls) == text


def test_interleaved_calls_keep_their_index() -> None:
    chunks = written(
        [
            *(Start("a", "b"), Open(0, Call("c1", "get_w")), Open(1, Call("c2", "get_w"))),
            *(Delta(0, '{"x":'), Delta(1, '{"y":'), Delta(0, "1}"), Delta(1, "2}")),
            *(Close(0), Close(1), Stopped(Stop(Why.TOOLS)), End()),
        ]
    )
    assert lint(chunks) == ([], "whole")
    args = {0: "", 1: ""}
    for chunk in chunks:
        for call in [call for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())]:
            args[call["index"]] += call["function"]["arguments"]
    assert args == {0: '{"x":1}', 1: '{"y":2}'}


def test_a_call_of_a_tool_that_was_not_offered_is_passed_on_and_told() -> None:
    noted = caller()
    written(replay(_whole([Call("c", "else", "{}")], Stop(Why.TOOLS))), noted)
    assert noted.losses.names == ("unknown_tool",)


BROKEN: list[tuple[BrokenOff, Wire]] = [
    (
        BrokenOff("slow\x1b down", FaultClass.RATE_LIMITED, "rate_limit_error"),
        {
            "message": "slow\\x1b down",
            "type": "rate_limit_error",
            "code": "rate_limit_exceeded",
            "param": None,
            "holdfast": {"class": "rate_limited", "provider_code": "rate_limit_error"},
        },
    ),
    (
        BrokenOff("cut"),
        {
            "message": "cut",
            "type": "server_error",
            "code": "provider_unavailable",
            "param": None,
            "holdfast": {"class": "provider_unavailable"},
        },
    ),
]


def test_an_answer_that_broke_off_is_an_error_and_nothing_follows_it() -> None:
    for broken, error in BROKEN:
        writer = ChatWriter(caller())
        chunks = [chunk for event in [Start("a", "b"), broken, End(), broken] for chunk in writer.feed(event)]
        assert lint(chunks) == ([], "error")
        assert chunks[-1]["error"].items() >= {"type": error["type"]}.items()
        assert chunks[-1]["error"] | {"message": ""} == error | {"message": ""}
        assert "\x1b" not in chunks[-1]["error"]["message"]
        assert writer.waiting() == []
        assert ChatWriter(caller()).whole(Answer(broken=broken)) == chunks[-1]


@rows("kind", FaultClass)
def test_an_error_within_an_answer_has_the_code_of_one_before_it(kind: FaultClass) -> None:
    (chunk,) = written([BrokenOff("x", kind)])
    row = FAULTS[kind]
    assert (chunk["error"]["type"], chunk["error"]["code"]) == (row.openai_type, row.code)


def test_an_answer_without_a_good_end_is_an_error() -> None:
    ends = [Answer(), Answer(stop=Stop(Why.DONE)), Answer(stop=Stop(Why.FAILED, "it failed"), ended=True)]
    errors: list[Any] = [ChatWriter(caller()).whole(answer)["error"]["message"] for answer in ends]
    assert errors == ["the provider's answer has no end"] * 2 + ["it failed"]
    chunks = written([Start("a", "b"), Stopped(Stop(Why.FAILED, "it failed")), End()])
    assert lint(chunks) == ([], "error")
    assert chunks[-1]["error"]["message"] == "it failed"


def test_a_caller_that_waits_is_given_a_chunk_without_content() -> None:
    writer = ChatWriter(caller())
    assert writer.waiting() == []
    writer.feed(Start("a", "b"))
    (chunk,) = writer.waiting()
    CHUNK.validate_python(chunk, strict=True)
    assert chunk["choices"][0]["delta"] == {}


def test_a_seal_that_came_with_a_call_is_not_shown() -> None:
    seal = Seal(Opaque.THOUGHT, "x", MARK)
    events = [Start("a", "b"), Open(0, Call("c", "get_w")), Sealed(0, seal), Delta(0, "{}"), Close(0)]
    chunks = written([*events, Stopped(Stop(Why.TOOLS)), End()])
    assert lint(chunks) == ([], "whole")
    assert "hf1~" not in json.dumps(chunks)


def test_no_loss_of_an_answer_refuses_it_any_more() -> None:
    noted = caller(exact=True)
    events = [Start("a", "b"), Open(0, Call("c", "else")), Close(0), Stopped(Stop(Why.TOOLS)), End()]
    assert lint(written(events, noted)) == ([], "whole")
    assert ChatWriter(noted).whole(fold(events))["choices"]
    assert noted.losses.names == ("unknown_tool", "usage")
