"""A request without a dialect: what the readers produce and the writers take.

`at` of a value is the JSON path at which the caller wrote it, for errors. Nobody changes a value. Those of
which a long history has thousands are not frozen: to make a frozen one takes three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

NO_RAW: Mapping[str, Any] = {}
NO_PATHS: Mapping[str, str] = {}


class Role(Enum):
    """The speaker of a turn. A tool's result is part of a user's turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Flag(Enum):
    """A switch of a request, which the caller may leave as it is."""

    UNSET = "unset"
    ON = "on"
    OFF = "off"


UNSET, ON, OFF = Flag
"""A name of its own, since Python 3.11 finds a member of an enumeration only slowly."""


SYSTEM, USER, ASSISTANT = Role


class ToolKind(Enum):
    """The ways in which a tool is called.

    FUNCTION  with arguments in JSON
    FREE      with a text (OpenAI's `custom` tools)
    SEARCH    with arguments, by which the caller finds more tools (`tool_search`)
    SERVED    not by the caller: it runs at the provider
    """

    FUNCTION = "function"
    FREE = "free"
    SEARCH = "search"
    SERVED = "served"


FUNCTION, FREE, SEARCH, SERVED = ToolKind


class Opaque(Enum):
    """The kinds of values that only the model that wrote them can read, and wants back unchanged.

    SIGNATURE  of a thinking block (Messages)
    REDACTED   a thinking block without a text (Messages)
    ENCRYPTED  a reasoning item's content (Responses)
    DETAILS    `reasoning_details`, a list (chat, as OpenRouter and others give it)
    THOUGHT    `thought_signature` beside a call (Gemini behind chat): the value is its `extra_content`. A
               caller gets it as a thought without a text, whose `item` is the call's id
    PLAIN      nothing: the text itself is to come back, to its own model only
    """

    SIGNATURE = "sig"
    REDACTED = "red"
    ENCRYPTED = "enc"
    DETAILS = "det"
    THOUGHT = "tho"
    PLAIN = "rc"


@dataclass(frozen=True, slots=True)
class Seal:
    """An opaque value.

    mark  names the endpoint and the model that wrote it (`envelope.Sealer.mark`); "" where it came as it is,
          from a dialect that has such values itself
    item  the id of a Responses item; for THOUGHT, of the call
    """

    kind: Opaque
    value: Any = ""
    mark: str = ""
    item: str = ""


@dataclass(slots=True)
class Text:
    text: str
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Image:
    """An image by its `url`, or as base64 `data` of a `media` type. `detail` is low, high, auto or ""."""

    url: str = ""
    data: str = ""
    media: str = ""
    detail: str = ""
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class File:
    """A document by its `url`, or as base64 `data` of a `media` type."""

    url: str = ""
    data: str = ""
    media: str = ""
    name: str = ""
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Thinking:
    """A thought of the model: readable, opaque or both."""

    text: str = ""
    seal: Seal | None = None
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Call:
    """A call of a tool of the caller's. `args` is the text of the JSON object, as it was written; for a FREE
    tool it is the text itself. `group` is the namespace of the tool."""

    id: str
    name: str
    args: str = ""
    kind: ToolKind = ToolKind.FUNCTION
    group: str = ""
    seal: Seal | None = None
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Result:
    """The result of a call. `parts` are Text, Image and File; `failed` says that the caller marked it so."""

    call: str
    parts: tuple[Text | Image | File, ...]
    failed: bool = False
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Refusal:
    """The model's words that it will not answer."""

    text: str
    at: str = field(default="", compare=False)


Part = Text | Image | File | Thinking | Call | Result | Refusal


@dataclass(slots=True)
class Turn:
    role: Role
    parts: tuple[Part, ...]
    at: str = field(default="", compare=False)


@dataclass(slots=True)
class Tool:
    """A tool that the caller offers.

    schema   of its arguments; None where the caller gave none
    strict   the arguments must follow the schema
    grammar  of the text that a FREE tool takes, as the caller wrote it; its `syntax` is lark or regex
    served   for SERVED: its type, such as `web_search`, without a date
    raw      the caller's own object
    """

    name: str
    kind: ToolKind = ToolKind.FUNCTION
    group: str = ""
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: Flag = Flag.UNSET
    grammar: str = ""
    syntax: str = ""
    served: str = ""
    raw: Mapping[str, Any] = field(default_factory=lambda: NO_RAW, compare=False)
    at: str = field(default="", compare=False)


class Choose(Enum):
    """The ways in which the model may choose a tool."""

    AUTO = "auto"
    NONE = "none"
    ANY = "any"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Choice:
    """`name` and `group` say which tool is to be called, for ONE."""

    mode: Choose = Choose.AUTO
    name: str = ""
    group: str = ""
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the answer; None where the caller set none."""

    max_output: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """The form that the answer must have: JSON, by a schema if there is one."""

    schema: Mapping[str, Any] | None = None
    name: str = ""
    strict: Flag = Flag.UNSET
    description: str = ""


@dataclass(frozen=True, slots=True)
class Effort:
    """The amount that the model may think.

    level   none, minimal, low, medium, high, xhigh, max; "" where the caller did not say
    budget  in tokens, where the caller set one
    shown   the caller wants to read it, at least summed up
    """

    level: str = ""
    budget: int | None = None
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `turns` hold the system's words too, at their places. `choice` is None where the caller did
    not say, `tier` and `verbosity` (low, medium, high) are "". `usage_asked`: a stream of chat is to end with
    its usage. `paths` holds the JSON paths of members that the caller's dialect calls otherwise than chat."""

    model: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    choice: Choice | None = None
    parallel: Flag = Flag.UNSET
    limits: Limits = Limits()
    shape: Shape | None = None
    effort: Effort = Effort()
    cache_key: str = ""
    tier: str = ""
    verbosity: str = ""
    stream: bool = False
    usage_asked: bool = False
    paths: Mapping[str, str] = field(default_factory=lambda: NO_PATHS, compare=False)

    def path(self, name: str) -> str:
        """Return the JSON path of a member of the request; `name` is what chat calls it."""
        return self.paths.get(name, name)
