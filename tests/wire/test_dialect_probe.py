"""A dialect is told by the answer to a request that asks for nothing, as servers of each kind answer it."""

from __future__ import annotations

import json
from typing import Any

from holdfast.core.faults import Reply
from holdfast.core.identity import Dialect
from holdfast.providers import profiles
from holdfast.wire.dialect_probe import Spoken, same, verdict
from tables import rows

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
PROFILE = profiles.load(None)
YES, NO, KEY, UNKNOWN = Spoken.YES, Spoken.NO, Spoken.KEY, Spoken.UNKNOWN


def openai(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


FIELD = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "ok"}], "model": "m"}

# Whose answer it is, the dialect that was asked for, status and body, the verdict.
ANSWERS: list[tuple[str, Dialect, int | None, Any, Spoken]] = [
    ("OpenAI", CHAT, 400, openai("Missing required parameter: 'messages'."), YES),
    ("OpenAI", RESPONSES, 400, openai("Missing required parameter: 'input'."), YES),
    ("OpenAI, no such path", MESSAGES, 404, openai("Invalid URL (POST /v1/messages)"), NO),
    (
        "OpenAI, an unknown model",
        RESPONSES,
        404,
        openai("The model `m` does not exist", "model_not_found"),
        YES,
    ),
    ("Anthropic", MESSAGES, 400, anthropic("invalid_request_error", "max_tokens: Field required"), YES),
    ("Anthropic, an unknown model", MESSAGES, 404, anthropic("not_found_error", "model: m"), YES),
    ("Anthropic, another key", MESSAGES, 401, anthropic("authentication_error", "invalid x-api-key"), KEY),
    ("FastAPI", CHAT, 422, FIELD, YES),
    ("FastAPI, no such path", RESPONSES, 404, {"detail": "Not Found"}, NO),
    ("llama.cpp", MESSAGES, 500, {"error": {"code": 500, "message": "'messages' is required"}}, YES),
    ("llama.cpp, no such path", MESSAGES, 404, {"error": {"code": 404, "message": "File Not Found"}}, NO),
    ("LM Studio, no such path", RESPONSES, 200, {"error": "Unexpected endpoint or method. (POST /x)"}, NO),
    ("a server that answers", MESSAGES, 200, ANSWER, YES),
    ("a server that answers in chat", RESPONSES, 200, ANSWER, NO),
    ("a login page", MESSAGES, 200, "<!DOCTYPE html><title>Sign in</title>", NO),
    ("nginx", MESSAGES, 404, "<html><h1>404 Not Found</h1></html>", NO),
    ("Go", MESSAGES, 404, "404 page not found", NO),
    ("a method that is not allowed", RESPONSES, 405, {"detail": "Method Not Allowed"}, NO),
    ("a firewall", CHAT, 400, "<html>Bad Request</html>", NO),
    ("a firewall, to all", CHAT, 403, "<html>Forbidden</html>", KEY),
    ("a redirect", MESSAGES, 307, "", NO),
    ("too many requests", CHAT, 429, openai("Rate limit reached"), UNKNOWN),
    ("a server in trouble", RESPONSES, 503, "upstream connect error", UNKNOWN),
    ("a server in trouble, as JSON", RESPONSES, 502, openai("bad gateway"), UNKNOWN),
    ("nobody", CHAT, None, "ConnectError: refused", UNKNOWN),
]


def reply(status: int | None, body: Any) -> Reply:
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, body=text.encode(), host="h.example")


@rows(("who", "dialect", "status", "body", "expected"), ANSWERS)
def test_an_answer_tells_whether_the_dialect_is_spoken(
    who: str, dialect: Dialect, status: int | None, body: Any, expected: Spoken
) -> None:
    assert verdict(dialect, reply(status, body), PROFILE, 0.0) is expected, who


@rows(
    ("first", "second", "are_same"),
    [
        (reply(400, openai("no route /v1/messages")), reply(400, openai("no route /v1/x")), True),
        (reply(400, openai("a b")), reply(404, openai("a b")), False),
        (reply(400, openai("a b")), reply(400, openai("a b", "no_route")), False),
        (reply(400, openai("a b")), reply(400, FIELD), False),
        (reply(404, "<a>"), reply(404, "<b>"), True),
        (reply(404, "<a>"), reply(404, "404 page not found"), False),
        (reply(400, {"errors": ["a b"]}), reply(400, {"errors": ["c d", "e f"]}), True),
    ],
)
def test_answers_are_the_same_whatever_path_they_repeat(first: Reply, second: Reply, are_same: bool) -> None:
    assert same(first, second) is are_same
