"""What an endpoint that speaks Messages is sent for the messages of a chat request."""

from __future__ import annotations

from typing import Any

from chat_requests import (
    HI,
    IMAGE,
    PDF,
    PNG,
    USER,
    answered,
    call,
    calling,
    result,
    text,
    told,
    translated,
    used,
)
from tables import rows

MESSAGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "words of the system, merged": (
        [{"role": "system", "content": "A"}, {"role": "developer", "content": [text("B"), text("C")]}, USER],
        [HI],
        "",
    ),
    "later words of the system": (
        [USER, {"role": "system", "content": "mind"}],
        [told("user", text("hi"), text("<system-reminder>\nmind\n</system-reminder>"))],
        "mid_system",
    ),
    "nothing but words of the system": (
        [{"role": "system", "content": "A"}, {"role": "system", "content": "B"}],
        [told("user", text("<system-reminder>\nB\n</system-reminder>"))],
        "mid_system",
    ),
    "blank texts": (
        [{"role": "user", "content": [text(" \n"), text("hi")]}, {"role": "assistant", "content": ""}, USER],
        [told("user", text("hi"), text("hi"))],
        "",
    ),
    "users in a row": ([USER, USER], [told("user", text("hi"), text("hi"))], ""),
    "the name of a speaker": ([{**USER, "name": "Ann"}], [HI], "user"),
    "an unknown member": ([{**USER, "phase": 1}], [HI], "unknown_member"),
    "a mark of the cache": (
        [{"role": "user", "content": [{**text("hi"), "cache_control": {"type": "ephemeral"}}]}],
        [HI],
        "cache_control",
    ),
    "an image in data": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "auto"}}]}],
        [told("user", IMAGE)],
        "",
    ),
    "an image by address, looked at closely": (
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}}],
            }
        ],
        [told("user", {"type": "image", "source": {"type": "url", "url": "https://a/b"}})],
        "detail",
    ),
    "an image as a bare address": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/jpg;base64,aaaa"}]}],
        [told("user", {"type": "image", "source": {**IMAGE["source"], "media_type": "image/jpeg"}})],
        "",
    ),
    "a document": (
        [{"role": "user", "content": [{"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}]}],
        [
            told(
                "user",
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "aaaa"},
                    "title": "a.pdf",
                },
            )
        ],
        "",
    ),
    "a document by its name's end": (
        [{"role": "user", "content": [{"type": "file", "file": {"file_data": "aGk=", "filename": "a.md"}}]}],
        [
            told(
                "user",
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                    "title": "a.md",
                },
            )
        ],
        "",
    ),
    "a document by address": (
        [{"role": "user", "content": [{"type": "file", "file": {"file_data": "https://a/b.pdf"}}]}],
        [told("user", {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}})],
        "",
    ),
    "calls and results, in the order of the calls": (
        [USER, calling(call('{"x": 1}'), call("", at="b")), result("B", "b"), result("A"), USER],
        [
            HI,
            told("assistant", used({"x": 1}), used({}, at="b")),
            told("user", answered("A"), answered("B", "b"), text("hi")),
        ],
        "",
    ),
    "an image in a result": (
        [USER, calling(call()), result([text("see"), {"type": "image_url", "image_url": {"url": PNG}}])],
        [HI, told("assistant", used({})), told("user", answered([text("see"), IMAGE]))],
        "",
    ),
    "a blank result": (
        [USER, calling(call()), result("")],
        [HI, told("assistant", used({})), told("user", {"type": "tool_result", "tool_use_id": "a"})],
        "",
    ),
    "a call without a result": (
        [USER, calling(call()), USER],
        [HI, told("assistant", used({})), told("user", answered("interrupted"), text("hi"))],
        "fill_missing",
    ),
    "a call of a free tool": (
        [
            USER,
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "p", "input": "x"}}],
            },
            result(),
        ],
        [HI, told("assistant", used({"input": "x"}, "p")), told("user", answered())],
        "",
    ),
    "a refusal in the history": (
        [USER, {"role": "assistant", "content": None, "refusal": "No."}, USER],
        [HI, told("assistant", text("No.")), HI],
        "",
    ),
    "parts of an assistant's content": (
        [USER, {"role": "assistant", "content": [text("a"), {"type": "refusal", "refusal": "b"}]}, USER],
        [HI, told("assistant", text("a"), text("b")), HI],
        "",
    ),
    "annotations": (
        [USER, {"role": "assistant", "content": "a", "annotations": [{"type": "url_citation"}]}, USER],
        [HI, told("assistant", text("a")), HI],
        "citations",
    ),
    "thoughts without a seal": (
        [USER, {"role": "assistant", "content": "a", "reasoning_content": "hm"}, USER],
        [HI, told("assistant", text("a")), HI],
        "reasoning_not_returned",
    ),
    "floats and exotic members of a call": (
        [USER, calling({**call('{"x": 1.5}'), "extra_content": {"google": {}}, "index": 0}), result()],
        [HI, told("assistant", used({"x": 1.5})), told("user", answered())],
        "",
    ),
    "a signature beside a call": (
        [USER, calling({**call(), "extra_content": {"google": {"thought_signature": "s"}}}), result()],
        [HI, told("assistant", used({})), told("user", answered())],
        "thinking_of_another_model",
    ),
}


@rows("name", MESSAGES)
def test_messages_keep_what_they_say(name: str) -> None:
    messages, expected, loss = MESSAGES[name]
    body, losses = translated({"messages": messages})
    assert body["messages"] == expected
    assert losses == tuple(filter(None, [loss]))


def test_leading_words_of_the_system_become_one_text() -> None:
    body, _ = translated({"messages": MESSAGES["words of the system, merged"][0]})
    assert body["system"] == "A\n\nB\n\nC"


def test_later_words_of_the_system_stay_where_the_endpoint_takes_them() -> None:
    body, losses = translated({"messages": [USER, {"role": "system", "content": "mind"}]}, mid_system=True)
    assert body["messages"] == [HI, told("system", text("mind"))]
    assert losses == ()


CALLED = [
    USER,
    calling(call(), call(at="b"), call(name="g", at="c")),
    result(),
    result(at="b"),
    result(at="c"),
]


def test_tools_that_are_offered_no_more_may_not_be_called() -> None:
    body, losses = translated({"messages": CALLED})
    nothing = {"type": "object", "properties": {}}
    assert body["tools"] == [{"name": "f", "input_schema": nothing}, {"name": "g", "input_schema": nothing}]
    assert body["tool_choice"] == {"type": "none"}
    assert losses == ()
    assert "tools" not in translated({"messages": CALLED}, tool_choice=False)[0]
