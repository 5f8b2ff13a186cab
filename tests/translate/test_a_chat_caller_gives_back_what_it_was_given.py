"""What a caller that speaks chat was given comes back with its next request, for the same model."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate import read_chat
from holdfast.translate.form import Call, Opaque, Refusal, Seal, Text, Thinking
from holdfast.translate.losses import Losses
from holdfast.translate.to_chat import ChatWriter
from tables import rows
from translate.wires import MARK, SEALER, STREAMS, answer, caller, part_of

WORDS = st.text("ab é\U0001f600", min_size=1, max_size=9).filter(str.strip)
PARTS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), WORDS),
        st.tuples(st.just("thinking"), WORDS, WORDS),
        st.tuples(
            st.just("call"), st.uuids().map(str), st.just("get_w"), WORDS.map(lambda x: json.dumps({"x": x}))
        ),
    ),
    min_size=1,
    max_size=5,
)


def _back(message: dict[str, Any]) -> list[Any]:
    """Return the parts of a model's message in the next request."""
    messages = [{"role": "user", "content": "hello"}, message]
    losses = Losses(exact=True)
    return list(read_chat.read({"model": "m", "messages": messages}, SEALER, losses).turns[-1].parts)


@rows("dialect", STREAMS)
@given(parts=PARTS)
def test_texts_thoughts_and_calls_come_back(dialect: str, parts: list[tuple[str, ...]]) -> None:
    (choice,) = ChatWriter(caller()).whole(answer(dialect, STREAMS[dialect](parts)))["choices"]
    back = _back(choice["message"])
    given_out = [part_of(dialect, index, part) for index, part in enumerate(parts)]
    for kind in (Thinking, Call):
        assert [part for part in back if isinstance(part, kind)] == [
            part for part in given_out if isinstance(part, kind)
        ]
    assert "".join(part.text for part in back if isinstance(part, Text)) == "".join(
        part.text for part in given_out if isinstance(part, Text)
    )


def test_thoughts_that_hold_no_text_come_back_beside_those_that_do() -> None:
    parts = [("redacted", "ZGF0YQ"), ("thinking", "hm", "c2ln"), ("redacted", "bW9yZQ"), ("text", "so")]
    (choice,) = ChatWriter(caller()).whole(answer("messages", STREAMS["messages"](parts)))["choices"]
    assert _back(choice["message"]) == [
        Thinking("", Seal(Opaque.REDACTED, "ZGF0YQ", MARK)),
        Thinking("hm", Seal(Opaque.SIGNATURE, "c2ln", MARK)),
        Thinking("", Seal(Opaque.REDACTED, "bW9yZQ", MARK)),
        Text("so"),
    ]


def test_a_refusal_comes_back() -> None:
    (choice,) = ChatWriter(caller()).whole(answer("responses", STREAMS["responses"]([("refusal", "no")])))[
        "choices"
    ]
    assert _back(choice["message"]) == [Refusal("no")]


@rows("length", [None, 1, -2, "2", 2.5, [2]])
def test_lengths_that_do_not_fit_are_not_believed(length: object) -> None:
    parts = [("thinking", "hm", "c2ln"), ("thinking", "so", "bW9yZQ")]
    (choice,) = ChatWriter(caller()).whole(answer("messages", STREAMS["messages"](parts)))["choices"]
    message = choice["message"]
    for detail in message["reasoning_details"]:
        detail["length"] = length
    assert _back(message) == [Thinking("hmso")]
