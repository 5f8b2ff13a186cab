"""A model's thoughts, in the history of a Messages caller: only their own model gets them, and only where it
wants them."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.translate.envelope import Sealer
from holdfast.translate.form import Opaque, Seal
from holdfast.translate.losses import Untranslatable
from tables import rows
from translate.claude_code import call, result, text
from translate.messages_to_chat import MARK, SEALER, asking, carried

HI = {"role": "user", "content": "hi"}
OTHER = SEALER.mark("https://elsewhere.test", "another")
DETAILS = [{"type": "reasoning.encrypted", "data": "zz", "index": 0}]
SIGNED = {"google": {"thought_signature": "zz"}}


def seal(kind: Opaque = Opaque.PLAIN, value: Any = "", mark: str = MARK, item: str = "") -> str:
    return SEALER.seal(Seal(kind, value, mark, item))


def thinking(words: str, signature: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted(data: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data}


FOREIGN = Sealer(b"another home").seal(Seal(Opaque.PLAIN, mark=MARK))
BACK = {"reasoning_back": True}

# Blocks before an answer's text, the members of its message beside the text, what is lost, and caps.
THOUGHTS: dict[str, tuple[list[Any], dict[str, Any], set[str], dict[str, Any]]] = {
    "its own": ([thinking("A.", seal())], {"reasoning_content": "A."}, set(), BACK),
    "its own, two": (
        [thinking("A.", seal()), thinking("B.", seal())],
        {"reasoning_content": "A.B."},
        set(),
        BACK,
    ),
    "its own, not shown": ([thinking("", seal(value="A."))], {"reasoning_content": "A."}, set(), BACK),
    "its own, not wanted": ([thinking("A.", seal())], {}, {"reasoning_not_returned"}, {}),
    "of another model": ([thinking("A.", seal(mark=OTHER))], {}, {"thinking_of_another_model"}, BACK),
    "of another home": ([thinking("A.", FOREIGN)], {}, {"thinking_of_another_model"}, BACK),
    "of Claude": ([thinking("A.", "EqQB")], {"reasoning_content": "A."}, {"thinking_of_another_model"}, BACK),
    "of Claude, not wanted": ([thinking("A.", "EqQB")], {}, {"thinking_of_another_model"}, {}),
    "of Claude, not shown": ([redacted("EqQB")], {}, {"thinking_of_another_model"}, BACK),
    "of nobody": ([thinking("A.")], {"reasoning_content": "A."}, set(), BACK),
    "of nobody, not wanted": ([thinking("A.")], {}, {"reasoning_not_returned"}, {}),
    "nothing": ([thinking("")], {}, set(), {}),
    "with details": (
        [thinking("A.", seal(Opaque.DETAILS, DETAILS))],
        {"reasoning_details": DETAILS},
        set(),
        {},
    ),
    "details only": ([redacted(seal(Opaque.DETAILS, DETAILS))], {"reasoning_details": DETAILS}, set(), BACK),
    "details of another model": (
        [redacted(seal(Opaque.DETAILS, DETAILS, OTHER))],
        {},
        {"thinking_of_another_model"},
        BACK,
    ),
    "details that are no list": ([redacted(seal(Opaque.DETAILS, 5))], {}, {"reasoning_not_returned"}, {}),
}


@rows("name", THOUGHTS)
def test_thoughts_go_back_to_their_own_model_only(name: str) -> None:
    blocks, members, less, caps = THOUGHTS[name]
    answer = {"role": "assistant", "content": [*blocks, text("a")]}
    body, lost = carried(asking(messages=[HI, answer, HI]), **caps)
    assert body["messages"][1] == {"role": "assistant", "content": "a"} | members
    assert set(lost) == less


def _with_a_call(*blocks: Any, **members: Any) -> dict[str, Any]:
    answer = {"role": "assistant", "content": [*blocks, call(1, "get")]}
    return asking(messages=[HI, answer, {"role": "user", "content": [result(1, "done")]}], **members)


@rows("after", [False, True])
def test_the_signature_of_a_call_goes_back_beside_the_call(after: bool) -> None:
    block = redacted(seal(Opaque.THOUGHT, SIGNED, item=call(1, "get")["id"]))
    blocks = [call(1, "get"), block] if after else [block, call(1, "get")]
    answer = {"role": "assistant", "content": [text("a"), *blocks]}
    body, less = carried(asking(messages=[HI, answer, {"role": "user", "content": [result(1, "done")]}]))
    assert body["messages"][1]["tool_calls"][0]["extra_content"] == SIGNED
    assert not less


def test_the_signature_of_a_call_stays_away_from_another_model() -> None:
    block = redacted(seal(Opaque.THOUGHT, SIGNED, OTHER, item=call(1, "get")["id"]))
    body, less = carried(_with_a_call(block))
    assert "extra_content" not in body["messages"][1]["tool_calls"][0]
    assert less == ("thinking_of_another_model",)


def test_the_signature_of_a_call_that_is_gone_is_left_out() -> None:
    block = redacted(seal(Opaque.THOUGHT, SIGNED, item="gone"))
    body, less = carried(_with_a_call(block))
    assert "extra_content" not in body["messages"][1]["tool_calls"][0]
    assert less == ("reasoning_not_returned",)


def test_a_model_does_not_think_where_its_thoughts_before_a_call_are_not_there() -> None:
    """DeepSeek answers 400 if a turn with calls comes back without what it thought."""
    body, less = carried(_with_a_call(), reasoning_back=True, effort_off="disabled")
    assert body["thinking"] == {"type": "disabled"}
    assert less == ("reasoning_not_returned",)
    body, less = carried(_with_a_call(thinking("A.", seal())), reasoning_back=True, effort_off="disabled")
    assert "thinking" not in body
    assert not less


def test_a_model_that_cannot_but_think_is_not_asked_to_go_on_without_its_thoughts() -> None:
    with pytest.raises(Untranslatable, match="wants its thoughts back") as refusal:
        carried(_with_a_call(thinking("A.", seal(mark=OTHER))), reasoning_back=True)
    assert refusal.value.path == "messages[1]"


def test_a_model_that_is_not_to_think_needs_no_thoughts() -> None:
    asked = _with_a_call(thinking={"type": "disabled"})
    body, less = carried(asked, reasoning_back=True, effort_off="none")
    assert body["reasoning_effort"] == "none"
    assert not less
