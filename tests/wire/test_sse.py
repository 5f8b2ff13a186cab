"""What a watched stream tells, however its bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.faults import Flaw
from holdfast.core.identity import Dialect
from holdfast.wire import sse
from holdfast.wire.sse import StreamWatch
from tables import rows

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    event = {"model": "m", "choices": [choice]} | more
    return f"data: {json.dumps(event)}\n\n".encode()


def named(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | more)}\n\n".encode()


ROLE, WORD, END, DONE = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hi"}),
    chunk({}, "stop"),
    b"data: [DONE]\n\n",
)
START = named("message_start", message={"model": "claude", "usage": {"input_tokens": 3}})
DELTA = named("content_block_delta", index=0, delta={"type": "text_delta", "text": "hi"})
CREATED = named("response.created", response={"model": "gpt"})
ERROR = b'data: {"error":{"message":"no"}}\n\n'
# As llama.cpp wrote it until late in 2025 (coddy-project/coddy-agent#106); GPUStack passes it on.
OWN_FIELD = b'error: {"code":400,"message":"too long","type":"invalid_request_error"}\n\n'


def watched(dialect: Dialect, *parts: bytes, close: bool = False) -> StreamWatch:
    watch = StreamWatch(dialect)
    for part in parts:
        watch.feed(part)
    if close:
        watch.close()
    return watch


@rows(
    ("dialect", "stream", "started", "ended", "failed"),
    [
        (CHAT, b": ping\n\n", False, False, False),
        (CHAT, ROLE, False, False, False),
        (CHAT, b'data: {"choices":[],"prompt_filter_results":[]}\n\n', False, False, False),
        (CHAT, ROLE + WORD, True, False, False),
        (CHAT, chunk({"reasoning_content": "hm"}), True, False, False),
        (CHAT, chunk({"tool_calls": [{"index": 0}]}), True, False, False),
        (CHAT, b'data: {"choices":[{"text":"hi"}]}\n\n', True, False, False),
        (CHAT, WORD + END, True, True, False),
        (CHAT, WORD + DONE, True, True, False),
        (CHAT, DONE, False, True, False),
        (CHAT, ERROR, False, False, True),
        (CHAT, chunk({}, "error", error={"code": 502}), False, False, True),
        (CHAT, WORD + ERROR, True, False, True),
        (CHAT, b'event: error\ndata: {"message":"no"}\n\n', False, False, True),
        (CHAT, b'event: error\ndata: {"message":"no","type":"api_error"}\n\n', False, False, True),
        (CHAT, OWN_FIELD + DONE, False, True, True),
        (CHAT, WORD + OWN_FIELD, True, False, True),
        (CHAT, WORD + OWN_FIELD + DONE, True, True, True),
        (CHAT, (ROLE + WORD + END + DONE).replace(b"\n\n", b"\n"), True, True, False),
        (CHAT, (WORD + ERROR + DONE).replace(b"\n\n", b"\r\n"), True, True, True),
        (CHAT, (WORD + OWN_FIELD + DONE).replace(b"\n\n", b"\n"), True, True, True),
        (CHAT, b'data: {"choices":\ndata: [{"text":"hi"}]}\ndata: {}\n\n', False, False, False),
        (CHAT, b"data: 404 page not found\n\n", False, False, False),
        (CHAT, b"data: [1]\n\ndata: null\n\n", False, False, False),
        (RESPONSES, CREATED + named("response.in_progress"), False, False, False),
        (RESPONSES, CREATED + named("response.output_text.delta", delta="hi"), True, False, False),
        (RESPONSES, CREATED + named("response.failed", response={"error": {}}), False, True, True),
        (
            RESPONSES,
            named("response.output_text.delta", delta="hi") + named("response.completed", response={}),
            True,
            True,
            False,
        ),
        (RESPONSES, named("response.incomplete", response={}), True, True, False),
        # Some servers end with it (can1357/oh-my-pi#4692, jlcodes99/cockpit-tools#2328).
        (
            RESPONSES,
            named("response.output_text.delta", delta="hi")
            + named("response.done", response={"status": "completed"}),
            True,
            True,
            False,
        ),
        (RESPONSES, named("response.done", response={"status": "incomplete"}), True, True, False),
        (RESPONSES, named("response.done", response={"status": "failed"}), False, True, True),
        (RESPONSES, named("response.done", response={"status": "in_progress"}), False, False, False),
        (RESPONSES, named("error", message="no"), False, False, True),
        (MESSAGES, START + named("ping"), False, False, False),
        (MESSAGES, START + named("content_block_start", index=0), True, False, False),
        (
            MESSAGES,
            START + DELTA + named("message_delta", delta={"stop_reason": "end_turn"}),
            True,
            False,
            False,
        ),
        (MESSAGES, DELTA + named("message_stop"), True, True, False),
        (MESSAGES, (START + DELTA + named("message_stop")).replace(b"\n\n", b"\n"), True, True, False),
        (MESSAGES, (DELTA + named("error")).replace(b"\n\n", b"\n"), True, False, True),
        (MESSAGES, START + named("error", error={"type": "overloaded_error"}), False, False, True),
        (MESSAGES, DELTA + named("error", error={"type": "overloaded_error"}), True, False, True),
    ],
)
def test_a_stream_begins_ends_and_fails_as_its_dialect_says(
    dialect: Dialect, stream: bytes, started: bool, ended: bool, failed: bool
) -> None:
    watch = watched(dialect, stream, close=not stream.endswith(b"\n\n"))
    assert (watch.started, watch.ended, watch.error is not None) == (started, ended, failed)


REPORT = b'data: {"base_resp":{"status_code":1008}}\n\n'
CUT = chunk({}, "stop", base_resp={"status_code": 1027})


@rows(
    ("end", "unread"),
    [(ERROR, False), (chunk({}, "error"), False), (OWN_FIELD, True), (REPORT, True), (CUT, True)],
)
def test_an_error_that_clients_skip_is_known_as_such(end: bytes, unread: bool) -> None:
    watch = watched(CHAT, WORD, END, end, DONE)
    assert (watch.error is not None, watch.unread) == (True, unread)


@pytest.mark.parametrize(
    ("dialect", "stream", "started", "flaw"),
    [
        (CHAT, ROLE + END + DONE, False, Flaw.EMPTY),
        (CHAT, ROLE + END + b'data: {"choices":[],"usage":{"completion_tokens":0}}\n\n', False, Flaw.EMPTY),
        (CHAT, ROLE + END + b'data: {"choices":[],"usage":{"completion_tokens":1}}\n\n' + DONE, True, None),
        (CHAT, ROLE + chunk({}, "length"), True, None),
        (CHAT, ROLE + chunk({}, "error"), False, None),
        (CHAT, ERROR + DONE, False, None),
        (CHAT, START, False, Flaw.FOREIGN),
        (CHAT, CREATED, False, Flaw.FOREIGN),
        (CHAT, WORD + START, True, None),
        (MESSAGES, WORD, False, Flaw.FOREIGN),
        (MESSAGES, START + named("message_stop"), False, Flaw.EMPTY),
        (MESSAGES, START, False, None),
        (RESPONSES, CREATED + named("response.completed", response={}), False, Flaw.EMPTY),
        (RESPONSES, WORD, False, Flaw.FOREIGN),
    ],
)
def test_a_stream_without_an_answer_says_why_it_is_none(
    dialect: Dialect, stream: bytes, started: bool, flaw: Flaw | None
) -> None:
    watch = watched(dialect, stream)
    assert watch.started is started
    assert started or watch.flaw is flaw


@rows(
    "text",
    [
        '"finish_reason":"stop"',
        '"error": {}',
        "[DONE]",
        '{"type":"message_stop"}',
        '"usage":{"a":1}',
        "data: [DONE]\n\n",
    ],
)
@rows("dialect", list(Dialect))
def test_what_a_model_writes_is_never_taken_for_a_sign(dialect: Dialect, text: str) -> None:
    event = {
        CHAT: chunk({"content": text}),
        RESPONSES: named("response.output_text.delta", delta=text),
        MESSAGES: named("content_block_delta", delta={"text": text}),
    }[dialect]
    watch = watched(dialect, event, event, close=True)
    assert watch.started
    assert not watch.ended
    assert watch.error is None
    assert watch.usage == {}


SPACES = st.sampled_from([b"", b" ", b"  ", b"\t", b"\r\ndata: ", b"\ndata:  "])
TERMINALS = {
    CHAT: b'{"choices":[{"index":0,"delta":{}%b,%b"finish_reason"%b:%b"stop"}]}',
    RESPONSES: b'{"response":{}%b,%b"type"%b:%b"response.completed"}',
    MESSAGES: b'{"index":0%b,%b"type"%b:%b"message_stop"}',
}
FIRST = {CHAT: WORD, RESPONSES: named("response.output_text.delta", delta="hi"), MESSAGES: DELTA}


@given(st.sampled_from(list(Dialect)), st.tuples(SPACES, SPACES, SPACES, SPACES), st.integers(1, 300))
def test_white_space_in_its_json_hides_no_terminal_event(
    dialect: Dialect, spaces: tuple[bytes, ...], step: int
) -> None:
    event = b"data: " + TERMINALS[dialect] % spaces + b"\n\n"
    parts = (event[at : at + step] for at in range(0, len(event), step))
    assert watched(dialect, FIRST[dialect], *parts).ended


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("step", [7, 100, 999])
def test_a_terminal_event_that_is_too_long_to_be_parsed_ends_its_stream(
    dialect: Dialect, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "EVENT_LIMIT", 1000)
    text = b',"text":"' + b'\\"}]{[ ' * 500 + b'"'
    event = b"event: x\ndata: " + TERMINALS[dialect] % (text, b"", b"", b" ") + b"\n\n"
    parts = [event[at : at + step] for at in range(0, len(event), step)]
    watch = watched(dialect, FIRST[dialect], *parts)
    assert (watch.ended, watch.whole) == (True, True)
    half = event.removesuffix(b"}\n\n")
    parts = [half[at : at + step] for at in range(0, len(half), step)]
    assert not watched(dialect, FIRST[dialect], *parts, close=True).ended


@pytest.mark.parametrize(
    ("streams", "ended"),
    [
        ([chunk({"content": "a"}, "stop"), chunk({"content": "b"})], False),
        ([END, WORD, END], True),
        ([END, chunk({"content": ""}), chunk(choices=[])], True),
        ([END, DONE], True),
        ([chunk({"content": "a"}, "null"), chunk({}, "")], False),
    ],
)
def test_an_answer_ends_with_the_last_of_its_choices(streams: list[bytes], ended: bool) -> None:
    assert watched(CHAT, WORD, *streams).ended is ended


def one_choice(index: int, delta: Any, finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]}, separators=(',', ':'))}\n\n".encode()


def call(index: int, tool: int) -> bytes:
    return one_choice(index, {"tool_calls": [{"index": tool, "function": {"arguments": "{"}}]})


STEPS = {
    "role": lambda index: one_choice(index, {"role": "assistant", "content": ""}),
    "word": lambda index: one_choice(index, {"content": "hi"}),
    "call": lambda index: call(index, 0),
    "second call": lambda index: call(index, 1),
    "end": lambda index: one_choice(index, {}, "stop"),
}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(sorted(STEPS))), max_size=14),
    st.integers(1, 400),
)
def test_no_answer_is_whole_while_a_choice_that_has_begun_has_no_end(
    script: list[tuple[int, str]], step: int
) -> None:
    watch, began, open_choices = watched(CHAT, WORD), True, {0}
    for index, kind in script:
        event = STEPS[kind](index)
        for at in range(0, len(event), step):
            watch.feed(event[at : at + step])
        if kind == "end":
            open_choices.discard(index)
            began = bool(open_choices)
        elif kind != "role":
            open_choices.add(index)
            began = True
        assert watch.ended is not began, (index, kind)
    assert watched(CHAT, WORD, *(STEPS[kind](index) for index, kind in script), DONE).ended


BLOCKS = {
    MESSAGES: [
        START,
        *(
            named(f"content_block_{kind}", index=index)
            for index, kind in [
                (0, "start"),
                (1, "start"),
                (0, "delta"),
                (0, "stop"),
                (1, "delta"),
                (1, "stop"),
            ]
        ),
        named("message_delta", delta={"stop_reason": "tool_use"}),
        named("message_stop"),
    ],
    RESPONSES: [
        CREATED,
        *(
            named(f"response.output_item.{kind}", output_index=index, item={"type": "function_call"})
            for index, kind in [(0, "added"), (1, "added"), (0, "done"), (1, "done")]
        ),
        named("response.completed", response={"output": [{}]}),
    ],
    CHAT: [ROLE, call(0, 0), call(0, 1), call(0, 0), call(0, 1), chunk({}, "tool_calls")],
}


@rows(
    ("dialect", "cut"), [(dialect, cut) for dialect, events in BLOCKS.items() for cut in range(len(events))]
)
def test_a_cut_between_parallel_parts_of_an_answer_is_noticed(dialect: Dialect, cut: int) -> None:
    assert not watched(dialect, *BLOCKS[dialect][:cut], close=True).ended
    assert watched(dialect, *BLOCKS[dialect], close=True).ended


def test_an_event_of_which_only_the_name_says_the_end_is_the_end() -> None:
    assert watched(MESSAGES, DELTA, b"event: message_stop\ndata: {}\n\n").ended


@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        (CHAT, chunk({"content": "word"})),
        (CHAT, b'data: {"usage":null,"choices":[{"delta":{"content":"a"},"finish_reason" : null}]}\n\n'),
        (RESPONSES, named("response.output_text.delta", delta="word")),
        (MESSAGES, DELTA),
    ],
)
def test_an_event_of_output_is_not_parsed(
    dialect: Dialect, event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watched(dialect, FIRST[dialect])
    monkeypatch.setattr(json, "loads", None)
    watch.feed(event)
    watch.feed(event[:20])
    watch.feed(event[20:])


@pytest.mark.parametrize(
    ("dialect", "stream", "model", "usage"),
    [
        (
            CHAT,
            WORD + END + b'data: {"choices":[],"usage":{"total_tokens":9,"details":{}}}\n\n' + DONE,
            "m",
            {"total_tokens": 9},
        ),
        (
            RESPONSES,
            CREATED + named("response.completed", response={"usage": {"output_tokens": 2}}),
            "gpt",
            {"output_tokens": 2},
        ),
        (
            MESSAGES,
            START + DELTA + named("message_delta", usage={"output_tokens": 7}),
            "claude",
            {"input_tokens": 3, "output_tokens": 7},
        ),
    ],
)
def test_model_and_usage_are_noted_where_the_provider_tells_them(
    dialect: Dialect, stream: bytes, model: str, usage: dict[str, int]
) -> None:
    watch = watched(dialect, stream)
    assert (watch.model, watch.usage) == (model, usage)


STREAMS = {
    CHAT: b"\xef\xbb\xbf: ping\n\n" + ROLE + chunk({"content": "gr\u00fc\u00df"}) + END + DONE,
    RESPONSES: CREATED
    + named("response.output_text.delta", delta="\u00e9")
    + named("response.completed", response={"usage": {"n": 1}}),
    MESSAGES: START + named("ping") + DELTA + named("message_stop"),
}


@given(
    st.sampled_from(list(Dialect)),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(1, 400), max_size=12),
)
def test_cuts_and_line_ends_change_nothing(dialect: Dialect, line_end: bytes, cuts: list[int]) -> None:
    stream = STREAMS[dialect].replace(b"\n", line_end)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    watch = watched(dialect, *(stream[a:b] for a, b in pairwise(edges)), close=True)
    assert (watch.started, watch.ended, watch.error) == (True, True, None)
    assert watch.model == {CHAT: "m", RESPONSES: "gpt", MESSAGES: "claude"}[dialect]


ENDS: dict[Dialect, list[bytes]] = {
    CHAT: [END + DONE, b'data: {"error": {"message": "no"}}\n\n', b": late\n\n" + END, b"data: {"],
    RESPONSES: [
        named("response.completed", response={"usage": {"n": 1}}),
        named("response.failed", response={"error": {"message": "no"}}),
        b": late\n\n",
    ],
    MESSAGES: [
        named("message_delta", usage={"output_tokens": 7}) + named("message_stop"),
        named("error", error={"type": "overloaded_error", "message": "no"}),
        b": late\n\n",
    ],
}
WORDS = {
    CHAT: ROLE + chunk({"content": "one"}),
    RESPONSES: CREATED + named("response.output_text.delta", delta="one"),
    MESSAGES: START + DELTA,
}
WORD_OF = {
    CHAT: chunk({"content": "more"}),
    RESPONSES: named("response.output_text.delta", delta="more"),
    MESSAGES: DELTA,
}


@pytest.mark.parametrize(("dialect", "end"), [(dialect, end) for dialect in ENDS for end in ENDS[dialect]])
def test_output_behind_output_is_passed_over_wherever_it_is_cut(dialect: Dialect, end: bytes) -> None:
    def seen(*parts: bytes) -> tuple[object, ...]:
        watch = watched(dialect, WORDS[dialect], *parts)
        middle = watch.moved, watch.whole
        watch.close()
        return *middle, watch.ended, watch.error, watch.model, watch.usage, watch.owed

    stream = WORD_OF[dialect] * 3 + end + WORD_OF[dialect] * 2
    expected = seen(*(bytes([byte]) for byte in stream))
    for cut in range(1, len(stream)):
        assert seen(stream[:cut], stream[cut:]) == expected, cut
        assert seen(stream[: cut // 2], stream[cut // 2 : cut], stream[cut:]) == expected, cut


@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from(list(Dialect)))
def test_no_bytes_make_a_watch_raise(parts: list[bytes], dialect: Dialect) -> None:
    watched(dialect, *parts, close=True)
    watched(dialect, *(b"data: " + part + b"\n\n" for part in parts), close=True)


def test_a_name_is_not_lost_when_a_line_end_is_cut_in_two() -> None:
    assert watched(CHAT, b"event: error\r", b'\ndata: {"message":"no"}\r\n\r\n').error == b'{"message":"no"}'


def test_an_event_over_several_lines_is_read_as_one() -> None:
    assert (
        watched(CHAT, b'data: {"error":\ndata: {"message":"no"}}\n\n').error
        == b'{"error":\n {"message":"no"}}'
    )


def test_the_last_event_counts_without_its_blank_line() -> None:
    watch = watched(CHAT, WORD, b"data: [DONE]")
    assert not watch.ended
    assert not watch.whole
    watch.close()
    assert watch.ended


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("last", ["response.completed", "message_stop", "error", "response.failed"])
def test_half_an_event_at_the_end_says_nothing(dialect: Dialect, last: str) -> None:
    event = named(last, response={"error": {"message": "no"}}, error={"message": "no"})
    for cut in range(len(event) - 3):
        watch = watched(dialect, FIRST[dialect], event[:cut], close=True)
        assert (watch.ended, watch.error) == (False, None), event[:cut]


def test_between_events_another_may_be_appended() -> None:
    assert watched(CHAT, WORD).whole
    assert not watched(CHAT, WORD, b'data: {"cho').whole
    assert not watched(CHAT, WORD, b'data: {"choices":[]}\n').whole


def test_an_event_that_is_too_long_is_forgotten_and_the_next_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sse, "EVENT_LIMIT", 1000)
    watch = watched(CHAT, WORD, b"data: ", *[b"x" * 400] * 20)
    assert sum(map(len, watch._parts)) <= 1000
    watch.feed(b"\n\n" + DONE)
    assert watch.ended
    many = watched(CHAT, WORD, *[b"data: " + b"x" * 400 + b"\n"] * 20)
    assert sum(map(len, many._data)) <= 1000
    many.feed(b"\n" + DONE)
    assert many.ended
