"""Streams of chat endpoints that break off, end for a bad reason or make no sense."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from holdfast.core.faults import FaultClass
from holdfast.translate.caller_errors import messages_type, messages_words, responses_code
from holdfast.translate.caps import Caps
from holdfast.translate.events import DONE, BrokenOff, Delta, End, Open, Start, Stop, Stopped, Why, fold
from holdfast.translate.form import Text
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses
from holdfast.wire.error_kinds import FAULTS
from tables import rows
from translate.stream_folds import FOLDS
from translate.stream_lint import LINTS
from translate.streams import WRITERS, called, caller_of, chunk, read, usage, write

Wire = dict[str, Any]
TEXT = chunk({"content": "Hi"})
CALL = called('{"x":1}', id="a", name="get_w")
OTHER = called("{", index=1, id="b", name="read")
STOP = chunk(finish="stop")


class Broken(NamedTuple):
    """A stream without an end; the error's type in Messages, its code in Responses, and its words."""

    chunks: list[Wire]
    type: str = "api_error"
    code: str = "server_error"
    words: str = "provider's answer"
    done: bool = True


def _error(message: str, **members: Any) -> Wire:
    return {"error": {"message": message, **members}}


BROKEN = {
    "nothing at all": Broken([], done=False),
    "a sign of the end alone": Broken([]),
    "a text without an end": Broken([TEXT], done=False),
    "a text with the last sign alone": Broken([TEXT]),
    "a finish without the last sign": Broken([TEXT, STOP], done=False),
    "a call that is cut": Broken([CALL, OTHER]),
    "a call without an end": Broken([CALL], done=False),
    "an error": Broken(
        [TEXT, _error("Overloaded", type="overloaded_error")], "overloaded_error", words="Overl"
    ),
    "an error with an end behind it": Broken(
        [TEXT, _error("slow down", code="rate_limit_exceeded"), STOP, usage(1, 1)],
        "rate_limit_error",
        "rate_limit_exceeded",
        "slow down",
    ),
    "an error that is a sentence": Broken([TEXT, {"error": "no more money"}], words="no more money"),
    "an object that is an error": Broken(
        [TEXT, {"object": "error", "message": "gone", "code": 404}],
        "not_found_error",
        "invalid_prompt",
        "gone",
    ),
    "an error of a choice": Broken(
        [
            TEXT,
            {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "hm", "code": 429}}]},
        ],
        "rate_limit_error",
        "rate_limit_exceeded",
        "hm",
    ),
    "an error as the reason": Broken([TEXT, chunk(finish="error")], words="'error'"),
    "an unknown reason": Broken(
        [CALL, chunk(finish="insufficient_system_resource")], words="system_resource"
    ),
    "no more quota": Broken(
        [_error("pay", code="insufficient_quota")], "billing_error", "insufficient_quota", "pay"
    ),
    "a prompt that is too long": Broken(
        [
            _error(
                "This model's maximum context length is 8,192 tokens. "
                "However, your messages resulted in 9001 tokens"
            )
        ],
        "invalid_request_error",
        "context_length_exceeded",
        "9001",
    ),
    "more for a call that was whole": Broken(
        [CALL, OTHER, called(',"z":1}', index=0)], words="goes on with a call"
    ),
    "a call without a name": Broken([called("{}", id="a"), STOP], words="without naming it"),
    "a call without a name before a text": Broken(
        [called("", id="a"), TEXT, STOP], words="without naming it"
    ),
    "a call without a name at the end": Broken([called("", id="a"), STOP], words="without naming it"),
    "several choices": Broken(
        [TEXT, {"choices": [{"index": 1, "delta": {"content": "Ho"}}]}],
        code="invalid_prompt",
        words="several choices",
    ),
    "an image": Broken(
        [chunk({"images": [{"type": "image_url"}]}), STOP], code="invalid_prompt", words="image"
    ),
    "a sound": Broken([chunk({"audio": {"data": "x"}}), STOP], code="invalid_prompt", words="sound"),
    "a part of an unknown type": Broken(
        [chunk({"content": [{"type": "hologram"}]}), STOP], code="invalid_prompt", words="hologram"
    ),
}


@rows("dialect", WRITERS)
@rows("name", BROKEN)
def test_a_broken_stream_is_the_error_of_the_caller(name: str, dialect: str) -> None:
    row = BROKEN[name]
    out = write(read(row.chunks, done=row.done), dialect)
    assert LINTS[dialect](out) == ([], "error")
    assert row.words in json.dumps(out[-1])


@rows("name", BROKEN)
def test_the_error_has_the_words_on_which_programs_act(name: str) -> None:
    row = BROKEN[name]
    events = read(row.chunks, done=row.done)
    assert write(events, "messages")[-1]["error"]["type"] == row.type
    assert write(events, "responses")[-1]["response"]["error"]["code"] == row.code


@rows("dialect", WRITERS)
def test_a_call_is_never_done_before_its_arguments_are(dialect: str) -> None:
    """Codex executes a call when it is done, whatever follows."""
    for ending in ([], [chunk(finish="length")], [chunk(finish="content_filter")], [_error("gone")]):
        out = write(read([CALL, OTHER, *ending], done=ending != []), dialect)
        wrong, end = LINTS[dialect](out)
        assert wrong == []
        assert end in ("cut", "error")
        if dialect == "responses":
            assert FOLDS[dialect](out) == [("call", "a", "get_w", '{"x":1}')]


def test_a_call_that_may_be_cut_is_not_done() -> None:
    out = write(read([CALL, chunk(finish="length")]), "responses")
    assert FOLDS["responses"](out) == []
    assert out[-1]["response"]["output"] == []


def test_the_length_wins_over_the_calls() -> None:
    *_, delta, _stop = write(read([CALL, chunk(finish="length")]), "messages")
    assert delta["delta"]["stop_reason"] == "max_tokens"
    assert write(read([TEXT, chunk(finish="length")]), "responses")[-1]["response"]["incomplete_details"] == {
        "reason": "max_output_tokens"
    }


def test_a_message_that_is_cut_says_so() -> None:
    events = [Start("1", "m"), Open(0, Text("")), Delta(0, "Hi"), Stopped(Stop(Why.LENGTH)), End()]
    (message,) = write(events, "responses")[-1]["response"]["output"]
    assert message["status"] == "incomplete"


def test_a_refusal_ends_what_a_program_would_repeat() -> None:
    chunks = [chunk({"refusal": "I will "}), chunk({"refusal": "not"}), STOP]
    *_, delta, _stop = write(read(chunks), "messages")
    assert delta["delta"]["stop_reason"] == "refusal"
    assert delta["delta"]["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I will not",
    }
    assert FOLDS["messages"](write(read(chunks), "messages")) == [("text", "I will not")]
    response = write(read(chunks), "responses")[-1]["response"]
    assert response["error"] == {"code": "invalid_prompt", "message": "I will not"}
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not"}]


def test_a_filter_is_a_refusal() -> None:
    chunks = [TEXT, chunk(finish="content_filter")]
    *_, delta, _stop = write(read(chunks), "messages")
    assert delta["delta"]["stop_reason"] == "refusal"
    assert write(read(chunks), "responses")[-1]["response"]["error"]["code"] == "invalid_prompt"


def test_a_full_context_is_told_as_one() -> None:
    chunks = [TEXT, chunk(finish="model_length")]
    *_, delta, _stop = write(read(chunks), "messages")
    assert delta["delta"]["stop_reason"] == "model_context_window_exceeded"
    assert write(read(chunks), "responses")[-1]["response"]["error"]["code"] == "context_length_exceeded"


def test_the_sign_of_the_end_is_needed_unless_the_endpoint_has_none() -> None:
    assert fold(read([TEXT, STOP], done=False, caps=Caps(done=False))).ended
    assert fold(read([TEXT], done=False, caps=Caps(done=False))).broken is not None


def test_nothing_comes_after_the_end() -> None:
    reader = ChatReader(Caps(), "", "", Losses())
    assert reader.feed(STOP) + reader.feed(DONE) != []
    assert reader.feed(TEXT) + reader.feed(DONE) + reader.end() == []
    for dialect, writer in WRITERS.items():
        out = writer(caller_of())  # type: ignore[call-arg]
        out.feed(BrokenOff("gone"))
        assert out.feed(BrokenOff("gone")) == [], dialect


def test_what_was_held_back_is_counted() -> None:
    chunks = [called("{", id="a", name="get_w"), called("{", index=1, id="b", name="read"), _error("gone")]
    (*_, error) = write(read(chunks), "messages")
    assert error["error"]["message"] == "gone (parts of the answer that were held back and are lost: 1)"


@rows("kind", FaultClass)
def test_an_error_has_the_type_that_it_has_before_an_answer(kind: FaultClass) -> None:
    assert messages_type(kind) == FAULTS[kind].anthropic_type


def test_an_error_of_no_known_class_is_the_providers() -> None:
    assert messages_type("nonsense") == "api_error"
    assert responses_code(BrokenOff("", "nonsense")) == "server_error"


OVERFLOWS = {
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130,001 "
    "tokens.": ("prompt is too long: 130001 tokens > 128000 maximum"),
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
    "(4000 in the messages, 1000 in the completion).": (
        "input length and `max_tokens` exceed context limit: 4000 + 1000 > 4096"
    ),
    "This endpoint's maximum context length is 1000 tokens. However, you requested about 2000 tokens "
    "(1500 of text input, 500 in the output).": (
        "input length and `max_tokens` exceed context limit: 1500 + 500 > 1000"
    ),
    "prompt is too long: 5 tokens > 4 maximum": "prompt is too long: 5 tokens > 4 maximum",
    "the context is full": "the context is full",
    "maximum context length is 10 tokens, the prompt has 5 tokens": (
        "maximum context length is 10 tokens, the prompt has 5 tokens"
    ),
}


@rows("words", OVERFLOWS)
def test_a_prompt_that_is_too_long_is_told_in_the_words_that_claude_code_reads(words: str) -> None:
    assert messages_words(BrokenOff(words, FaultClass.CONTEXT_OVERFLOW)) == OVERFLOWS[words]
    assert messages_words(BrokenOff(words, FaultClass.BAD_REQUEST)) == words


FULL = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "thöught"}),
    chunk({"content": "Hi \u00e9\U0001f600"}),
    called("", index=0, id="a", name="get_"),
    called(index=0, name="w"),
    called('{"x":', index=0),
    called('{"input": "*** Begin', index=1, id="b", name="apply_patch"),
    called("1}", index=0),
    called(' Patch\\n"}', index=1),
    called("{}", index=2, id="c", name="shell__run"),
    chunk(finish="tool_calls"),
    usage(10, 5, prompt_tokens_details={"cached_tokens": 4}),
]


def _data_of(stream: bytes) -> list[Any]:
    """Return the data of a stream's whole events."""
    data_of_events: list[Any] = []
    for event in stream.split(b"\n\n")[:-1]:
        data = event.removeprefix(b"data: ")
        data_of_events.append(DONE if data == b"[DONE]" else json.loads(data))
    return data_of_events


@rows("dialect", WRITERS)
def test_a_cut_at_any_byte_is_an_error(dialect: str) -> None:
    chunks = [json.dumps(data, ensure_ascii=False).encode() for data in FULL]
    stream = b"".join(b"data: " + data + b"\n\n" for data in [*chunks, b"[DONE]"])
    assert LINTS[dialect](write(read(_data_of(stream), done=False), dialect)) == ([], "whole")
    seen = -1
    for cut in range(len(stream)):
        whole = stream.count(b"\n\n", 0, cut)
        if whole != seen:  # what has no end yet is not read, so that the cuts inside of it are the same
            seen = whole
            events = read(_data_of(stream[:cut]), done=False)
            assert LINTS[dialect](write(events, dialect)) == ([], "error"), cut
