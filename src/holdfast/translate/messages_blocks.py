"""Reads the blocks of messages of the Messages API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from .call_seals import with_call_seals
from .envelope import Sealer, is_sealed
from .fields import Fields
from .form import ON, Call, File, Image, Opaque, Part, Result, Seal, Text, Thinking
from .losses import Losses
from .messages_served import NATIVE, json_text, readable
from .messages_tools import ToolChanges

_CLIENT_NOTE = "x-anthropic-billing-header:"
"""Claude Code begins the system's words with a note that changes from request to request, so that no cache
would know them again."""


class Holder(Enum):
    """Hold blocks: the values that do."""

    USER = "a user's message"
    ASSISTANT = "an assistant's message"
    SYSTEM = "the system's words"
    RESULT = "a tool's result"


class Blocks:
    """Reads the blocks of one request, and what they do to its tools."""

    def __init__(self, sealer: Sealer, losses: Losses) -> None:
        self._sealer, self._losses = sealer, losses
        self._unfinished: dict[str, str] = {}
        self.tools = ToolChanges()

    def content(self, owner: Fields, name: str, holder: Holder) -> list[Part]:
        """Return the parts of a member that holds a text or a list of blocks."""
        value = owner.raw.get(name)
        if isinstance(value, str):
            return _text(value, owner.path(name))
        parts: list[Part] = []
        for block in owner.objects(name):
            parts += self._block(block, holder)
        if holder is Holder.ASSISTANT:
            return with_call_seals(parts, self._losses)
        return parts

    def finish(self) -> None:
        """Refuse a call of a tool at the provider that has no result: the provider was to go on with it."""
        for call, at in self._unfinished.items():
            why = f"the call '{call}' of a tool that runs at the provider has no result"
            self._losses.refuse(at, why, NATIVE)

    def _block(self, block: Fields, holder: Holder) -> Iterable[Part]:
        name = block.needed("type")
        kind = _KINDS.get(name)
        if kind is None:
            block.refuse("type", f"blocks of the type '{name}' are not known")
        if holder not in kind.holders:
            block.refuse("type", f"a block of the type '{name}' does not belong into {holder.value}")
        block.only(kind.members, kind.lost)
        return kind.read(self, block)

    def text(self, block: Fields) -> Iterable[Part]:
        text = block.needed("text")
        if text.startswith(_CLIENT_NOTE) and block.at == "system[0]":
            block.less("client_metadata", "text")
            return ()
        return _text(text, block.at)

    def image(self, block: Fields) -> Iterable[Part]:
        source = block.required("source")
        match source.needed("type"):
            case "base64":
                data, media = source.needed("data"), source.needed("media_type")
                return (Image(data=data, media=media, at=block.at),)
            case "url":
                return (Image(url=source.needed("url"), at=block.at),)
        return _elsewhere(source)

    def document(self, block: Fields) -> Iterable[Part]:
        _citations(block)
        title, context, source = block.text("title"), block.text("context"), block.required("source")
        match source.needed("type"):
            case "base64":
                data, media = source.needed("data"), source.needed("media_type")
                file = File(data=data, media=media, name=title, at=block.at)
                return (*_text(context, block.path("context")), file)
            case "url":
                file = File(url=source.needed("url"), name=title, at=block.at)
                return (*_text(context, block.path("context")), file)
            case "text":
                return _text(_lines(title, context, source.needed("data")), block.at)
            case "content":
                heading = _text(_lines(title, context), block.at)
                return (*heading, *self.content(source, "content", Holder.RESULT))
        return _elsewhere(source)

    def search_result(self, block: Fields) -> Iterable[Part]:
        block.less("citations", "source")
        texts = [
            part.text for part in self.content(block, "content", Holder.RESULT) if isinstance(part, Text)
        ]
        return _text(_lines(block.needed("title"), block.needed("source"), *texts), block.at)

    def thinking(self, block: Fields) -> Iterable[Part]:
        return self._thought(block, block.text("thinking"), block.text("signature"), Opaque.SIGNATURE)

    def redacted_thinking(self, block: Fields) -> Iterable[Part]:
        return self._thought(block, "", block.needed("data"), Opaque.REDACTED)

    def _thought(self, block: Fields, text: str, value: str, kind: Opaque) -> Iterable[Part]:
        if not value:
            return (Thinking(text, at=block.at),)
        if not is_sealed(value):
            return (Thinking(text, Seal(kind, value), block.at),)
        seal = self._sealer.open(value)
        if seal is None:
            self._losses.less("thinking_of_another_model", block.at)
            return ()
        return (Thinking(text, seal, block.at),)

    def tool_use(self, block: Fields) -> Iterable[Part]:
        caller = block.inner("caller")
        if caller and caller.needed("type") != "direct":
            block.less("served_history", "caller")
        arguments = block.required("input")
        call = Call(
            block.needed("id"), block.needed("name"), json_text(arguments, arguments.raw), at=block.at
        )
        return (call,)

    def tool_result(self, block: Fields) -> Iterable[Part]:
        parts = tuple(self.content(block, "content", Holder.RESULT))
        failed = block.flag("is_error") is ON
        return (Result(block.needed("tool_use_id"), parts, failed, block.at),)  # type: ignore[arg-type]

    def tool_reference(self, block: Fields) -> Iterable[Part]:
        name = block.needed("tool_name")
        self.tools.offers[name] = True
        return _text(f"[the tool {name} can be called now]", block.at)

    def served_call(self, block: Fields) -> Iterable[Part]:
        name, arguments = block.needed("name"), block.required("input")
        self._unfinished[block.needed("id")] = block.at
        block.less("served_history", "name")
        return _text(f"[{name} was called with {json_text(arguments, arguments.raw)}]", block.at)

    def served_result(self, block: Fields) -> Iterable[Part]:
        self._unfinished.pop(block.needed("tool_use_id"), None)
        block.less("served_history", "content")
        content = block.raw.get("content")
        if isinstance(content, Mapping):
            self.tools.search_found(Fields(content, block.path("content"), self._losses))
        return _text(f"[it gave: {readable(block, content)}]", block.at)

    def compaction(self, block: Fields) -> Iterable[Part]:
        for change in block.objects("tool_changes"):
            self.tools.change(change, offered=change.needed("type") == "tool_addition")
        summary = block.text("content")
        if not summary and block.has("encrypted_content"):
            block.refuse("encrypted_content", "only Anthropic can read it", NATIVE)
        if not summary:
            return ()
        block.less("served_history", "content")
        return _text(f"[summary of the conversation so far]\n{summary}", block.at)

    def addition(self, block: Fields) -> Iterable[Part]:
        self.tools.change(block, offered=True)
        return ()

    def removal(self, block: Fields) -> Iterable[Part]:
        self.tools.change(block, offered=False)
        return ()

    def upload(self, block: Fields) -> Iterable[Part]:
        block.refuse("file_id", "it is a file that only Anthropic has", NATIVE)

    def nothing(self, _block: Fields) -> Iterable[Part]:
        """Return no part: the model is not shown such a block."""
        return ()


_Read = Callable[[Blocks, Fields], Iterable[Part]]
_CACHE = {"cache_control": "cache_control"}


class _Kind(NamedTuple):
    """A type of block. `members` are read, `lost` are left out and told by these names of LESS."""

    read: _Read
    holders: tuple[Holder, ...]
    members: frozenset[str]
    lost: Mapping[str, str]


def _kind(read: _Read, holders: tuple[Holder, ...], members: str, lost: Mapping[str, str] = _CACHE) -> _Kind:
    return _Kind(read, holders, frozenset(members.split()) | {"type"}, lost)


_ANYWHERE = (Holder.USER, Holder.ASSISTANT, Holder.RESULT)
_SAID = (Holder.USER, Holder.RESULT)
_BY_MODEL = (Holder.ASSISTANT,)
_BY_SYSTEM = (Holder.SYSTEM,)
_BY_BOTH = (Holder.USER, Holder.ASSISTANT)
_TEXT_LOST = {"cache_control": "cache_control", "citations": "citations"}
_SERVED_CALL = _kind(Blocks.served_call, _BY_MODEL, "id name input caller server_name")
_SERVED_RESULT = _kind(Blocks.served_result, _BY_BOTH, "tool_use_id content caller is_error")
_CALL = _kind(Blocks.tool_use, _BY_MODEL, "id name input caller")
_DOCUMENT = _kind(Blocks.document, _SAID, "source title context citations")
_COMPACTION = _kind(Blocks.compaction, _BY_BOTH, "content encrypted_content signature tool_changes")

_KINDS = {
    "text": _kind(Blocks.text, tuple(Holder), "text", _TEXT_LOST),
    "image": _kind(Blocks.image, _SAID, "source"),
    "document": _DOCUMENT,
    "search_result": _kind(Blocks.search_result, _SAID, "content source title citations"),
    "thinking": _kind(Blocks.thinking, _BY_MODEL, "thinking signature"),
    "redacted_thinking": _kind(Blocks.redacted_thinking, _BY_MODEL, "data"),
    "tool_use": _CALL,
    "tool_result": _kind(Blocks.tool_result, (Holder.USER,), "tool_use_id content is_error"),
    "tool_reference": _kind(Blocks.tool_reference, (Holder.RESULT,), "tool_name"),
    "server_tool_use": _SERVED_CALL,
    "mcp_tool_use": _SERVED_CALL,
    "web_search_tool_result": _SERVED_RESULT,
    "web_fetch_tool_result": _SERVED_RESULT,
    "code_execution_tool_result": _SERVED_RESULT,
    "bash_code_execution_tool_result": _SERVED_RESULT,
    "text_editor_code_execution_tool_result": _SERVED_RESULT,
    "tool_search_tool_result": _SERVED_RESULT,
    "advisor_tool_result": _SERVED_RESULT,
    "mcp_tool_result": _SERVED_RESULT,
    "mcp_tool_listing": _kind(Blocks.nothing, _BY_BOTH, "mcp_server_name", {"tools": "served_tools"}),
    "compaction": _COMPACTION,
    "tool_addition": _kind(Blocks.addition, _BY_SYSTEM, "tool"),
    "tool_removal": _kind(Blocks.removal, _BY_SYSTEM, "tool"),
    "container_upload": _kind(Blocks.upload, (Holder.USER,), "file_id"),
    "fallback": _kind(Blocks.nothing, _BY_MODEL, "from to trigger"),
}


def _text(text: str, at: str) -> list[Part]:
    if not text:
        return []
    return [Text(text, at)]


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def _elsewhere(source: Fields) -> Iterable[Part]:
    if source.text("type") == "file":
        source.refuse("file_id", "it is a file that only Anthropic has", "Send its data. " + NATIVE)
    source.refuse("type", f"sources of the type '{source.text('type')}' are not known")


def _citations(block: Fields) -> None:
    wish = block.inner("citations")
    if wish and wish.flag("enabled") is ON:
        block.less("citations", "citations")
