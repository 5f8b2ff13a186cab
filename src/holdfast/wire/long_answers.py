"""Whether an answer that is too large to be held is one, by its beginning: the members of its JSON up to that
by which an answer of its route is known. `json_end` watches whether it comes to its end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..core.faults import Flaw
from ..values.failure_reports import reports_failure
from .answer_shape import (
    AnswerKind,
    Form,
    Judgement,
    form_of,
    is_foreign,
    judge,
    may_report_failure,
    starts_list_of_vectors,
)
from .json_end import BLANK

_DECODE = json.JSONDecoder().raw_decode
_MEMBERS = {
    AnswerKind.CHAT: "choices",
    AnswerKind.COMPLETION: "choices",
    AnswerKind.MESSAGE: "content",
    AnswerKind.RESPONSE: "output",
    AnswerKind.EMBEDDINGS: "data",
    AnswerKind.TOKEN_COUNT: "input_tokens",
}
"""By kind: the member by which an answer is known."""
_OBJECTS = {
    AnswerKind.CHAT: ("chat.completion", "chat.completion.chunk"),
    AnswerKind.COMPLETION: ("text_completion",),
    AnswerKind.MESSAGE: ("message",),
    AnswerKind.RESPONSE: ("response",),
}
"""By kind: the `object` or `type` of an answer whose member comes late."""


_FOREIGN = {*_MEMBERS.values(), "candidates"}
_MARKS = re.compile(r"[\s,:]*+")


def judge_answer(kind: AnswerKind, body: bytes, *, whole: bool) -> Judgement:
    """Judge a decoded body; unless it is `whole`, by its beginning."""
    if whole:
        return judge(kind, body)
    return _judge_beginning(kind, body)


def _judge_beginning(kind: AnswerKind, start: bytes) -> Judgement:
    """Judge an answer that begins with `start`. Of a good one only what comes before its output is parsed; of
    any other, `start` once."""
    first = start.lstrip(BLANK)[:1]
    if first == b"{":
        return Judgement(_flaw_of_members(kind, start))
    if form_of(start) is Form.EVENTS:
        return Judgement(Flaw.UNASKED)
    if kind is AnswerKind.OTHER and first != b"<":
        return Judgement(None)
    return Judgement(Flaw.OTHER)


def _flaw_of_members(kind: AnswerKind, start: bytes) -> Flaw | None:
    if kind is AnswerKind.EMBEDDINGS and starts_list_of_vectors(start):
        return None
    if kind is AnswerKind.OTHER and not may_report_failure(start):
        return None
    wanted = _MEMBERS.get(kind)
    members, last, fills_list = _members(start, wanted)
    if reports_failure({last: True, **members}) or members.get("status") == "failed":
        return Flaw.OTHER
    if wanted is None or (last == wanted and fills_list):
        return None
    if is_foreign(members) or (last in _FOREIGN and fills_list):
        return Flaw.FOREIGN
    named = {members.get("object"), members.get("type")} & {*_OBJECTS.get(kind, ())}
    if named and last not in ("", wanted):
        return None
    return Flaw.OTHER


def _members(start: bytes, wanted: str | None) -> tuple[Mapping[str, Any], str, bool]:
    """Return the whole members of an object up to `wanted`, the name of the member after them, and whether
    its value begins as a list with an object in it."""
    text = start.decode("utf-8", "ignore")
    members: dict[str, Any] = {}
    at, name = text.index("{") + 1, ""
    try:
        while name != wanted:
            name = ""
            name, at = _DECODE(text, _after_marks(text, at))
            at = _after_marks(text, at)
            if name != wanted:
                members[name], at = _DECODE(text, at)
    except (ValueError, RecursionError, TypeError):
        pass
    value = text[at : at + 64]
    return members, str(name), value[:1] == "[" and value[1:].lstrip()[:1] == "{"


def _after_marks(text: str, at: int) -> int:
    match = _MARKS.match(text, at)
    if match is None:
        return at
    return match.end()
