"""Reads what both of OpenAI's APIs have, chat and Responses: the parts of a message, and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .fields import Fields
from .form import FREE, Choose, File, Image, Part, Refusal, Shape, Text, Tool
from .media import detail_read, from_address, is_data, type_by_name

P = TypeVar("P", bound=Part)
Reads = Mapping[str, Callable[[Fields], P]]
"""What reads a part, by its type."""
MARKS = {"cache_control": "cache_control", "prompt_cache_breakpoint": "cache_control"}
_LOST_OF_TEXT = {"annotations": "citations", **MARKS}
_TEXT = frozenset({"type", "text", "logprobs"})
_FUNCTION = frozenset({"type", "name", "description", "parameters", "strict", "defer_loading"})
_CUSTOM = frozenset({"type", "name", "description", "format", "defer_loading"})
_ADDRESSES = ("https://", "http://")
_FORMS = ("text", "json_object", "json_schema")
_MODES = {"auto": Choose.AUTO, "none": Choose.NONE, "required": Choose.ANY, "any": Choose.ANY}


def content(fields: Fields, name: str, reads: Reads[P], *, needed: bool = True) -> list[Text | P]:
    """Return the parts of a member: a text, or a list of parts of the types of `reads`."""
    raw = fields.raw.get(name)
    if isinstance(raw, str):
        return [Text(raw, fields.path(name))]
    if raw is None and needed:
        fields.refuse(name, "is missing")
    return [_part(part, reads) for part in fields.objects(name)]


def _part(part: Fields, reads: Reads[P]) -> P:
    kind = part.needed("type")
    read = reads.get(kind)
    if read is None:
        part.refuse("type", f"'{kind}' is not known here; known are {', '.join(reads)}")
    return read(part)


def text(part: Fields) -> Text:
    """Return a text."""
    part.only(_TEXT, _LOST_OF_TEXT)
    return Text(part.needed("text"), part.at)


def refusal(part: Fields) -> Refusal:
    """Return a refusal."""
    part.only({"type", "refusal"})
    return Refusal(part.needed("refusal"), part.at)


def image(fields: Fields, name: str, at: str) -> Image:
    """Return the image whose address is the member `name`."""
    url, detail = fields.needed(name), detail_read(fields)
    if url.startswith(_ADDRESSES):
        return Image(url=url, detail=detail, at=at)
    data = from_address(url)
    if data is None:
        fields.refuse(name, "must be https://... or data:image/png;base64,...")
    return Image(data=data[1], media=data[0], detail=detail, at=at)


def file(fields: Fields, at: str) -> File:
    """Return a document: its `file_url`, or its `file_data`, which may be an address too."""
    name, given = fields.text("filename"), fields.text("file_url") or fields.needed("file_data")
    if given.startswith(_ADDRESSES) or fields.has("file_url"):
        return File(url=given, name=name, at=at)
    media, data = from_address(given) or (type_by_name(name), given)
    if not media or is_data(data):
        fields.refuse("file_data", "must be data:application/pdf;base64,... or the like, or https://...")
    return File(data=data, media=media, name=name, at=at)


def function(tool: Fields, raw: Mapping[str, Any], at: str, group: str = "") -> Tool:
    """Return a function, which the caller wrote as `raw` at `at`."""
    tool.only(_FUNCTION)
    return Tool(
        name=name_of(tool),
        group=group,
        description=tool.text("description"),
        schema=tool.mapping("parameters"),
        strict=tool.flag("strict"),
        raw=raw,
        at=at,
    )


def custom(tool: Fields, raw: Mapping[str, Any], at: str, group: str = "") -> Tool:
    """Return a tool that is called with a text."""
    tool.only(_CUSTOM)
    grammar, syntax = _grammar(tool.inner("format"))
    return Tool(
        name=name_of(tool),
        kind=FREE,
        group=group,
        description=tool.text("description"),
        grammar=grammar,
        syntax=syntax,
        raw=raw,
        at=at,
    )


def _grammar(shape: Fields | None) -> tuple[str, str]:
    """Return the grammar of a free tool's text and its syntax; "" where any text will do."""
    if shape is None:
        return "", ""
    kind = shape.needed("type")
    if kind not in ("text", "grammar"):
        shape.refuse("type", f"'{kind}' is not known; known are text, grammar")
    shape.only({"type", "syntax", "definition", "grammar"})
    grammar = shape.inner("grammar") or shape
    if kind == "grammar":
        grammar.needed("definition")
    return grammar.text("definition"), grammar.text("syntax")


def schema_in(wanted: Fields) -> Shape:
    """Return the form of an answer that must follow a schema."""
    schema = wanted.mapping("schema")
    if schema is None:
        wanted.refuse("schema", "is missing")
    return Shape(schema, wanted.text("name"), wanted.flag("strict"), wanted.text("description"))


def form_of(wanted: Fields) -> str:
    """Return the kind of answer that is wanted."""
    kind = wanted.needed("type")
    if kind not in _FORMS:
        wanted.refuse("type", f"'{kind}' cannot be translated; known are {', '.join(_FORMS)}")
    return kind


def name_of(fields: Fields) -> str:
    """Return a name, which must not be empty."""
    name = fields.needed("name")
    if not name:
        fields.refuse("name", "is empty")
    return name


def mode_of(fields: Fields, name: str) -> Choose:
    """Return how the model may choose among its tools."""
    mode = fields.text(name)
    if mode not in _MODES:
        fields.refuse(name, f"'{mode}' is not known; known are {', '.join(_MODES)}")
    return _MODES[mode]
