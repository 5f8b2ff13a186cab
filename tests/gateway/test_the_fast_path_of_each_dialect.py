"""A request that is like one before it is answered as the full path would answer it in every dialect: what
the provider's events say, what an answer makes, and what a request refers to make no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.changes import Owner

from . import test_the_fast_path as chat  # type: ignore[import-not-found]
from .raw_provider import END as LAST  # type: ignore[import-not-found]
from .raw_provider import After, RawProvider, Said, chunk, chunked, raw_provider, sized  # type: ignore[import-not-found]
from .test_the_fast_path import KEY, MODEL, effects, refused, repeated, started  # type: ignore[import-not-found]

HI = [{"role": "user", "content": "hi"}]
ASKS: dict[str, dict[str, Any]] = {
    "messages": {"model": MODEL, "max_tokens": 9, "messages": HI},
    "responses": {"model": MODEL, "input": HI},
}


def typed(kind: str, **members: Any) -> bytes:
    """An event with its type in its name and in its data, as both APIs have it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


def message(**members: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL} | members


def words(**members: Any) -> bytes:
    content = [{"type": "text", "text": "fine"}]
    usage = {"input_tokens": 3, "output_tokens": 2}
    return json.dumps(message(content=content, stop_reason="end_turn", usage=usage) | members).encode()


BEGIN = typed("message_start", message=message(content=[], usage={"input_tokens": 3, "output_tokens": 1}))
PING = typed("ping")
TEXT = typed("content_block_start", index=0, content_block={"type": "text", "text": ""}) + typed(
    "content_block_delta", index=0, delta={"type": "text_delta", "text": "fine"}
)
CLOSE = (
    typed("content_block_stop", index=0)
    + typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
    + typed("message_stop")
)
OVERLOADED = typed("error", error={"type": "overloaded_error", "message": "Overloaded"})

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" * 40}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "fine"}]}


def response(**members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": MODEL, "usage": usage}
    return whole | {"output": [SAID]} | members


def as_json(**members: Any) -> bytes:
    return json.dumps(response(**members)).encode()


CREATED = typed("response.created", response=response(status="in_progress", output=[], usage=None))
DELTA = typed("response.output_text.delta", delta="fine")
ITEM = typed("response.output_item.done", item=REASONING)
COMPLETED = typed("response.completed", response=response(output=[REASONING, SAID]))
FAILED = typed(
    "response.failed", response=response(status="failed", output=[], error={"code": "server_error"})
)
REFUSED = refused(401, "invalid_api_key")
# By route: what the provider says to a request that is like those before it; with `stream`, to one that
# asks for a stream.
CASES: dict[str, dict[str, list[Said]]] = {
    "messages": {
        "a good answer": [Said([sized(words())])],
        "an answer by an edition of the model": [Said([sized(words(model=f"{MODEL}-20260101"))])],
        "an answer by another model": [Said([sized(words(model="other"))])],
        "an answer with a container": [Said([sized(words(container={"id": "container_1"}))])],
        "an answer without content": [Said([sized(words(content=[], usage={}))])],
        "an answer that repeats the key": [Said([sized(words(id=KEY))])],
        "an answer of another API": [Said([sized(as_json())])],
        "a refusal": [Said([REFUSED])] * 3,
        "an error with a good status": [
            Said([sized(json.dumps({"type": "error", "error": {"type": "overloaded_error"}}).encode())])
        ],
    },
    "messages stream": {
        "a good stream": [Said([chunked(BEGIN, PING, TEXT, CLOSE)])],
        "a good stream in pieces": [Said([chunked(BEGIN, last=b""), *map(chunk, (PING, TEXT, CLOSE)), LAST])],
        "a stream by another model": [Said([chunked(BEGIN.replace(MODEL.encode(), b"other"), TEXT, CLOSE)])],
        "an error at once": [Said([chunked(OVERLOADED)])],
        "an error before the output": [Said([chunked(BEGIN, last=b""), chunk(OVERLOADED), LAST])],
        "an error after the output": [Said([chunked(BEGIN, TEXT, OVERLOADED)])],
        "a stream without output": [Said([chunked(BEGIN, typed("message_stop"))])],
        "a stream without an end": [Said([chunked(BEGIN, TEXT)])],
        "a stream that is cut": [Said([chunked(BEGIN, TEXT, last=b"")], After.CLOSE)],
        "a stream of another API": [Said([chunked(CREATED, DELTA, COMPLETED)])],
        "a document": [Said([sized(words())])],
    },
    "responses": {
        "a good answer": [Said([sized(as_json())])],
        "an answer that is kept": [Said([sized(as_json(id="resp_kept", store=True))])],
        "an answer that is not kept": [Said([sized(as_json(store=False))])],
        "an answer with encrypted reasoning": [Said([sized(as_json(output=[REASONING, SAID]))])],
        "an answer in a conversation": [Said([sized(as_json(conversation={"id": "conv_1"}))])],
        "an answer by another model": [Said([sized(as_json(model="other"))])],
        "an answer that failed": [Said([sized(as_json(status="failed", error={"code": "server_error"}))])],
        "an answer that is not complete": [Said([sized(as_json(status="incomplete", output=[]))])],
        "an answer that is queued": [Said([sized(as_json(status="queued", output=[], usage=None))])],
        "a refusal": [Said([REFUSED])] * 3,
    },
    "responses stream": {
        "a good stream": [Said([chunked(CREATED, DELTA, COMPLETED)])],
        "a good stream in pieces": [
            Said([chunked(CREATED, last=b""), *map(chunk, (DELTA, COMPLETED)), LAST])
        ],
        "a stream with encrypted reasoning": [Said([chunked(CREATED, ITEM, DELTA, COMPLETED)])],
        "a stream that fails at once": [Said([chunked(FAILED)])],
        "a stream that fails before the output": [Said([chunked(CREATED, last=b""), chunk(FAILED), LAST])],
        "a stream that fails after the output": [Said([chunked(CREATED, DELTA, FAILED)])],
        "a stream without an end": [Said([chunked(CREATED, DELTA)])],
        "a stream that is cut before its output": [Said([chunked(CREATED, last=b"")], After.CLOSE)],
        "a stream of another API": [Said([chunked(BEGIN, TEXT, CLOSE)])],
    },
}
GOOD: dict[str, Said] = {each: rows[next(iter(rows))][0] for each, rows in CASES.items()}
ROWS = [(each, case) for each, rows in CASES.items() for case in rows]


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawProvider]:
    monkeypatch.setenv("KEY_A", KEY)
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    with raw_provider() as provider:
        yield provider


def owners(known: dict[str, Owner | None]) -> dict[str, tuple[str, str] | None]:
    """Owners without their fingerprints, which differ from home to home."""
    return {name: owner and (owner.provider, owner.label) for name, owner in known.items()}


@pytest.mark.parametrize(("asked", "case"), ROWS, ids=[f"{asked}, {case}" for asked, case in ROWS])
def test_the_fast_path_changes_nothing_in_the_other_dialects(
    asked: str, case: str, raw: RawProvider, tmp_path: Path
) -> None:
    route, _, streams = asked.partition(" ")
    body = ASKS[route] | ({"stream": True} if streams else {})
    both = []
    for on in (True, False):
        with started(tmp_path / str(on), raw, GOOD[asked], body, on=on, route=route) as plane:
            taken = repeated(plane)
            shown = effects(plane, raw, CASES[asked][case], GOOD[asked], body, route=route)
            assert taken[0] is on
            objects = plane.holdfast.engine.objects
            both.append(
                (
                    shown,
                    owners({name: made.owner for name, made in objects._made.items()}),
                    owners(objects._firsts),
                )
            )
    assert both[0] == both[1]


FALLBACK = f"""
[provider.other]
url = "ROOT"
dialect = "anthropic-messages"
keys = ["env:KEY_B"]
models = [{{ id = "other-1", output = 9 }}]
[fallback]
"mine/{MODEL}" = {{ then = ["other/other-1"] }}
"""
DOWN = Said([refused(500, "server_error")])
FAILS = Said([chunked(b'data: {"error": {"message": "no", "code": "server_error"}}\n\n')])


@pytest.mark.parametrize(
    ("says", "streams"),
    [([], False), ([DOWN] * 9, False), ([DOWN], False), ([], True), ([FAILS] * 9, True)],
    ids=["a good answer", "failures", "one failure", "a good stream", "streams that fail"],
)
def test_the_fast_path_changes_nothing_where_a_fallback_is_translated(
    says: list[Said], streams: bool, raw: RawProvider, tmp_path: Path
) -> None:
    body: dict[str, Any] = {"model": MODEL, "messages": HI} | ({"stream": True} if streams else {})
    good = Said([chat.GOOD_STREAM if streams else chat.GOOD])
    other = Said([chunked(BEGIN, TEXT, CLOSE) if streams else sized(words(model="other-1"))])

    def send(plane: Any, wanted: bytes) -> bytes:
        chosen = raw.answer
        raw.answer = lambda asked: other if b'"other-1"' in asked else chosen(asked)
        return plane.raw(wanted)  # type: ignore[no-any-return]

    both = []
    for on in (True, False):
        more = FALLBACK.replace("ROOT", raw.root)
        with started(tmp_path / str(on), raw, good, body, on=on, more=more) as plane:
            assert bool(plane.holdfast.engine.fast_path._known) is on
            both.append(effects(plane, raw, says, good, body, send=send))
    assert both[0] == both[1]
    assert all(status == 200 for status, _, _ in both[0].answers)
    fallbacks = ["other/other-1"] * 2 if len(says) > 1 else [None] * 2
    assert [headers.get("holdfast-fallback") for _, headers, _ in both[0].answers] == fallbacks
