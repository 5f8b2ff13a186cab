"""Whether an answer with a good status is one: the shape of an answer of each route, and how it begins.

An answer has what every client of its route needs; anything may stand beside it. One without output passes
where the provider gives a reason other than `stop`, or counts tokens of output. `classify` reads the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum, auto
from typing import Any, NamedTuple

from ..core.faults import Flaw
from ..values.failure_reports import reports_failure
from .json_end import BLANK
from .json_value import parsed

Document = Mapping[str, Any]


class AnswerKind(StrEnum):
    """The kinds of answers, by route. Of OTHER routes nothing is known but how they report a failure."""

    CHAT = "chat"
    COMPLETION = "completion"
    MESSAGE = "message"
    RESPONSE = "response"
    EMBEDDINGS = "embeddings"
    TOKEN_COUNT = "token_count"  # noqa: S105 - a count, no credential
    OTHER = "other"


class Form(Enum):
    """The beginning of a body: too short to say, events of a stream, or one document of any type."""

    UNKNOWN = auto()
    EVENTS = auto()
    DOCUMENT = auto()


class Judgement(NamedTuple):
    """The judgement of a body: its flaw, None when it is an answer; and its document, if it was parsed."""

    flaw: Flaw | None
    document: Document | None = None


_FIELDS = (b"data", b"event", b"id", b"retry")
_OWN_ERROR = b"error"
"""A field of llama.cpp, for what it reports in a stream: a JSON object."""
_UNFINISHED = frozenset({"queued", "in_progress", "incomplete", "cancelled"})
# A model may have nothing to say, but then its provider counts the token that ended it: Anthropic 2 or 3 (its
# documentation of `end_turn`; rezaho/MARSYS#48 shows the events), Gemini and the servers of open models too.
# A role, a `stop` and no count is what agents see when a provider lost the answer: anomalyco/opencode#37735,
# earendil-works/pi#8462, openclaw/openclaw#91403, cline/cline#13302. Asking again usually helps: no answer.
UNEXPLAINED = (None, "", "stop", "STOP", "end_turn", "eos")
"""Reasons for an end that explain no empty answer."""
_MATCHED = ("stop_reason", "matched_stop")
"""Members in which vLLM and SGLang say what ended a choice: a stop sequence of the caller's, or a token."""
_VECTORS = re.compile(rb'"data"\s*+:\s*+\[\s*+\{.*?"embedding"\s*+:\s*+(?:\[\s*+[^\s\]]|"[^"])', re.DOTALL)


def form_of(start: bytes) -> Form:
    """Return the form of a body that begins with `start`, whatever its content type says."""
    text = start.lstrip(BLANK)[:8]
    name, colon, value = text.partition(b":")
    if colon and (not name or name in _FIELDS or (name == _OWN_ERROR and value.lstrip()[:1] == b"{")):
        return Form.EVENTS
    if not colon and any(field.startswith(text) for field in (*_FIELDS, _OWN_ERROR)):
        return Form.UNKNOWN
    if name == _OWN_ERROR and not value.strip():
        return Form.UNKNOWN
    return Form.DOCUMENT


def judge(kind: AnswerKind, body: bytes) -> Judgement:
    """Judge a whole decoded body. It is parsed once, for the caller too; vectors are not parsed."""
    if kind is AnswerKind.EMBEDDINGS and _is_list_of_vectors(body):
        return Judgement(None)
    if kind is AnswerKind.OTHER and not may_report_failure(body):
        is_page = body.lstrip()[:1] == b"<"
        return Judgement(_judged(shaped=len(body) > 2 and not is_page))
    document = parsed(body)
    if document is None:
        return Judgement(_flaw_of_text(kind, body))
    if not isinstance(document, dict):
        return Judgement(_judged(shaped=kind is AnswerKind.OTHER))
    if reports_failure(document):
        return Judgement(Flaw.OTHER, document)
    if kind is AnswerKind.OTHER:
        return Judgement(None, document)
    flaw = _SHAPES[kind][1](document)
    if flaw is Flaw.OTHER and is_foreign(document):
        flaw = Flaw.FOREIGN
    return Judgement(flaw, document)


def _flaw_of_text(kind: AnswerKind, body: bytes) -> Flaw:
    """Return the flaw of a body that is no JSON: it was cut where it had begun as an answer."""
    if form_of(body) is Form.EVENTS:
        return Flaw.UNASKED
    if kind in _SHAPES and body.lstrip(BLANK)[:1] == b"{" and _SHAPES[kind][0] in body:
        return Flaw.CUT
    return Flaw.OTHER


def _is_list_of_vectors(body: bytes) -> bool:
    """Return whether a body certainly is a whole list of vectors. Their numbers are dear to parse, so only
    its beginning and what follows its last list are looked at: that list holds objects, one more is open."""
    if not starts_list_of_vectors(body) or body[-64:].rstrip()[-1:] != b"}":
        return False
    end = body.rfind(b"]")
    if body[max(0, end - 64) : end].rstrip()[-1:] != b"}":
        return False
    return body.count(b"}", end) - body.count(b"{", end) == 1 and not may_report_failure(body)


def starts_list_of_vectors(body: bytes) -> bool:
    """Return whether a body certainly begins as a list of vectors."""
    return _VECTORS.search(body[:1024]) is not None


def may_report_failure(body: bytes) -> bool:
    """Return whether a body has the words of a report; most have not, and need not be parsed."""
    return body.find(b'"error"') >= 0 or body.find(b'"base_resp"') >= 0


def _judged(*, shaped: bool, filled: bool = True) -> Flaw | None:
    if not shaped:
        return Flaw.OTHER
    if not filled:
        return Flaw.EMPTY
    return None


def _chat(document: Document) -> Flaw | None:
    if _is_one_text(document.get("choices")):
        return None
    choices = dicts(document.get("choices"))
    shaped = any(isinstance(_content(choice), dict) or _is_held_back(choice) for choice in choices)
    return _flaw_of_choices(document, choices, shaped=shaped)


def _is_one_text(choices: Any) -> bool:
    """Return whether the choices are a single one with text, as nearly always."""
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return False
    choice = choices[0]
    message = choice.get("message")
    if type(message) is not dict or choice.get("error") or choice.get("finish_reason") == "error":
        return False
    return bool(message.get("content"))


def _completion(document: Document) -> Flaw | None:
    choices = dicts(document.get("choices"))
    shaped = any(isinstance(choice.get("text"), str) or _is_held_back(choice) for choice in choices)
    return _flaw_of_choices(document, choices, shaped=shaped)


def _flaw_of_choices(document: Document, choices: list[Document], *, shaped: bool) -> Flaw | None:
    filled = says_something(choices) or counts_output(document)
    return _judged(shaped=shaped and not has_failed(choices), filled=filled)


def _message(document: Document) -> Flaw | None:
    content = document.get("content")
    shaped = isinstance(content, list) and document.get("type", "message") == "message"
    explained = document.get("stop_reason") not in UNEXPLAINED
    filled = bool(dicts(content)) or (not content and (explained or counts_output(document)))
    return _judged(shaped=shaped, filled=filled)


def response_flaw(document: Document) -> Flaw | None:
    """Return the flaw of a response of the Responses API; None when it is an answer."""
    status, filled = document.get("status"), bool(dicts(document.get("output")))
    shaped = status != "failed" and (filled or document.get("object") == "response")
    return _judged(shaped=shaped, filled=filled or status in _UNFINISHED or counts_output(document))


def _vectors(document: Document) -> Flaw | None:
    items = dicts(document.get("data"))
    return _judged(shaped=any(item.get("embedding") for item in items[:1]))


def _token_count(document: Document) -> Flaw | None:
    count = document.get("input_tokens")
    return _judged(shaped=isinstance(count, int) and not isinstance(count, bool))


_SHAPES: dict[AnswerKind, tuple[bytes, Callable[[Document], Flaw | None]]] = {
    AnswerKind.CHAT: (b'"choices"', _chat),
    AnswerKind.COMPLETION: (b'"choices"', _completion),
    AnswerKind.MESSAGE: (b'"content"', _message),
    AnswerKind.RESPONSE: (b'"output"', response_flaw),
    AnswerKind.EMBEDDINGS: (b'"data"', _vectors),
    AnswerKind.TOKEN_COUNT: (b'"input_tokens"', _token_count),
}
"""By kind: the member by which it is known, and the judgement of a document."""


def is_foreign(document: Document) -> bool:
    """Return whether a document is the answer of some other API: one of ours, Gemini's, Ollama's, a list."""
    if any(shape(document) is None for _, shape in _SHAPES.values()):
        return True
    return bool(dicts(document.get("candidates"))) or "done" in document or document.get("object") == "list"


def dicts(items: Any) -> list[Document]:
    """Return the objects of a list; nothing where it is none."""
    if not isinstance(items, list):
        return []
    return [item for item in items if isinstance(item, dict)]


def _is_held_back(choice: Document) -> bool:
    """Return whether a choice needs no output: Azure's filter held it back."""
    return choice.get("finish_reason") == "content_filter"


def _content(choice: Document) -> Any:
    return choice.get("message") or choice.get("delta")


def has_failed(choices: list[Document]) -> bool:
    """Return whether one of the choices reports a failure."""
    return any(choice.get("error") or choice.get("finish_reason") == "error" for choice in choices)


def says_something(choices: list[Document]) -> bool:
    """Return whether the choices hold output, or a reason why there is none. A completion of a text (`text`)
    may be empty."""
    return any(
        _has_output(_content(choice)) or choice.get("text") or _is_explained(choice) for choice in choices
    )


def _is_explained(choice: Document) -> bool:
    """Return whether a choice gives a reason for its end that explains why it may be empty."""
    reason = choice.get("finish_reason")
    if not reason:
        return False
    return reason not in UNEXPLAINED or choice.get("text") is not None or _names_its_stop(choice)


def _names_its_stop(choice: Document) -> bool:
    return any(choice.get(name) not in UNEXPLAINED for name in _MATCHED)


def _has_output(content: Any) -> bool:
    """Return whether a message or a delta holds more than a role."""
    if not isinstance(content, dict):
        return False
    return bool(content.get("content")) or any(content[name] for name in content if name != "role")


def counts_output(document: Document) -> bool:
    """Return whether the provider counts tokens of output, and so says that the model did answer."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return False
    counts = (usage.get("completion_tokens"), usage.get("output_tokens"))
    return any(isinstance(count, int) and count > 0 for count in counts)
