"""Answers of real providers, which others recorded: each is read as it was meant, and reaches a caller of
every other API whole, in events and documents that fit the vendor's published schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import environments
import schemas
from recordings import Recording, Wire, recordings
from running import CHAT, MESSAGES, RESPONSES
from schemas import Written

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import DONE, Answer, Event, Why, fold
from holdfast.translate.exchange import FORMS, CallerRequest, Destination
from holdfast.translate.form import FREE, Call, Thinking
from holdfast.translate.losses import Losses, Untranslatable
from translate.stream_lint import LINTS, is_object
from translate.streams import caller_of, write

NAMES = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "messages"}
LISTED: dict[str, str] = {
    word: reason for words in environments.REFUSALS["recordings"].values() for word, reason in words.items()
}
FEWEST = 250
Said = list[tuple[str, ...]]


@cache
def recorded() -> list[tuple[Recording, list[Event]]]:
    """Return what is recorded, and what it means; without what ends at something that is listed."""
    read = [(each, _read(each.dialect, each.events, each.whole)) for each in recordings()]
    assert len(read) >= FEWEST
    return [(each, events) for each, events in read if not _refused(fold(events))]


def _read(dialect: Dialect, events: Sequence[Any], whole: Wire | None = None) -> list[Event]:
    reader = FORMS[dialect].reader(Caps(web_search="web_search"), "mark", "seed", Losses())
    if whole:
        return reader.whole(whole)
    return [event for data in [*events, DONE] for event in reader.feed(data)] + reader.end()


def _refused(answer: Answer) -> str:
    """Return what of a listed kind an answer holds; "" if nothing."""
    if answer.broken is None:
        return ""
    text = answer.broken.text
    return next((word for word in LISTED if f"'{word}'" in text), "")


def said(answer: Answer) -> Said:
    """Return the texts and calls of an answer: pieces of a kind that follow each other are one."""
    made: Said = []
    for part in answer.parts:
        if isinstance(part, Call):
            made.append(("call", part.id, part.name, _plain(part.args)))
            continue
        kind, text = ("text", "thinking")[isinstance(part, Thinking)], part.text  # type: ignore[union-attr]
        if text and made and made[-1][0] == kind:
            made[-1] = (kind, made[-1][1] + text)
        elif text:
            made.append((kind, text))
    return made


def _plain(args: str) -> str:
    """Return arguments in one spelling; what is no JSON, as it is."""
    try:
        return json.dumps(json.loads(args or "{}"))
    except ValueError:
        return args


def _by_kind(parts: Said) -> Said:
    """Return what is said in chat, which has one text, one thought and a list of calls."""
    texts = [(kind, "".join(each[1] for each in parts if each[0] == kind)) for kind in ("text", "thinking")]
    return [each for each in texts if each[1]] + [each for each in parts if each[0] == "call"]


def test_each_of_what_is_listed_was_recorded_and_nothing_else_breaks_off() -> None:
    broken = [fold(_read(each.dialect, each.events, each.whole)) for each in recordings()]
    assert [answer.broken for answer in broken if answer.broken and not _refused(answer)] == []
    assert {_refused(answer) for answer in broken} - {""} == LISTED.keys()


def test_a_recorded_stream_is_read_as_its_own_last_object_says() -> None:
    streams = [(each, fold(events)) for each, events in recorded() if each.events]
    for each, answer in streams:
        assert answer.ended, each.name
        if each.dialect is not RESPONSES:
            assert _by_hand(each) == said(answer), each.name
            continue
        final = fold(_read(RESPONSES, [], each.events[-1]["response"]))
        assert (said(answer), answer.stop, answer.usage) == (said(final), final.stop, final.usage), each.name


def _by_hand(each: Recording) -> Said:
    """Put a stream together in the plainest way."""
    return {CHAT: _chat_by_hand, MESSAGES: _messages_by_hand}[each.dialect](each.events)


def _chat_by_hand(events: list[Wire]) -> Said:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    calls: dict[int, Wire] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or ()):
        call = calls.setdefault(
            piece["index"], {"id": piece.get("id"), "type": piece.get("type"), "text": ""}
        )
        made = piece.get("function") or piece["custom"]
        call["name"] = call.get("name") or made.get("name")
        call["text"] += made.get("arguments", made.get("input")) or ""
    texts = [
        (kind, "".join(delta.get(name) or "" for delta in deltas))
        for kind, name in (("text", "content"), ("thinking", "reasoning_content"))
    ]
    parts = [("call", call["id"], call["name"], _plain(call["text"])) for call in calls.values()]
    return [each for each in texts if each[1]] + parts


def _whole_chat_by_hand(answer: Wire) -> Said:
    message = answer["choices"][0]["message"]
    calls = [call | {"index": index} for index, call in enumerate(message.get("tool_calls") or ())]
    return _chat_by_hand([{"choices": [{"delta": message | {"tool_calls": calls}}]}])


def _messages_by_hand(events: list[Wire]) -> Said:
    blocks = {each["index"]: each["content_block"] for each in events if "content_block" in each}
    texts = dict.fromkeys(blocks, "")
    for each in events:
        if each["type"] == "content_block_delta":
            delta = each["delta"]
            texts[each["index"]] += str(
                delta.get("text", delta.get("thinking", delta.get("partial_json", "")))
            )
    made: Said = []
    for index, block in blocks.items():
        text = block.get("text", "") + texts[index]
        if block["type"] == "tool_use":
            made.append(("call", block["id"], block["name"], _plain(text or json.dumps(block["input"]))))
        elif block["type"] not in ("text", "thinking") or not text:
            continue
        elif made and made[-1][0] == block["type"]:
            made[-1] = (block["type"], made[-1][1] + text)
        else:
            made.append((block["type"], text))
    return made


def test_a_recorded_answer_reaches_a_caller_of_every_other_api() -> None:
    written: list[Written] = []
    for each, events in recorded():
        for caller, name in NAMES.items():
            if caller is each.dialect or not _is_for(caller, fold(events)):
                continue
            stream = write(events, name, caller_of([]))
            whole = FORMS[caller].writer(caller_of([])).whole(fold(events))
            assert LINTS[name](stream)[0] == [], each.name
            for parts in _told(caller, stream, whole):
                wanted = _by_kind(said(fold(events))) if caller is CHAT else said(fold(events))
                assert _without_ids(parts) == _without_ids(wanted), (each.name, name)
            written += [Written(caller, "event", event) for event in stream]
            written.append(Written(caller, "answer", whole))
    assert schemas.faults(written) == []


def _is_for(caller: Dialect, answer: Answer) -> bool:
    """Return whether a caller gets all that an answer says, and as an answer."""
    calls = [part for part in answer.parts if isinstance(part, Call)]
    refused = answer.stop is not None and answer.stop.why is Why.REFUSED
    if caller is RESPONSES and refused:  # it is told as an error, or Codex would ask again
        return False
    if caller is MESSAGES and any(call.kind is FREE for call in calls):  # it has no tools that take a text
        return False
    return all(call.kind is FREE or is_object(call.args or "{}") for call in calls)  # none was cut off


def _told(caller: Dialect, stream: list[Wire], whole: Wire) -> list[Said]:
    """Return what a caller reads in a stream, and in a whole answer."""
    if caller is CHAT:
        return [_chat_by_hand(stream), _whole_chat_by_hand(whole)]
    back = [fold(_read(caller, stream)), fold(_read(caller, [], whole))]
    assert all(answer.ended for answer in back)
    return [said(answer) for answer in back]


def _without_ids(parts: Said) -> Said:
    return [(kind, *rest[-2:]) for kind, *rest in parts]


def _has_request(each: Recording) -> bool:
    return bool(each.request)


def test_a_recorded_request_is_refused_or_fits_the_schema_of_every_other_api() -> None:
    written: list[Written] = []
    for each in filter(_has_request, recordings()):
        asked = CallerRequest(each.dialect, each.request, Sealer(b"k"), seed="s", now=1.0)
        for dialect in NAMES:
            if dialect is each.dialect:
                continue
            try:
                body = asked.to(Destination(dialect, "https://a.test", "m", Caps(max_output=9999))).body
            except Untranslatable:
                continue
            written.append(Written(dialect, "request", body))
    assert len(written) > FEWEST
    assert schemas.faults(written) == []
