"""An answer turned into facts: codes, sentences, fields. `read` unwraps what providers wrap (arrays, JSON in
a string, SSE, a relay's sentence) and never raises, whatever the bytes are. `classify` decides what the facts
mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .faults import Phase, Reply

LONGEST_BODY = 65_536
_MOST_TEXT = 4_000
_MOST_VALUES = 400
_MOST_HEADERS = 200
_SPEAKING = frozenset(
    """
    message msg error detail details description error_description error_message error_msg errormessage
    status_msg raw title body
    """.split()
)
_CODING = frozenset(
    """
    code type status reason errorcode errcode errortype quotaid statuscode finishreason blockreason name
    """.split()
)
_STATUS = frozenset({"code", "status", "status_code", "statuscode", "http_code", "error_code"})
_DIMENSIONS = frozenset({"quotadimensions", "metadata"})
_RELAYS = frozenset({"provider_name", "upstreamstatus", "upstream_status", "upstreamhost"})
_RELAYED_TYPES = frozenset({"ai_apicall_error", "upstream_error"})
"""A server with such an error was a client itself: of the AI SDK, of a provider (sub2api, new-api)."""
_URL = re.compile(r"https?://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")
_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body|center|h1)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>\s*([^<]*)", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[(](\d{4,5})[\])]")
# LiteLLM names the class of its own error, then relays: "litellm.X: YException - what the supplier said", and
# adds a postscript that says nothing new.
_OWN_ERROR = re.compile(r"\blitellm\.(\w+):")
_RELAYED = re.compile(
    r"(?is)\blitellm\.\w+: .{0,200}?(?:Exception|Error)\b[\w :]{0,60} - "
    r"|^[\w*.]{1,40}Error: \w{1,40}Exception - "
    r"|\berror from (?:upstream )?provider ?(?:\([^)]{0,80}\))?:? *(?:upstream request failed: *(?=\S))?"
    r"|^upstream (?:request failed: *(?=\S)|error: *(?=\d{3}\b))"
    r"|^\[[\w.-]{1,80}/[\w./:@-]{1,100}\] (?:\[\d{3}\]:? )?"
    r"|^(?=.{0,2000}No fallback model group found)"
)
_POSTSCRIPT = re.compile(
    r"(?:LiteLLM: model group|Received Model Group=|model=\S{1,100} context_window_fallbacks"
    r"|Deployment Info:).*",
    re.DOTALL,
)
_FINISHED = re.compile(r'"(?:finish_?[rR]eason|stop_reason|blockReason)"\s*:\s*"(\w+)"')
_ENDED = re.compile(
    r'\[DONE\]|message_stop|"response\.(?:completed|failed|incomplete|done)|"done"\s*:\s*true'
)
# In output a quote is escaped: this is a member of the event, or of a choice in it.
_ERROR = re.compile(r'(?<!\\)"error"\s*:\s*(?!null|\{\s*\}|"")')
_REPORTS = ("error", ".failed", ".incomplete")
_OUTPUT = ("choices", "delta", "message", "response", "item", "content_block")
_TROUBLE = re.compile(r"rror|fail|base_resp|xception|incomplete")


def words(text: str) -> str:
    """Return `text` as the rules read it: lower case, no URLs, every run of punctuation one space, a space at
    both ends."""
    return f" {_NO_WORD.sub(' ', _URL.sub(' ', text).lower()).strip()} "


def token(code: str) -> str:
    """Return a code in one spelling: `InsufficientQuota`, `insufficient-quota` and `INSUFFICIENT_QUOTA` are
    the same."""
    return _NO_WORD.sub("_", _CAMEL.sub("_", code)).strip("_").lower()


@dataclass(slots=True)
class Facts:
    """The content of one answer. `status` is the body's own (`inner`) where HTTP says 200; `tokens` are its
    codes and types in the order of their appearance; `texts` are its sentences; `fields` are its other values
    by lower-case name; `headers` include those that the body quotes. `message` and `words` join the texts.
    `of_a_model`: the dimensions of the limit that it reports name a model."""

    status: int
    headers: dict[str, str]
    tokens: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    inner: int | None = None
    page: bool = False
    stream: bool = False
    ended: bool = False
    relayed: bool = False
    of_a_model: bool = False
    empty: bool = False
    message: str = ""
    words: str = ""


def read(reply: Reply) -> Facts:
    """Return the facts of `reply`. Never raises; looks at 64 KiB of the body and 400 of its values at
    most."""
    facts = Facts(reply.status or 0, dict(reply.headers[:_MOST_HEADERS]))
    exceptions = (
        facts.headers.get(name) for name in ("x-amzn-errortype", ":exception-type", "x-ms-error-code")
    )
    facts.tokens += [token(name.partition(":")[0]) for name in exceptions if name]
    text = reply.body[:LONGEST_BODY].decode("utf-8", "replace").lstrip("\ufeff")
    if _PAGE.match(text):
        facts.page = True
        _read_page(text, facts)
        return facts
    in_output = reply.phase in (Phase.PRE_OUTPUT, Phase.POST_OUTPUT)
    says_so = "event-stream" in facts.headers.get("content-type", "")
    streams = in_output or (says_so and reply.flaw is None)
    facts.stream = streams and 0 < facts.status < 400
    before_output = reply.phase is Phase.PRE_OUTPUT
    documents = list(_documents(text.lstrip(), facts, before_output=before_output))
    if not documents and not facts.stream:
        documents = [text]
    _walk(documents, facts)
    if facts.stream:
        reasons = _FINISHED.findall(text)
        facts.tokens += map(token, reasons[-1:])
        facts.ended = bool(reasons or _ENDED.search(text))
    relays = any(name.startswith("llm_provider-") for name in facts.headers)
    facts.relayed = facts.relayed or relays or not _RELAYED_TYPES.isdisjoint(facts.tokens)
    facts.message = "\n".join(facts.texts)[:_MOST_TEXT]
    facts.words = words(facts.message)
    facts.empty = not facts.texts and not facts.tokens
    facts.tokens += _BRACKETED.findall(facts.message)
    if facts.inner and facts.status < 400:
        facts.status = facts.inner
    return facts


def _read_page(text: str, facts: Facts) -> None:
    """Take the title of an HTML page for its message, and its first characters for its words."""
    title = _TITLE.search(text)
    facts.message = "an HTML page"
    if title:
        facts.message = title[1].strip()
    facts.words = words(text[:_MOST_TEXT])


def _documents(body: str, facts: Facts, *, before_output: bool) -> Iterator[Any]:
    """Give the JSON values of a body. Of a stream, only the events that report a failure: the others are
    output. Before it, an event may report one in any words."""
    if body[:1] in ("{", "[", '"') and not facts.stream:
        document = _decode(body)
        if document is not None:
            yield document
        return
    lines = body.splitlines()
    if body[:1] in ("{", "[") and _decode(body.partition("\n")[0]) is None:
        lines = [body]  # a single value over many lines
    for line in lines:
        data = line.removeprefix("data:").removeprefix("error:").strip().lstrip("[")
        if data[:1] != "{" or not (before_output or _TROUBLE.search(data)):
            continue
        event = _decode(data)
        if event and (_ERROR.search(data) or _may_report(event)):
            yield event


def _may_report(event: dict[str, Any]) -> bool:
    """Return whether an event of a stream can be about a failure: it says so, or it holds no output, nor the
    request that a provider repeats."""
    if str(event.get("type")).endswith(_REPORTS):
        return True
    return not any(isinstance(event.get(name), dict | list) and event[name] for name in _OUTPUT)


def _decode(text: str) -> Any:
    """Return the JSON value at the start of `text`, or None. Text behind it does not matter."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _walk(documents: list[Any], facts: Facts) -> None:
    """Collect codes, sentences and fields, level by level, without recursion."""
    # pairs of (a string here is a sentence of the provider, value)
    queue: list[tuple[bool, Any]] = [(True, documents)]
    for count, (spoken, value) in enumerate(queue):
        if count >= _MOST_VALUES:
            return
        if isinstance(value, dict):
            for key, inner in list(value.items())[:_MOST_VALUES]:
                _take(key, inner, facts, queue)
        elif isinstance(value, list):
            queue += [(spoken, inner) for inner in value[:_MOST_VALUES]]
        elif isinstance(value, str) and spoken:
            _say(value, facts, queue)


def _take(key: str, value: Any, facts: Facts, queue: list[tuple[bool, Any]]) -> None:
    """Sort one member of an object: quoted headers, an inner value, a code, a sentence, or a field."""
    name = key.lower()
    if name == "headers" and isinstance(value, dict):
        for header, content in value.items():
            facts.headers.setdefault(header.lower(), str(content))
    elif isinstance(value, dict | list):
        if name in _DIMENSIONS and "model" in value:
            facts.of_a_model = True
        if name.endswith("exception"):  # Bedrock: the only key of an event is the exception's name
            facts.tokens.append(token(key))
        queue.append((name in _SPEAKING, value))
    elif name.replace("_", "") in _CODING and isinstance(value, str | int) and not isinstance(value, bool):
        _code(name, str(value), facts)
    elif name in _SPEAKING or (name == "param" and isinstance(value, str) and " " in value):
        if name == "error" and isinstance(value, str) and value.isidentifier():
            facts.tokens.append(token(value))
        queue.append((True, value))
    else:
        facts.relayed = facts.relayed or (name in _RELAYS and value not in (None, ""))
        facts.fields.setdefault(name, value)


def _code(name: str, value: str, facts: Facts) -> None:
    """Keep a code as a token, a sentence in its place (xAI) as speech, the status as text (Azure) as a
    status."""
    if " " in value:
        facts.texts.append(value[:_MOST_TEXT])
    elif name in _STATUS and len(value) == 3 and value.isdecimal():
        if not facts.inner and 400 <= int(value) <= 599:
            facts.inner = int(value)
    elif 0 < len(value) <= 120 and (name, value) != ("type", "error"):
        facts.tokens.append(token(value))


def _say(text: str, facts: Facts, queue: list[tuple[bool, Any]]) -> None:
    """Keep a sentence without the words that a relay put around it. A JSON value inside it is walked instead
    of being read as text."""
    text = _POSTSCRIPT.sub("", text[:LONGEST_BODY])
    facts.tokens += map(token, _OWN_ERROR.findall(text, 0, _MOST_TEXT)[:1])
    relayed = _RELAYED.search(text, 0, _MOST_TEXT)
    if relayed:
        facts.relayed, text = True, text[relayed.end() :]
    before, brace, rest = text.partition("{")
    inner = brace and _decode(brace + rest)
    if inner:
        queue.append((True, inner))
        text = before
    if text.strip():
        facts.texts.append(text.strip()[:_MOST_TEXT])
