"""Counts, ids, models, names of tools, signs of life: what is around the parts of an answer."""

from __future__ import annotations

from typing import Any

from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import DONE, AnswerWriter, Start, Usage
from holdfast.translate.form import Choice, Choose, Effort, Flag, Limits, Request, Shape, Tool, ToolKind
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from holdfast.translate.to_messages import MessagesWriter
from holdfast.translate.to_responses import ResponsesWriter
from tables import rows
from translate.stream_lint import LINTS
from translate.streams import TOOLS, WRITERS, called, caller_of, chunk, read, usage, write

Wire = dict[str, Any]
TEXT, STOP = chunk({"content": "Hi"}), chunk(finish="stop")
CALL = called('{"x":1}', id="a", name="get_w")


def _counts(last: Wire) -> tuple[Wire, Wire | None, tuple[str, ...]]:
    """Return what is told of the counts of a stream in Messages and Responses, and what is lost."""
    caller = caller_of()
    events = read([TEXT, STOP, last])
    *_, delta, _stop = write(events, "messages", caller)
    return delta["usage"], write(events, "responses", caller)[-1]["response"]["usage"], caller.losses.names


def test_counts_in_messages_are_without_what_a_cache_read_or_wrote() -> None:
    details = {"cached_tokens": 60, "cache_write_tokens": 30}
    last = usage(100, 50, prompt_tokens_details=details, completion_tokens_details={"reasoning_tokens": 20})
    messages, responses, lost = _counts(last)
    assert messages == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
        "server_tool_use": None,
    }
    assert responses == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }
    assert lost == ()


COUNTED = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def test_counts_that_are_not_known_are_null_in_responses_and_zero_in_messages() -> None:
    messages, responses, lost = _counts({"choices": []})
    assert responses is None
    assert [messages[name] for name in COUNTED] == [0] * len(COUNTED)
    assert lost == ("usage",)


def test_counts_that_contradict_each_other_are_never_negative() -> None:
    messages, _, lost = _counts(usage(10, 5, prompt_tokens_details={"cached_tokens": 60}))
    assert messages["input_tokens"] == 0
    assert lost == ("usage",)


def test_codex_gets_all_details_of_the_counts() -> None:
    _, responses, _ = _counts(usage(10, 5))
    assert responses is not None
    assert responses["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert responses["output_tokens_details"] == {"reasoning_tokens": 0}


COUNTS = {
    "DeepSeek": ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (9, 4, None, 1)),
    "Moonshot": ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}, (9, 4, None, 1)),
    "a proxy": (
        {"prompt_tokens": 9, "completion_tokens": 1, "cache_creation_input_tokens": 2},
        (9, None, 2, 1),
    ),
    "odd numbers": (
        {"prompt_tokens": 9.0, "completion_tokens": -1, "cached_tokens": True},
        (9, None, None, None),
    ),
    "words": ({"prompt_tokens": "9", "completion_tokens": [], "prompt_tokens_details": 3}, None),
}


@rows("name", COUNTS)
def test_counts_are_read_by_the_names_of_the_providers(name: str) -> None:
    given, counts = COUNTS[name]
    seen = [event.usage for event in read([TEXT, STOP, {"usage": given}]) if hasattr(event, "usage")]
    assert seen == ([] if counts is None else [Usage(*counts)])


def test_counts_inside_of_the_last_choice_are_read() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}
    assert Usage(3) in [getattr(event, "usage", None) for event in read([TEXT, {"choices": [choice]}])]


@rows("dialect", ["messages", "responses"])
def test_the_providers_id_stands_behind_the_prefix(dialect: str) -> None:
    """Of messages each has an id of its own: Claude Code takes two with the same one for a single turn."""
    prefix, member = {"messages": ("msg_", "message"), "responses": ("resp_", "response")}[dialect]
    suffix = {"messages": "_seed", "responses": ""}[dialect]
    first = write(read([TEXT, STOP]), dialect)[0][member]
    assert (first["id"], first["model"]) == (f"{prefix}chatcmpl-1{suffix}", "gpt-x")
    given = [{**TEXT, "id": f"{prefix}7"}, STOP]
    assert write(read(given), dialect)[0][member]["id"] == f"{prefix}7{suffix}"
    nameless = write(read([{"choices": TEXT["choices"]}, {"choices": STOP["choices"]}]), dialect)[0][member]
    assert nameless["id"].startswith(prefix)
    assert len(nameless["id"]) > 20
    assert nameless["model"] == "house"


def test_an_id_that_comes_late_is_the_answers() -> None:
    events = read([{"choices": []}, {"id": "late", "model": "m", "created": 5, "choices": []}, TEXT, STOP])
    assert events[0] == Start("late", "m", 5)


def test_a_call_has_the_callers_name_of_its_tool() -> None:
    events = read([called("{}", id="a", name="shell__run"), STOP])
    assert write(events, "messages")[1]["content_block"]["name"] == "run"
    item = write(events, "responses")[2]["item"]
    assert (item["name"], item["namespace"], item["type"]) == ("run", "shell", "function_call")


def test_a_tool_that_was_not_offered_is_called_as_it_is() -> None:
    for dialect in WRITERS:
        caller = caller_of()
        out = write(read([called("{}", id="a", name="made_up"), STOP]), dialect, caller)
        assert LINTS[dialect](out) == ([], "whole")
        assert "made_up" in str(out)
        assert "unknown_tool" in caller.losses.names


def test_a_search_for_tools_comes_back_as_one() -> None:
    out = write(read([called('{"query":', id="a", name="find_tools"), called('"x"}'), STOP]), "responses")
    assert LINTS["responses"](out)[1] == "whole"
    (item,) = out[-1]["response"]["output"]
    assert item == {
        "id": item["id"],
        "type": "tool_search_call",
        "execution": "client",
        "call_id": "a",
        "status": "completed",
        "arguments": {"query": "x"},
    }


def test_a_patch_comes_back_as_text_while_it_streams() -> None:
    chunks = [called('{"input": "*** Be', id="a", name="apply_patch"), called('gin\\n"}'), STOP]
    out = write(read(chunks), "responses")
    deltas = [event["delta"] for event in out if event["type"] == "response.custom_tool_call_input.delta"]
    assert deltas == ["*** Be", "gin\n"]
    (item,) = out[-1]["response"]["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", "*** Begin\n")


def test_a_text_instead_of_arguments_is_the_text_of_a_free_tool() -> None:
    out = write(read([called("*** Begin", id="a", name="apply_patch"), STOP]), "responses")
    assert out[-1]["response"]["output"][0]["input"] == "*** Begin"


def test_an_id_of_a_call_is_legal_for_the_caller() -> None:
    events = read([called("{}", id="functions.get_w:0", name="get_w"), STOP])
    assert write(events, "messages")[1]["content_block"]["id"].startswith("call_")
    assert write(events, "responses")[2]["item"]["call_id"] == "functions.get_w:0"
    long = read([called("{}", id="x" * 65, name="get_w"), STOP])
    assert len(write(long, "responses")[2]["item"]["call_id"]) <= 64


def test_a_call_is_closed_as_soon_as_it_is_whole_and_another_begins() -> None:
    """Claude Code begins with a tool when its block stops."""
    reader, writer = ChatReader(Caps(), "", "seed", Losses()), MessagesWriter(caller_of())
    kinds: list[list[str]] = []
    for data in (
        CALL,
        called("", index=1, id="b", name="read"),
        called("{", index=1),
        called("}", index=1),
        DONE,
    ):
        out = [event for got in reader.feed(data) for event in writer.feed(got)]
        kinds.append([event["type"] for event in out])
    assert kinds[0] == ["message_start", "content_block_start", "content_block_delta"]
    assert kinds[1] == ["content_block_stop"]
    assert kinds[2] == ["content_block_start", "content_block_delta"]


def test_a_role_alone_begins_nothing() -> None:
    reader = ChatReader(Caps(), "", "seed", Losses())
    assert reader.feed(chunk({"role": "assistant", "content": ""})) == []
    assert reader.feed({"choices": []}) == []
    assert reader.feed([]) == []  # type: ignore[arg-type]


def test_a_ping_says_that_the_answer_goes_on() -> None:
    assert MessagesWriter(caller_of()).waiting() == [{"type": "ping"}]


def test_codex_hears_that_the_answer_goes_on() -> None:
    writer = ResponsesWriter(caller_of())
    out = writer.waiting() + writer.waiting()
    for event in read([TEXT, STOP]):
        out += writer.feed(event)
    assert [event["type"] for event in out[:4]] == [
        "response.created",
        "response.in_progress",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert LINTS["responses"](out) == ([], "whole")


def _echo(**members: Any) -> Wire:
    request = Request("house", (), **members)
    caller = Caller(request, ToolNames((), Losses()), Sealer(), "", 5.0, "seed", Losses())
    response: Wire = write(read([TEXT, STOP]), "responses", caller)[0]["response"]
    return response


PLAIN = {"type": "function", "description": None, "parameters": None, "strict": False}
ECHOES: dict[str, tuple[Wire, Wire]] = {
    "nothing": (
        {},
        {"tools": [], "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0, "parallel_tool_calls": True},
    ),
    "limits": (
        {"limits": Limits(max_output=9, temperature=0.0, top_p=0.5)},
        {"max_output_tokens": 9, "temperature": 0.0, "top_p": 0.5},
    ),
    "one call at a time": ({"parallel": Flag.OFF}, {"parallel_tool_calls": False}),
    "any tool": ({"choice": Choice(Choose.ANY)}, {"tool_choice": "required"}),
    "one tool": ({"choice": Choice(Choose.ONE, "f")}, {"tool_choice": {"type": "function", "name": "f"}}),
    "JSON": ({"shape": Shape()}, {"text": {"format": {"type": "json_object"}}}),
    "a schema": (
        {"shape": Shape({"type": "object"}, "s", Flag.ON)},
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "s",
                    "description": None,
                    "schema": {"type": "object"},
                    "strict": True,
                }
            }
        },
    ),
    "effort": (
        {"effort": Effort("high", shown=True), "tier": "flex", "cache_key": "k"},
        {"reasoning": {"effort": "high", "summary": "auto"}, "service_tier": "flex", "prompt_cache_key": "k"},
    ),
    "tools": (
        {
            "tools": (
                Tool("f", description="d", schema={}, strict=Flag.ON),
                Tool("g", raw={"type": "function", "name": "g", "parameters": None}),
                Tool("h", ToolKind.FREE),
                Tool("i", group="n"),
                Tool("j", group="n"),
            )
        },
        {
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": True},
                {"type": "function", "name": "g", "description": None, "parameters": None, "strict": False},
                {"type": "custom", "name": "h"},
                {
                    "type": "namespace",
                    "name": "n",
                    "description": "n",
                    "tools": [
                        {
                            "type": "function",
                            "name": name,
                            "description": None,
                            "parameters": None,
                            "strict": False,
                        }
                        for name in ("i", "j")
                    ],
                },
            ]
        },
    ),
}


@rows("name", ECHOES)
def test_a_response_repeats_what_was_asked(name: str) -> None:
    asked, repeated = ECHOES[name]
    response = _echo(**asked)
    assert {member: response[member] for member in repeated} == repeated


def test_every_writer_takes_a_caller_alone() -> None:
    writers: list[AnswerWriter] = [writer(caller_of(TOOLS)) for writer in WRITERS.values()]  # type: ignore[call-arg]
    assert len(writers) == 3
