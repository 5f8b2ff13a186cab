"""The errors by which a caller is told that its answer broke off: the words on which its program acts."""

from __future__ import annotations

import re

from ..core.faults import FaultClass
from .events import BrokenOff

_K = FaultClass
_MESSAGES_TYPES: dict[str, str] = {
    _K.AUTH_REJECTED: "authentication_error",
    _K.AUTH_EXPIRED: "authentication_error",
    _K.NOT_ENTITLED: "permission_error",
    _K.BLOCKED: "permission_error",
    _K.QUOTA_EXHAUSTED: "billing_error",
    _K.QUOTA_WINDOW: "rate_limit_error",
    _K.RATE_LIMITED: "rate_limit_error",
    _K.PROVIDER_UNAVAILABLE: "overloaded_error",
    _K.MODEL_UNAVAILABLE: "not_found_error",
    _K.ENDPOINT_MISMATCH: "invalid_request_error",
    _K.CONTEXT_OVERFLOW: "invalid_request_error",
    _K.CONTENT_BLOCKED: "invalid_request_error",
    _K.BAD_REQUEST: "invalid_request_error",
}
"""The type of an error in Messages; `api_error` for other classes."""
_AGAIN, _NEVER = "server_error", "invalid_prompt"
_RESPONSES_CODES: dict[str, str] = {
    **dict.fromkeys((_K.AUTH_REJECTED, _K.AUTH_EXPIRED, _K.NOT_ENTITLED, _K.BLOCKED), _NEVER),
    **dict.fromkeys((_K.MODEL_UNAVAILABLE, _K.ENDPOINT_MISMATCH, _K.CONTENT_BLOCKED, _K.BAD_REQUEST), _NEVER),
    **dict.fromkeys((_K.QUOTA_EXHAUSTED, _K.QUOTA_WINDOW), "insufficient_quota"),
    _K.RATE_LIMITED: "rate_limit_exceeded",
    _K.CONTEXT_OVERFLOW: "context_length_exceeded",
}
"""The code of an error in Responses. Codex repeats a request after `server_error` and `rate_limit_exceeded`,
and gives up after the others."""
_INVALID = "invalid_request_error"
_CHAT_ERRORS: dict[str, tuple[str, str]] = {
    _K.AUTH_REJECTED: ("authentication_error", ""),
    _K.AUTH_EXPIRED: ("authentication_error", ""),
    _K.NOT_ENTITLED: ("permission_error", ""),
    _K.BLOCKED: ("permission_error", ""),
    _K.QUOTA_EXHAUSTED: ("insufficient_quota", "insufficient_quota"),
    _K.QUOTA_WINDOW: ("insufficient_quota", "insufficient_quota"),
    _K.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
    _K.MODEL_UNAVAILABLE: (_INVALID, "model_not_found"),
    _K.ENDPOINT_MISMATCH: (_INVALID, ""),
    _K.CONTEXT_OVERFLOW: (_INVALID, "context_length_exceeded"),
    _K.CONTENT_BLOCKED: (_INVALID, "content_filter"),
    _K.BAD_REQUEST: (_INVALID, ""),
}
"""The type of an error in chat, and its code where that is not the name of the class."""
_LIMIT = re.compile(r"(?:maximum context length (?:is|of)|context (?:window|length|limit) (?:is|of)) (\d+)")
_PROMPT = re.compile(r"(?:resulted in|has|contains|(?:you )?requested) (?:about )?(\d+) (?:input )?tokens")
_INPUT = re.compile(r"\((\d+) (?:in|of) (?:the )?(?:messages|text input|input|prompt)")
_OUTPUT = re.compile(r"(\d+) (?:in|of|for) (?:the )?(?:completion|output)")
_LONGEST = 2_000


def messages_type(kind: str) -> str:
    """Return the type of an error in the Messages dialect, for a class of faults."""
    return _MESSAGES_TYPES.get(kind, "api_error")


def messages_words(broken: BrokenOff) -> str:
    """Return what a caller of the Messages dialect is told. Claude Code makes room if it reads that its
    prompt is too long, in Anthropic's words; they are used where the provider gave the numbers."""
    text = broken.text
    if broken.kind != _K.CONTEXT_OVERFLOW or "prompt is too long:" in text:
        return text
    return overflow_words(text) or text


def overflow_words(text: str) -> str:
    """Return Anthropic's words for a prompt that is too long; "" if the numbers are not in `text`."""
    text = text[:_LONGEST].replace(",", "")
    limit, given, answer = _LIMIT.search(text), _INPUT.search(text), _OUTPUT.search(text)
    if limit and given and answer:
        return f"input length and `max_tokens` exceed context limit: {given[1]} + {answer[1]} > {limit[1]}"
    asked = _PROMPT.search(text)
    if limit and asked and int(asked[1]) > int(limit[1]):
        return f"prompt is too long: {asked[1]} tokens > {limit[1]} maximum"
    return ""


def responses_code(broken: BrokenOff) -> str:
    """Return the code of an error in the Responses dialect."""
    if broken.code == "untranslatable":
        return _NEVER
    return _RESPONSES_CODES.get(broken.kind, _AGAIN)


def chat_words(kind: str) -> tuple[str, str]:
    """Return the type and the code of an error in the chat dialect, for a class of faults."""
    error, code = _CHAT_ERRORS.get(kind, (_AGAIN, ""))
    return error, code or str(kind)
