"""What is wrong with a stream of a dialect, by its published rules; nothing of it is taken from the product.

Each check returns (complaints, end): the end is "whole", "cut", "error" or "" for a stream without an end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

Wire = dict[str, Any]
Verdict = tuple[list[str], str]
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_CUT = ("max_tokens", "refusal", "model_context_window_exceeded")


def is_object(text: str) -> bool:
    """Return whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


class _Messages:
    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.end = ""
        self.started = False
        self.open: Wire | None = None
        self.index = -1
        self.text = ""
        self.signed = False
        self.stop: str | None = None
        self.calls: list[str] = []

    def say(self, what: str) -> None:
        self.wrong.append(what)

    def event(self, event: Wire) -> None:
        kind = event["type"]
        if self.end:
            self.say(f"{kind} after the end")
        if kind == "ping":
            return
        if kind == "error":
            self.end = "error"
            if not (event["error"]["type"] and event["error"]["message"]):
                self.say("an error without words")
            return
        if not self.started and kind != "message_start":
            self.say(f"{kind} before message_start")
        getattr(self, kind)(event)

    def message_start(self, event: Wire) -> None:
        if self.started:
            self.say("two message_start")
        self.started = True
        message = event["message"]
        if not str(message["id"]).startswith("msg_"):
            self.say("the id has no prefix")
        if (message["type"], message["role"], message["content"]) != ("message", "assistant", []):
            self.say("message_start is no empty message")
        if message["stop_reason"] is not None or message["stop_sequence"] is not None:
            self.say("stopped at the start")
        self.counts(message["usage"])

    def counts(self, usage: Wire) -> None:
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        if not all(isinstance(usage[name], int) and usage[name] >= 0 for name in names):
            self.say(f"no counts: {usage}")

    def content_block_start(self, event: Wire) -> None:
        if self.open is not None:
            self.say("two blocks are open")
        self.index += 1
        if event["index"] != self.index:
            self.say(f"index {event['index']} instead of {self.index}")
        self.open, self.text, self.signed = event["content_block"], "", False
        if self.open["type"] == "tool_use":
            self.calls.append(self.open["id"])
            if not self.open["name"] or self.open["input"] != {}:
                self.say("a call without a name, or with an input at its start")

    def content_block_delta(self, event: Wire) -> None:
        if self.open is None or event["index"] != self.index:
            self.say("a delta of no open block")
            return
        delta = event["delta"]
        if delta["type"] == "signature_delta" and self.open["type"] == "thinking":
            if self.signed or not delta["signature"]:
                self.say("signed twice, or with nothing")
            self.signed = True
            return
        kind, member = _DELTAS.get(self.open["type"], ("", ""))
        if delta["type"] != kind:
            self.say(f"{delta['type']} in {self.open['type']}")
            return
        if self.signed:
            self.say("a thought goes on behind its signature")
        if not delta[member]:
            self.say("an empty delta")
        self.text += delta[member]

    def content_block_stop(self, event: Wire) -> None:
        if self.open is None or event["index"] != self.index:
            self.say("a stop of no open block")
            return
        kind = self.open["type"]
        if kind == "thinking" and not self.signed:
            self.say("a thought without a signature")
        if kind in ("text", "thinking") and not self.text:
            self.say(f"an empty block of {kind}")
        if kind == "tool_use":
            self.open["args"] = self.text
            self.last_call = self.text
        self.open = None

    def message_delta(self, event: Wire) -> None:
        if self.open is not None or self.stop is not None:
            self.say("message_delta too early, or twice")
        self.stop = event["delta"]["stop_reason"]
        self.counts(event["usage"])
        if self.stop not in ("end_turn", "tool_use", "stop_sequence", *_CUT):
            self.say(f"unknown reason {self.stop}")
        if (self.stop == "tool_use") != bool(self.calls) and self.stop not in _CUT:
            self.say(f"{self.stop} with {len(self.calls)} calls")
        if len(set(self.calls)) != len(self.calls):
            self.say("two calls have one id")

    def message_stop(self, _event: Wire) -> None:
        if self.stop is None:
            self.say("message_stop without message_delta")
        self.end = "cut" if self.stop in _CUT else "whole"


def messages(events: Sequence[Wire]) -> Verdict:
    """Check a stream of the Messages dialect."""
    lint = _Messages()
    for event in events:
        lint.event(event)
    if not lint.end:
        lint.say("no end")
    return lint.wrong, lint.end


_TEXTS = {
    "response.output_text": ("text", "response.content_part", "content_index"),
    "response.refusal": ("refusal", "response.content_part", "content_index"),
    "response.reasoning_text": ("text", "response.content_part", "content_index"),
    "response.reasoning_summary_text": ("text", "response.reasoning_summary_part", "summary_index"),
}
_CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
_ENDS = {"response.completed": "whole", "response.incomplete": "cut", "response.failed": "error"}


class _Responses:
    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.end, self.id = "", ""
        self.items: list[Wire] = []
        self.open: dict[int, Wire] = {}
        self.done: dict[int, Wire] = {}
        self.texts: dict[int, str] = {}
        self.part: dict[int, bool] = {}
        self.told: set[int] = set()

    def say(self, what: str) -> None:
        self.wrong.append(what)

    def event(self, number: int, event: Wire) -> None:
        kind = event["type"]
        if event["sequence_number"] != number:
            self.say(f"number {event['sequence_number']} instead of {number}")
        if self.end:
            self.say(f"{kind} after the end")
        if (number == 0) != (kind == "response.created"):
            self.say("response.created is not the first one, or not alone")
        if "response" in event:
            self.lifecycle(kind, event["response"])
        elif kind == "response.output_item.added":
            self.added(event["output_index"], event["item"])
        elif kind == "response.output_item.done":
            self.finished(event["output_index"], event["item"])
        else:
            self.inside(kind, event)

    def lifecycle(self, kind: str, response: Wire) -> None:
        self.id = self.id or response["id"]
        if response["id"] != self.id or not self.id.startswith("resp_"):
            self.say("the response has another id")
        status = kind.removeprefix("response.").replace("created", "in_progress")
        if response["status"] != status:
            self.say(f"{kind} has the status {response['status']}")
        if kind not in _ENDS:
            return
        self.end = _ENDS[kind]
        if (response["error"] is None) == (self.end == "error"):
            self.say("failed without an error, or an error without having failed")
        if (response["incomplete_details"] is None) == (self.end == "cut"):
            self.say("no details of what is missing")
        if self.end == "whole" and self.open:
            self.say(f"items are open at the end: {self.open}")
        if self.end == "whole" and response["output"] != [self.done[key] for key in sorted(self.done)]:
            self.say("the output is not what was told")
        for item in response["output"]:
            if item["type"] in _CALLS and item not in self.done.values():
                self.say("a call that is not done is in the output")

    def added(self, index: int, item: Wire) -> None:
        if index != len(self.items):
            self.say(f"output_index {index} instead of {len(self.items)}")
        if item["id"] in [other["id"] for other in self.items]:
            self.say("two items have one id")
        self.items.append(item)
        self.open[index], self.texts[index], self.part[index] = item, "", False

    def inside(self, kind: str, event: Wire) -> None:
        index = event["output_index"]
        item = self.open.get(index)
        if item is None or item["id"] != event["item_id"]:
            self.say(f"{kind} of no open item")
            return
        stem, _, verb = kind.rpartition(".")
        if stem in ("response.content_part", "response.reasoning_summary_part"):
            self.part_of(index, verb, event)
        elif stem in _TEXTS:
            self.text_of(index, verb, event, _TEXTS[stem])
        elif (stem, verb) == (_CALLS[item["type"]][0], "delta"):
            self.texts[index] += event["delta"]
        elif (stem, verb) == (_CALLS[item["type"]][0], "done"):
            if event[_CALLS[item["type"]][1]] != (self.texts[index] or "{}"):
                self.say("the arguments are not the sum of their pieces")
            self.told.add(index)
        else:
            self.say(f"{kind} in {item['type']}")

    def part_of(self, index: int, verb: str, event: Wire) -> None:
        if (verb == "added") == self.part[index]:
            self.say(f"part {verb} at the wrong time")
        self.part[index] = verb == "added"
        member = "refusal" if event["part"]["type"] == "refusal" else "text"
        if event["part"][member] != self.texts[index]:
            self.say("the part is not the sum of its pieces")

    def text_of(self, index: int, verb: str, event: Wire, words: tuple[str, str, str]) -> None:
        member, _, index_member = words
        if not self.part[index] or event[index_member] != 0:
            self.say("a text outside of its part")
        if verb == "delta":
            if not event["delta"]:
                self.say("an empty delta")
            self.texts[index] += event["delta"]
        elif event[member] != self.texts[index]:
            self.say("the text is not the sum of its pieces")

    def finished(self, index: int, item: Wire) -> None:
        begun = self.open.pop(index, None)
        if begun is None or (begun["id"], begun["type"]) != (item["id"], item["type"]):
            self.say("done, but never begun")
            return
        self.done[index] = item
        if item["type"] in _CALLS:
            member = _CALLS[item["type"]][1]
            if item[member] != (self.texts[index] or "{}") or index not in self.told:
                self.say("the call is not the sum of its pieces")
        elif item["type"] == "message":
            sum_of_parts = "".join(part.get("text", part.get("refusal", "")) for part in item["content"])
            if sum_of_parts != self.texts[index] or not sum_of_parts or self.part[index]:
                self.say("the message is not the sum of its pieces")
        elif item["type"] == "reasoning":
            sum_of_parts = "".join(part["text"] for part in item["summary"] + item.get("content", []))
            if sum_of_parts != self.texts[index] or not (sum_of_parts or item.get("encrypted_content")):
                self.say("the thought is not the sum of its pieces")


def responses(events: Sequence[Wire]) -> Verdict:
    """Check a stream of the Responses dialect."""
    lint = _Responses()
    for number, event in enumerate(events):
        lint.event(number, event)
    if not lint.end:
        lint.say("no end")
    return lint.wrong, lint.end


class _Chat:
    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.begun = False
        self.end = ""
        self.calls = 0
        self.ids: set[str] = set()

    def chunk(self, data: Wire) -> None:
        if self.end == "error":
            self.wrong.append("something after an error")
        if "error" in data:
            self.end = "error"
            return
        self.ids.add(data["id"])
        if not data["choices"] and not self.end:
            self.wrong.append("the usage comes before the end")
        for choice in data["choices"]:
            self.choice(choice)

    def choice(self, choice: Wire) -> None:
        if self.end:
            self.wrong.append("a chunk behind the end")
        if not self.begun and choice["delta"].get("role") != "assistant":
            self.wrong.append("the first chunk has no role")
        self.begun = True
        for piece in choice["delta"].get("tool_calls") or []:
            self.piece(piece)
        if choice["finish_reason"]:
            self.end = "cut" if choice["finish_reason"] in ("length", "content_filter") else "whole"

    def piece(self, piece: Wire) -> None:
        if "id" in piece:
            if piece["index"] != self.calls or not piece[piece["type"]]["name"]:
                self.wrong.append("a call begins at the wrong index, or without a name")
            self.calls += 1
        elif piece["index"] >= self.calls:
            self.wrong.append("a piece of no call")


def chat(chunks: Sequence[Wire]) -> Verdict:
    """Check a stream of chat, without its last sign."""
    lint = _Chat()
    for data in chunks:
        lint.chunk(data)
    if len(lint.ids) > 1:
        lint.wrong.append("several ids")
    if not lint.end:
        lint.wrong.append("no end")
    return lint.wrong, lint.end


LINTS: dict[str, Callable[[Sequence[Wire]], Verdict]] = {
    "messages": messages,
    "responses": responses,
    "chat": chat,
}
