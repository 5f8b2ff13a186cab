"""Answers that chance makes up, and the streams in which an endpoint may give them."""

from __future__ import annotations

import json
from random import Random
from typing import Any, NamedTuple

from holdfast.translate.events import Close, Delta, End, Event, Open, Sealed, Start, Stop, Stopped, Why
from holdfast.translate.form import Call, Opaque, Part, Seal, Text, Thinking
from translate.stream_folds import Fold
from translate.streams import chunk, usage

Wire = dict[str, Any]
LETTERS = 'ab {}[]:,"\\\n\t\u00e9\U0001f600'
NAMES = ("get_w", "read", "apply_patch", "shell__run")
OURS = {"shell__run": "run"}
FREE = "apply_patch"
SPOKEN = ("thinking", "text")
MEMBER = {"thinking": "reasoning_content", "text": "content"}


class Said(NamedTuple):
    """A part of an answer: a thought, a text or a call with its arguments."""

    kind: str
    text: str
    id: str = ""
    name: str = ""


class Script(NamedTuple):
    """The parts of an answer, and a stream of chunks that gives them."""

    parts: list[Said]
    chunks: list[Wire]

    @property
    def at_once(self) -> list[Wire]:
        """Return the stream in which every part comes in one piece, after the other."""
        chunks, calls = [], 0
        for part in self.parts:
            if part.kind != "call":
                chunks.append(chunk({MEMBER[part.kind]: part.text}))
                continue
            chunks.append(_piece(calls, id=part.id, name=part.name, args=part.text))
            calls += 1
        return [*chunks, chunk(finish="stop")]

    def fold(self, dialect: str) -> Fold:
        """Return what the caller of a dialect has in its hands at the end."""
        return [_folded(part, dialect) for part in self.parts]


def script(rng: Random) -> Script:
    """Make up an answer and its stream."""
    parts: list[Said] = []
    deltas: list[Wire] = []
    last = ""
    for _ in range(rng.randrange(5)):
        if rng.random() < 0.5:
            last = rng.choice([kind for kind in SPOKEN if kind != last])
            parts.append(Said(last, _text(rng)))
            deltas += _spoken(rng, parts[-1])
        else:
            last = _calls(rng, parts, deltas)
    chunks = [chunk(delta) for delta in _joined(rng, deltas)]
    for _ in range(rng.randrange(3)):
        noise = rng.choice([chunk({}), chunk({"content": None, "tool_calls": None}), {"choices": []}])
        chunks.insert(rng.randrange(len(chunks) + 1), noise)
    chunks.insert(0, chunk({"role": "assistant", "content": ""}))
    called = any(part.kind == "call" for part in parts)
    chunks.append(chunk(finish=rng.choice(["stop", "tool_calls"][: 1 + called])))
    chunks.insert(len(chunks) - rng.randrange(2), usage(7, 3))
    return Script(parts, chunks)


def _text(rng: Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 9)))


def _split(rng: Random, text: str) -> list[str]:
    """Return the pieces of a text."""
    pieces = []
    while text:
        length = rng.randrange(1, len(text) + 1)
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def _spoken(rng: Random, part: Said) -> list[Wire]:
    return [{MEMBER[part.kind]: piece} for piece in _split(rng, part.text)]


def _arguments(rng: Random, name: str) -> str:
    if name == FREE:
        return json.dumps({"input": _text(rng)}, ensure_ascii=rng.random() < 0.5)
    given = {_text(rng): rng.choice([1, None, _text(rng), [{}], {"a": {}}]) for _ in range(rng.randrange(3))}
    return json.dumps(given, ensure_ascii=rng.random() < 0.5)


def _piece(index: int | None, *, id: str = "", name: str = "", args: str = "") -> Wire:
    return chunk({"tool_calls": [_call_piece(index, id=id, name=name, args=args)]})


def _call_piece(index: int | None, *, id: str = "", name: str = "", args: str = "") -> Wire:
    piece: Wire = {"function": {"arguments": args}}
    if name:
        piece["function"]["name"] = name
    if index is not None:
        piece["index"] = index
    if id:
        piece["id"] = id
    return piece


def _calls(rng: Random, parts: list[Said], deltas: list[Wire]) -> str:
    """Add some calls, whose arguments may come by turns. Return the kind of a text that stands among them."""
    first = sum(part.kind == "call" for part in parts)
    style = rng.choice(["by turns", "by turns", "one index", "no index", "its id each time"])
    waiting = []
    for number in range(first, first + rng.randrange(1, 5)):
        name = rng.choice(NAMES)
        waiting.append(Said("call", _arguments(rng, name), f"call_{number}", name))
    if style != "by turns":
        for number, call in enumerate(waiting, first):
            parts.append(call)
            deltas += _one_after_another(rng, call, number, style)
        return ""
    return _by_turns(rng, waiting, parts, deltas)


def _one_after_another(rng: Random, call: Said, number: int, style: str) -> list[Wire]:
    index = {"one index": 0, "no index": None}.get(style, number)
    pieces = [_call_piece(index, id=call.id, name=call.name)]
    for args in _split(rng, call.text):
        if style == "its id each time":
            pieces.append(_call_piece(index, id=call.id, name=call.name, args=args))
        else:
            pieces.append(_call_piece(index, args=args))
    return [{"tool_calls": [piece]} for piece in pieces]


def _by_turns(rng: Random, waiting: list[Said], parts: list[Said], deltas: list[Wire]) -> str:
    kind, first = "", sum(part.kind == "call" for part in parts)
    open_calls: dict[int, list[str]] = {}
    begun = first
    while waiting or open_calls:
        if waiting and (not open_calls or rng.random() < 0.3):
            call = waiting.pop(0)
            parts.append(call)
            open_calls[begun] = _split(rng, call.text)
            names = _split(rng, call.name)
            heads = [_call_piece(begun, id=call.id, name=names[0])]
            heads += [_call_piece(begun, name=name) for name in names[1:]]
            deltas += [{"tool_calls": [head]} for head in heads]
            begun += 1
            continue
        index = rng.choice(list(open_calls))
        deltas.append({"tool_calls": [_call_piece(index, args=open_calls[index].pop(0))]})
        if not open_calls[index]:
            del open_calls[index]
        if not kind and rng.random() < 0.1:
            kind = rng.choice(SPOKEN)
            parts.append(Said(kind, _text(rng)))
            deltas += _spoken(rng, parts[-1])
    return kind


def _joined(rng: Random, deltas: list[Wire]) -> list[Wire]:
    """Return the deltas, some of them put together where that does not change their order."""
    order = ["reasoning_content", "content", "tool_calls"]
    joined: list[Wire] = []
    for delta in deltas:
        (member,) = delta
        if joined and rng.random() < 0.2:
            last = [name for name in order if name in joined[-1]][-1]
            if last == member == "tool_calls":
                joined[-1] = {**joined[-1], member: joined[-1][member] + delta[member]}
                continue
            if order.index(last) < order.index(member):
                joined[-1] = {**joined[-1], **delta}
                continue
        joined.append(delta)
    return joined


def _folded(part: Said, dialect: str) -> tuple[str, ...]:
    if part.kind != "call":
        return part.kind, part.text
    args = part.text
    if dialect == "responses" and part.name == FREE:
        args = json.loads(args)["input"]
    return "call", part.id, OURS.get(part.name, part.name), args


def events(rng: Random) -> tuple[list[Said], list[Event]]:
    """Make up an answer, and events of ours that give it: several parts may be open at once."""
    parts: list[Said] = []
    out: list[Event] = [Start("1", "m")]
    open_parts: dict[int, list[str]] = {}
    left = rng.randrange(6)
    while left or open_parts:
        if left and (not open_parts or rng.random() < 0.4):
            left -= 1
            part = _part(rng, len(parts))
            open_parts[len(parts)] = _split(rng, part.text)
            out.append(Open(len(parts), _empty(part)))
            parts.append(part)
            continue
        slot = rng.choice(list(open_parts))
        if open_parts[slot]:
            out.append(Delta(slot, open_parts[slot].pop(0)))
            continue
        del open_parts[slot]
        if parts[slot].kind == "thinking":
            out.append(Sealed(slot, Seal(Opaque.ENCRYPTED, "x")))
        out.append(Close(slot))
    why = Why.TOOLS if any(part.kind == "call" for part in parts) else Why.DONE
    return parts, [*out, Stopped(Stop(why)), End()]


def _part(rng: Random, number: int) -> Said:
    kind = rng.choice(["thinking", "text", "call"])
    if kind != "call":
        return Said(kind, _text(rng))
    name = rng.choice(NAMES)
    return Said(kind, _arguments(rng, name), f"call_{number}", name)


def _empty(part: Said) -> Part:
    if part.kind == "call":
        return Call(part.id, part.name)
    return {"text": Text(""), "thinking": Thinking()}[part.kind]
