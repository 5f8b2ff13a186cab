"""Reads the items of a Responses request's input into turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .call_seals import with_call_seals
from .envelope import Sealer
from .fields import Fields
from .form import (
    ASSISTANT,
    FREE,
    FUNCTION,
    SYSTEM,
    USER,
    Call,
    Image,
    Part,
    Result,
    Role,
    Text,
    Tool,
    ToolKind,
    Turn,
)
from .losses import Losses
from .media import from_address
from .names import wire_name
from .openai_parts import content
from .responses_parts import AGENTS, MODELS, USERS, WORDS, thinking
from .responses_tools import NATIVE, REFUSED, SEARCH, Offers

_STATE = ("the item is at another provider, nothing of it is in the request; send the item itself", NATIVE)
_COMPACT = ("only the provider that summarized the conversation can read this; start a new session", NATIVE)
_REFUSED: Mapping[str, tuple[str, str]] = {
    "compaction": _COMPACT,
    "compaction_summary": _COMPACT,
    "compaction_trigger": ("only OpenAI summarizes a conversation on its side", NATIVE),
    "context_compaction": _COMPACT,
    "item_reference": _STATE,
    "local_shell_call": REFUSED["local_shell"],
    "local_shell_call_output": REFUSED["local_shell"],
    "shell_call": REFUSED["shell"],
    "shell_call_output": REFUSED["shell"],
    "apply_patch_call": REFUSED["apply_patch"],
    "apply_patch_call_output": REFUSED["apply_patch"],
}
_ROLES = {
    "user": (USER, USERS),
    "assistant": (ASSISTANT, MODELS),
    "system": (SYSTEM, WORDS),
    "developer": (SYSTEM, WORDS),
}
_ITEM = frozenset({"type", "id", "status"})
_MESSAGE = _ITEM | {"role", "content"}
_CALL = _ITEM | {"call_id", "name", "namespace", "caller"}
_FUNCTION_CALL, _CUSTOM_CALL, _OUTPUT = _CALL | {"arguments"}, _CALL | {"input"}, _CALL | {"output"}


class Items:
    """Turns as they grow: what one speaker says without a break is one turn, but for messages of the user and
    of the system."""

    def __init__(self, sealer: Sealer, losses: Losses, offers: Offers) -> None:
        self._sealer, self._losses, self._offers = sealer, losses, offers
        self._turns: list[tuple[Role, list[Part], str]] = []

    def turns(self) -> tuple[Turn, ...]:
        """Return the turns so far, each call with its own seal."""
        turns = []
        for role, parts, at in self._turns:
            kept = parts if role is not ASSISTANT else with_call_seals(parts, self._losses)
            if kept:
                turns.append(Turn(role, tuple(kept), at))
        return tuple(turns)

    def say(self, role: Role, text: str, at: str) -> None:
        """Take a text that is no item."""
        self._new(role, [Text(text, at)], at)

    def take(self, item: Fields) -> None:
        """Take the next item. Raises Untranslatable for what is not known."""
        kind = item.text("type") or _type_of(item)
        read = _READ.get(kind)
        if read is not None:
            read(self, item)
            return
        if kind in _REFUSED:
            item.refuse("", *_REFUSED[kind])
        item.refuse("type", f"items of the type '{kind}' are not known", NATIVE)

    def message(self, item: Fields) -> None:
        """Take a message of anybody."""
        item.only(_MESSAGE)
        role = item.needed("role")
        if role not in _ROLES:
            item.refuse("role", f"'{role}' is not known; known are {', '.join(_ROLES)}")
        speaker, reads = _ROLES[role]
        parts: list[Part] = list(content(item, "content", reads))
        if speaker is ASSISTANT:
            self._answer(parts, item.at)
        else:
            self._new(speaker, parts, item.at)

    def agent_message(self, item: Fields) -> None:
        """Take a message of another agent."""
        item.only(_ITEM | {"author", "recipient", "content"})
        head = f"Message from {item.text('author')} to {item.text('recipient')}:"
        parts: list[Part] = [Text(head, item.at)]
        if item.raw.get("content") is not None:
            parts += content(item, "content", AGENTS)
        self._new(USER, parts, item.at)

    def reasoning(self, item: Fields) -> None:
        """Take what the model thought."""
        self._answer(list(thinking(item, self._sealer, self._losses)), item.at)

    def function_call(self, item: Fields) -> None:
        """Take a call with arguments."""
        item.only(_FUNCTION_CALL)
        self._call(item, FUNCTION, item.text("arguments"))

    def custom_tool_call(self, item: Fields) -> None:
        """Take a call with a text."""
        item.only(_CUSTOM_CALL)
        self._call(item, FREE, item.text("input"))

    def output(self, item: Fields) -> None:
        """Take the result of a call."""
        item.only(_OUTPUT)
        parts = tuple(content(item, "output", AGENTS))
        self._result(Result(item.needed("call_id"), parts, at=item.at))

    def tool_search_call(self, item: Fields) -> None:
        """Take a search for tools; one that the provider made is told as text."""
        if item.text("execution", "client") == "server":
            return self.served(item)
        item.only(_ITEM | {"call_id", "execution", "arguments"})
        arguments = item.raw.get("arguments")
        if not isinstance(arguments, str):
            arguments = _json(item, arguments or {})
        call = Call(item.needed("call_id"), SEARCH, arguments, ToolKind.SEARCH, at=item.at)
        return self._answer([call], item.at)

    def tool_search_output(self, item: Fields) -> None:
        """Take the tools that a search found: they are offered, and told by name."""
        item.only(_ITEM | {"call_id", "execution", "tools"})
        added = self._offers.add(item, loaded=True)
        text = Text(_names_of(added), item.at)
        if item.text("execution", "client") == "server":
            item.less("served_history", "")
            return self._answer([text], item.at)
        return self._result(Result(item.needed("call_id"), (text,), at=item.at))

    def additional_tools(self, item: Fields) -> None:
        """Take more tools."""
        item.only(_ITEM | {"role", "tools"})
        self._offers.add(item)

    def served(self, item: Fields) -> None:
        """Take the call of a tool at a provider, with its result: told as text."""
        item.less("served_history", "")
        kind = item.text("type")
        inner = {name: value for name, value in item.raw.items() if name not in _CALL or name == "name"}
        self._answer([Text(f"[{kind}: {_json(item, inner)}]", item.at)], item.at)

    def image_generation_call(self, item: Fields) -> None:
        """Take an image that a provider made, as if the user had sent it."""
        item.less("served_history", "")
        prompt, picture = item.text("revised_prompt"), item.text("result")
        self._answer([Text(f"[image_generation_call: {prompt}]", item.at)], item.at)
        if picture:
            media, data = from_address(picture) or (f"image/{item.text('output_format', 'png')}", picture)
            image = Image(data=data, media=media, at=item.at)
            item.less("output_moved", "result")
            self._new(USER, [Text("[the image that was generated]", item.at), image], item.at)

    def _call(self, item: Fields, kind: ToolKind, args: str) -> None:
        name, group = item.needed("name"), item.text("namespace")
        self._offers.called(group, name)
        call = Call(item.needed("call_id"), name, args, kind=kind, group=group, at=item.at)
        self._answer([call], item.at)

    def _answer(self, parts: list[Part], at: str) -> None:
        turns = self._turns
        if turns and turns[-1][0] is ASSISTANT:
            turns[-1][1].extend(parts)
        else:
            self._new(ASSISTANT, parts, at)

    def _result(self, result: Result) -> None:
        turns = self._turns
        if turns and type(turns[-1][1][-1]) is Result:
            turns[-1][1].append(result)
        else:
            self._new(USER, [result], result.at)

    def _new(self, role: Role, parts: list[Part], at: str) -> None:
        if parts:
            self._turns.append((role, parts, at))


def _type_of(item: Fields) -> str:
    """Return the type of an item that does not say it."""
    if item.has("role"):
        return "message"
    if not item.has("id"):
        item.refuse("type", "is missing")
    return "item_reference"


def _names_of(tools: list[Tool]) -> str:
    if not tools:
        return "No tools were found."
    names = [wire_name(tool.group, tool.name) for tool in tools]
    return "Tools that can be called now: " + ", ".join(names)


def _json(item: Fields, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        item.refuse("", "is nested too deeply")


_READ: dict[str, Callable[[Items, Fields], None]] = {
    "message": Items.message,
    "agent_message": Items.agent_message,
    "reasoning": Items.reasoning,
    "function_call": Items.function_call,
    "function_call_output": Items.output,
    "custom_tool_call": Items.custom_tool_call,
    "custom_tool_call_output": Items.output,
    "tool_search_call": Items.tool_search_call,
    "tool_search_output": Items.tool_search_output,
    "additional_tools": Items.additional_tools,
    "image_generation_call": Items.image_generation_call,
    "code_interpreter_call": Items.served,
    "file_search_call": Items.served,
    "mcp_call": Items.served,
    "mcp_list_tools": Items.served,
    "web_search_call": Items.served,
}
